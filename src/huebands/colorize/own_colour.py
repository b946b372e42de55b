"""Whether a photo has colour of its own, which a colorizer does not use."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from huebands import color
from huebands.data.tone import tone_spread

OwnColour = Literal["none", "tinted", "colour"]
# The parameters prepare.min_chroma and prepare.min_tone_spread, by which the photos of every dataset were chosen.
_NEAR_GREY = 5.0  # CIELAB units, mean chroma
_TINTED = 1.05  # CIELAB units, see `tone_spread`
_SIDE = 128  # pixels
_LONGEST = 8192  # pixels a side; of larger photos every second, third, ... row or column is used


def own_colour(rgb_HW3: NDArray[np.uint8]) -> OwnColour:
    """Tell a grey photo from a tinted one, such as a sepia print or a cyanotype, and from one in colour.

    Args:
        rgb_HW3: uint8, sRGB.
    """
    down, across = (max(side // _LONGEST, 1) for side in rgb_HW3.shape[:2])  # a strip would take gigabytes
    sample = np.ascontiguousarray(rgb_HW3[::down, ::across])
    square = np.array(Image.fromarray(sample).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
    with torch.inference_mode():
        lab_3SS = color.srgb_to_lab(torch.from_numpy(square).permute(2, 0, 1) / 255)
    if float(lab_3SS[1:].norm(dim=0).mean()) < _NEAR_GREY:
        return "none"
    spread = tone_spread((lab_3SS * 100).round().numpy().astype(np.int16))
    return "tinted" if spread < _TINTED else "colour"
