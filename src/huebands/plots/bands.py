"""Pictures of photos with their maps of uncertainty, and with the pixels outside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from huebands.photos.heatmap import EXPECTED_ERROR, heat_map
from huebands.plots.pictures import Strip, draw_sheet

_RED = (200, 30, 45)


@dataclass(frozen=True)
class BandStrip:
    """One photo.

    Attributes:
        title: for people.
        grey: uint8 (H, W).
        shown: uint8 (H, W, 3), the colours shown.
        true: uint8 (H, W, 3).
        bands: uint8 (H, W, 3, 2).
        expected_error: float (H, W) in CIEDE2000; None where the model gives none.
    """

    title: str
    grey: np.ndarray
    shown: np.ndarray
    true: np.ndarray
    bands: np.ndarray
    expected_error: np.ndarray | None = None

    def draw(self) -> Strip:
        """Make the pictures, side by side."""
        lower, upper = self.bands[..., 0], self.bands[..., 1]
        width_HW = (upper - lower).mean(axis=-1)
        outside_HW3 = (self.true < lower) | (self.true > upper)
        caption = f"{1 - outside_HW3.mean():.0%} of values inside, width {width_HW.mean():.0f} levels · {self.title}"
        marked = mark_outside(self.grey, outside_HW3)
        maps = [heat_map(width_HW)]
        if self.expected_error is not None:
            maps.insert(0, heat_map(self.expected_error, EXPECTED_ERROR))
        return Strip(caption, (self.grey, self.shown, self.true, *maps, marked))


def draw_heatmaps(path: Path, strips: Sequence[BandStrip], alpha: float) -> None:
    """Draw one photo below the other, with their bands at alpha."""
    maps, label = ["width of the bands"], f"width of the bands at alpha = {alpha:g}: 8-bit levels, mean of R, G and B"
    if any(strip.expected_error is not None for strip in strips):
        maps.insert(0, "expected error")
        label += f"; expected error: the same colours from 0 to {EXPECTED_ERROR.top:g} {EXPECTED_ERROR.unit}"
    columns = ("grey", "colorized", "truth", *maps, "outside its band")
    draw_sheet(path, [("", [strip.draw()]) for strip in strips], columns, cell=1.8, scale_label=label)


def mark_outside(grey_HW: np.ndarray, outside_HW3: np.ndarray) -> np.ndarray:
    """Paint the pixels red whose true colour is outside its band, over a pale photo.

    Args:
        grey_HW: uint8 (H, W).
        outside_HW3: bool (H, W, 3), by channel; the more channels, the redder.

    Returns:
        uint8 (H, W, 3) sRGB.
    """
    strength = np.array([0.0, 0.6, 0.8, 1.0])[outside_HW3.sum(axis=-1)][..., None]
    pale = 165 + 0.35 * grey_HW[..., None]
    painted: np.ndarray = np.rint(pale * (1 - strength) + np.array(_RED) * strength).astype(np.uint8)
    return painted
