"""Measures the bands of photos that come in colour: the model sees them in grey, but their colours are known."""

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.result import Colorization
from huebands.conformal.bands import CHANNELS
from huebands.metrics.chroma import mean_chroma


def share_outside(rgb_HW3: NDArray[np.uint8], result: Colorization, min_chroma: float) -> float | None:
    """The share of a photo's channel values, or in the joint mode of its pixels, that left their bands.

    None for photos that are grey or nearly so, toned ones too: their colours are not those of what they show.

    Args:
        rgb_HW3: the photo as it came.
        result: its colorization.
        min_chroma: mean chroma below which a photo counts as nearly grey, CIELAB units; the calibration's.
    """
    if (rgb_HW3 == rgb_HW3[..., :1]).all() or mean_chroma(rgb_HW3) < min_chroma:
        return None
    outside = []
    for index, channel in enumerate(CHANNELS):
        lower, upper = result.bands[channel][..., 0], result.bands[channel][..., 1]
        outside.append((rgb_HW3[..., index] < lower) | (rgb_HW3[..., index] > upper))
    missed = np.logical_or.reduce(outside) if result.guarantee.mode == "joint" else np.stack(outside)
    return float(missed.mean())
