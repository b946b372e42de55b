"""The tour, docs/tour.ipynb: it runs, and its outputs in git are those of a run."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "docs/tour.ipynb"
LARGEST = 600_000  # bytes
WIDEST = 900  # pixels
WITHOUT_OUTPUTS = ("imports", "helpers")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Another processor rounds differently. A printed number may differ by 2%, and by two units of its last digit.
RELATIVE, UNITS = 0.02, 2
LEVELS = 3  # by which a picture may differ, of 255, as a mean over its values
REMEDY = "run `make tour`, and read the text again: does it still say what the outputs show?"


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook that hold code."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def printed(cell: dict[str, Any], name: str = "stdout") -> str:
    """What a cell prints."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output.get("name") == name)


def pictures(cell: dict[str, Any]) -> list[np.ndarray]:
    """The pictures that a cell shows."""
    encoded = [output["data"]["image/jpeg"] for output in cell["outputs"] if output["output_type"] == "display_data"]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))) for picture in encoded]


def differences(old: str, new: str) -> list[str]:
    """The lines of two texts that differ by more than rounding explains."""
    pairs = zip(old.splitlines(), new.splitlines(), strict=False)
    lines = [f"{one!r} became {other!r}" for one, other in pairs if not is_near(one, other)]
    return lines if old.count("\n") == new.count("\n") else [*lines, "the number of lines differs"]


def is_near(old: str, new: str) -> bool:
    """Whether two lines are equal but for the rounding of their numbers."""
    if NUMBER.sub("", old) != NUMBER.sub("", new):
        return False
    return all(
        abs(float(one) - float(other)) <= RELATIVE * abs(float(one)) + UNITS * 10.0 ** -len(one.partition(".")[2])
        for one, other in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    )


@pytest.fixture(scope="module")
def committed() -> list[dict[str, Any]]:
    """The code cells with the outputs in git."""
    return code_cells(TOUR)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The code cells with the outputs of a run."""
    path = tmp_path_factory.mktemp("tour") / "tour.ipynb"
    command = [sys.executable, "docs/tour.py", "--output", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return code_cells(path)


def test_it_is_small() -> None:
    assert TOUR.stat().st_size <= LARGEST


def test_every_cell_has_run_in_order(committed: list[dict[str, Any]]) -> None:
    assert [cell["execution_count"] for cell in committed] == list(range(1, len(committed) + 1))
    assert [cell["id"] for cell in committed if not cell["outputs"]] == list(WITHOUT_OUTPUTS)
    assert all(len(pictures(cell)) == 1 for cell in committed if cell["outputs"])


def test_the_pictures_fit_a_page(committed: list[dict[str, Any]]) -> None:
    assert max(picture.shape[1] for cell in committed for picture in pictures(cell)) <= WIDEST


def test_it_runs_without_warnings(executed: list[dict[str, Any]]) -> None:
    assert [printed(cell, "stderr") for cell in executed] == [""] * len(executed)


def test_it_prints_what_git_has(committed: list[dict[str, Any]], executed: list[dict[str, Any]]) -> None:
    changed = {
        old["id"]: lines
        for old, new in zip(committed, executed, strict=True)
        if (lines := differences(printed(old), printed(new)))
    }
    assert changed == {}, REMEDY


def test_it_shows_what_git_has(committed: list[dict[str, Any]], executed: list[dict[str, Any]]) -> None:
    for old, new in zip(committed, executed, strict=True):
        for one, other in zip(pictures(old), pictures(new), strict=True):
            assert one.shape == other.shape, f"{old['id']}: {REMEDY}"
            difference = np.abs(one.astype(float) - other).mean()
            assert difference <= LEVELS, f"{old['id']} differs by {difference:.1f} levels: {REMEDY}"


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [
        ("coffee: 57.5% outside", "coffee: 57.9% outside", True),
        ("coffee: 57.5% outside", "coffee: 60.5% outside", False),
        ("likeness p = 0.131", "likeness p = 0.133", True),
        ("likeness p = 0.131", "likeness p = 0.141", False),
        ("4 photos", "3 photos of 4", False),
    ],
)
def test_rounding_is_told_from_a_change(old: str, new: str, near: bool) -> None:
    assert (differences(old, new) == []) is near
