"""How colourful a photo is, as the calibration photos were chosen."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from huebands import color

_LONGEST = 8192  # pixels a side; of larger photos every second, third, ... row or column is used
_SIDE = 128  # pixels: a mean needs no more


def mean_chroma(rgb_HW3: NDArray[np.uint8]) -> float:
    """Mean chroma of a photo, shrunk to a square as the calibration photos are, in CIELAB units."""
    return float(lab_square(rgb_HW3)[1:].norm(dim=0).mean())


def lab_square(rgb_HW3: NDArray[np.uint8]) -> Tensor:
    """A photo, shrunk to a square as the calibration photos are: CIELAB, float (3, 128, 128)."""
    down, across = (max(side // _LONGEST, 1) for side in rgb_HW3.shape[:2])  # a strip would take gigabytes
    sample = np.ascontiguousarray(rgb_HW3[::down, ::across])
    square = np.array(Image.fromarray(sample).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
    with torch.inference_mode():
        return color.srgb_to_lab(torch.from_numpy(square).permute(2, 0, 1) / 255)
