"""The scripts outside the package: studies, benchmarks and those of the documents import names that exist.

No test runs them all, because they take minutes to hours; a name that was moved would be noticed by their next reader.
"""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for folder in ("studies", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_imports_names_that_exist(script: Path) -> None:
    missing = []
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "huebands":
            for name in node.names:
                try:
                    module = importlib.import_module(str(node.module))
                    if not hasattr(module, name.name):
                        importlib.import_module(f"{node.module}.{name.name}")
                except ModuleNotFoundError as error:
                    missing.append(f"{node.module}.{name.name}: {error}")
    assert missing == []
