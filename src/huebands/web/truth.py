"""What photos that come in colour tell about the bands: the model sees them in grey, but their colours are known."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from huebands import color
from huebands.colorizer import Colorization
from huebands.conformal.family import CHANNELS

LEAST_CHROMA = 5.0  # CIELAB units; `prepare.min_chroma`: the calibration photos leave out what is nearly grey
_LONGEST = 8192  # pixels a side from which on a part of them is looked at
_SIDE = 128  # pixels: a mean needs no more


def share_outside(rgb_HW3: NDArray[np.uint8], result: Colorization) -> float | None:
    """The share of a photo's channel values, or in the joint mode of its pixels, that left their bands.

    None for photos that are grey or nearly so, toned ones too: their colours are not those of what they show.
    """
    if (rgb_HW3 == rgb_HW3[..., :1]).all() or mean_chroma(rgb_HW3) < LEAST_CHROMA:
        return None
    outside = []
    for index, channel in enumerate(CHANNELS):
        lower, upper = result.bands[channel][..., 0], result.bands[channel][..., 1]
        outside.append((rgb_HW3[..., index] < lower) | (rgb_HW3[..., index] > upper))
    missed = np.logical_or.reduce(outside) if result.mode == "joint" else np.stack(outside)
    return float(missed.mean())


def mean_chroma(rgb_HW3: NDArray[np.uint8]) -> float:
    """Mean chroma of a photo, squashed as the calibration photos are, in CIELAB units."""
    down, across = (max(side // _LONGEST, 1) for side in rgb_HW3.shape[:2])  # a strip would take gigabytes
    sample = np.ascontiguousarray(rgb_HW3[::down, ::across])
    square = np.array(Image.fromarray(sample).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
    with torch.inference_mode():
        lab = color.srgb_to_lab(torch.from_numpy(square).permute(2, 0, 1) / 255)
    return float(lab[1:].norm(dim=0).mean())
