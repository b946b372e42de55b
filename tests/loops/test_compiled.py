"""Loops are compiled, kept, and made anew when their file changes."""

import ast
from pathlib import Path

import numba
import numpy as np
import pytest

from huebands.loops import levels, samples
from huebands.loops.compiled import compiled
from huebands.loops.srgb import starts_of


@pytest.mark.parametrize("module", [levels, samples], ids=lambda module: module.__name__)
def test_a_file_of_loops_calls_no_other_file(module):
    """Numba makes what it keeps anew when the file of a function changes, and does not look at others."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module for module in modules if module.startswith("huebands")} <= {"huebands.loops.compiled"}


def test_machine_code_is_kept():
    bounds = np.zeros((2, 1, 3), np.uint8)
    starts = starts_of(np.ones(256))
    levels.propagate(*bounds, np.zeros(1, np.uint8), np.ones(3), *np.ones((3, 256)), starts)
    folder = Path(levels.propagate.stats.cache_path)
    assert list(folder.glob("levels.propagate-*.nbi")) and list(folder.glob("levels.propagate-*.nbc"))


def test_where_nothing_can_be_kept_it_is_compiled_anew(monkeypatch):
    njit = numba.njit

    def refuse(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'double': no locator available for file '<stdin>'")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse)

    @compiled
    def double(numbers):
        return numbers * 2

    assert double(np.arange(3)).tolist() == [0, 2, 4]
    assert double.signatures, "it runs as machine code"
