"""Photos that DVC keeps, added as a folder or imported from a git repository, go through the same pipeline."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from small_line import SETTINGS, Line, copy_tree, draw_photos

COUNT, MORE = 12, 2  # photos
pytestmark = pytest.mark.pipeline


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A copy of the tree without photos."""
    return copy_tree(tmp_path / "huebands")


def count_photos(line: Line) -> int:
    return len(pd.read_parquet(line.folder / "data/prepared/manifest.parquet"))


def test_an_added_folder_is_a_source_for_experiments_in_copies_too(line: Line) -> None:
    draw_photos(line.folder / "data/photos", range(COUNT))
    line.run("dvc", "add", "data/photos")
    assert line.changes() == {("A", "data/photos.dvc")}
    line.commit()
    line.run("dvc", "exp", "run", "--temp", "--name", "copied", *SETTINGS, "prepare")
    line.run("dvc", "exp", "run", "--queue", "--name", "queued", *SETTINGS, "-S", "prepare.image_size=24")
    line.run("dvc", "queue", "remove", "queued")
    assert line.changes() == set()

    output = line.run("dvc", "exp", "run", *SETTINGS, "prepare")
    assert "Stage 'ingest' is cached" in output, "what the copy made is not made again"
    assert count_photos(line) == COUNT
    draw_photos(line.folder / "data/photos", range(COUNT, COUNT + MORE))
    line.run("dvc", "add", "data/photos")
    line.run("dvc", "repro", "prepare")
    assert count_photos(line) == COUNT + MORE


def test_photos_imported_from_a_git_repository_are_a_source_that_can_be_updated(line: Line, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()

    def commit(*numbers: int) -> None:
        draw_photos(source / "photos", numbers)
        author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "photos")):
            subprocess.run(["git", *words], cwd=source, check=True)

    commit(*range(COUNT))
    line.run("dvc", "import", source.as_uri(), "photos", "--out", "data/photos")
    assert line.changes() == {("A", "data/photos.dvc")}
    line.commit()
    line.run("dvc", "exp", "run", *SETTINGS, "prepare")
    assert count_photos(line) == COUNT

    commit(*range(COUNT, COUNT + MORE))
    assert "up to date" in line.run("dvc", "repro", "--dry", "prepare"), "an import stays at its revision"
    line.run("dvc", "update", "data/photos.dvc")
    line.run("dvc", "repro", "prepare")
    assert count_photos(line) == COUNT + MORE
