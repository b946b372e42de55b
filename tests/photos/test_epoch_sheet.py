"""The sheet of a training's pictures has one name, names its rows, and gives its grids back."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huebands.photos.epoch_sheet import MOST, read_sheet, write_sheet

SIDE = 16


def grids(*epochs: int) -> dict[int, NDArray[np.uint8]]:
    """Grids of two photos: grey and truth are the same at every epoch, the colours are not."""
    random = np.random.default_rng(0)
    grey, truth = random.integers(0, 256, (2, SIDE, 2 * SIDE, 3), dtype=np.uint8)
    return {
        epoch: np.concatenate([grey, random.integers(0, 256, grey.shape, dtype=np.uint8), truth]) for epoch in epochs
    }


def test_the_grids_are_read_back_as_they_were(tmp_path: Path) -> None:
    drawn = grids(10, 1, 500)
    write_sheet(tmp_path / "sheet.png", drawn)
    read = read_sheet(tmp_path / "sheet.png")
    assert list(read) == [1, 10, 500], "in the order of the epochs"
    assert all(np.array_equal(read[epoch], drawn[epoch]) for epoch in drawn)


def test_each_row_is_named_in_a_margin(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", grids(1, 2))
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.height == 4 * SIDE, "grey, two epochs, truth"
        margin = np.asarray(image)[:, : image.width - 2 * SIDE]
    rows = [row.tobytes() for row in np.split(margin, 4)]
    assert len(set(rows)) == 4 and all(row.min() < 100 for row in np.split(margin, 4))


def test_a_long_training_shows_its_first_and_last_epoch_and_some_between(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", grids(*range(1, 501)))
    epochs = list(read_sheet(tmp_path / "sheet.png"))
    assert len(epochs) == MOST and (epochs[0], epochs[-1]) == (1, 500)
    assert {after - before for before, after in itertools.pairwise(epochs)} <= {45, 46}


def test_grids_of_several_shapes_are_refused(tmp_path: Path) -> None:
    two = {1: np.zeros((6, 4, 3), np.uint8), 2: np.zeros((9, 4, 3), np.uint8)}
    for wrong in ({}, two, {1: np.zeros((4, 4, 3), np.uint8)}):
        with pytest.raises(ValueError, match=r"grids \(=.*must have one shape, \(3 S, W, 3\)"):
            write_sheet(tmp_path / "sheet.png", wrong)
    assert not (tmp_path / "sheet.png").exists()


def test_another_picture_is_no_sheet(tmp_path: Path) -> None:
    Image.new("RGB", (100, 4 * SIDE)).save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png: it does not list the epochs of its rows"):
        read_sheet(tmp_path / "photo.png")
