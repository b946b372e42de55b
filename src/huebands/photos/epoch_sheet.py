"""How a training's colours of the same photos develop, on one sheet whose name does not depend on the epochs.

A training makes a grid of sample photos every few epochs: rows of grey, colours and truth. A file for each epoch would
stay behind where DVC or git puts a training of other epochs in the place of this one. The sheet has the grey row, the
colours of each epoch, and the true row. It holds the grids without loss, so that MLflow can get them back.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from huebands.files import atomic
from huebands.photos.write import encode_png

MOST = 12  # epochs, so that a sheet can be looked at
_MARGIN = 64  # pixels on the left, for the names of the rows
_KEYWORD = "Epochs"  # of the PNG text that lists the epochs
_ROWS = 3  # of a grid


def write_sheet(path: Path, grids: Mapping[int, NDArray[np.uint8]]) -> None:
    """Write the sheet of a training, with at most `MOST` of its epochs, evenly chosen, the first and last among them.

    Args:
        path: of the PNG file.
        grids: by epoch; uint8 (3 S, W, 3), all of one shape: grey, colours and truth of the same photos.

    Raises:
        ValueError: when there is no grid, or they have several shapes.
        OSError: when the file cannot be written.
    """
    shapes = {grid.shape for grid in grids.values()}
    if len(shapes) != 1 or next(iter(shapes))[0] % _ROWS:
        raise ValueError(f"grids (={sorted(shapes)}) must have one shape, (3 S, W, 3)")
    epochs = _choose(sorted(grids))
    rows = [np.split(grids[epoch], _ROWS) for epoch in epochs]
    sheet = np.concatenate([rows[0][0], *(colours for _, colours, _ in rows), rows[-1][2]])
    names = ["grey", *(f"epoch {epoch}" for epoch in epochs), "truth"]
    labelled = np.concatenate([_draw_names(names, len(rows[0][0])), sheet], axis=1)
    text = {_KEYWORD: " ".join(map(str, epochs))}
    atomic.write_bytes(path, encode_png(labelled, compress_level=6, text=text))


def read_sheet(path: Path) -> dict[int, NDArray[np.uint8]]:
    """Read the grids of a sheet back, by epoch, as `write_sheet` got them.

    Raises:
        ValueError: naming the file, when `write_sheet` has not written it.
        OSError: when it cannot be read.
    """
    with Image.open(path) as image:
        epochs = [int(epoch) for epoch in str(image.info.get(_KEYWORD, "")).split()]
        sheet = np.asarray(image)[:, _MARGIN:]
    if not epochs or len(sheet) % (len(epochs) + 2):
        raise ValueError(f"{path}: it does not list the epochs of its rows; take the sheet that the training wrote")
    grey, *colours, truth = np.split(sheet, len(epochs) + 2)
    return {epoch: np.concatenate([grey, row, truth]) for epoch, row in zip(epochs, colours, strict=True)}


def _choose(epochs: list[int]) -> list[int]:
    if len(epochs) <= MOST:
        return epochs
    return [epochs[round(place)] for place in np.linspace(0, len(epochs) - 1, MOST)]


def _draw_names(names: list[str], height: int) -> NDArray[np.uint8]:
    """The margin with the names of the rows, each as high as its row."""
    margin = Image.new("RGB", (_MARGIN, height * len(names)), "white")
    draw = ImageDraw.Draw(margin)
    for row, name in enumerate(names):
        draw.text((4, round((row + 0.5) * height)), name, fill="black", anchor="lm")
    return np.asarray(margin)
