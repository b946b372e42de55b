"""Whether a photo has colour of its own, which a colorizer does not use."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from huebands.data.tone import tone_spread
from huebands.metrics.chroma import lab_square

OwnColour = Literal["none", "tinted", "colour"]
_TINTED = 1.05  # CIELAB units, see `tone_spread`: prepare.min_tone_spread, by which the photos of datasets are chosen


def own_colour(rgb_HW3: NDArray[np.uint8], min_chroma: float) -> OwnColour:
    """Tell a grey photo from a tinted one, such as a sepia print or a cyanotype, and from one in colour.

    Args:
        rgb_HW3: uint8, sRGB.
        min_chroma: mean chroma of a photo in colour, CIELAB units, as of the calibration photos.
    """
    lab_3SS = lab_square(rgb_HW3)
    if float(lab_3SS[1:].norm(dim=0).mean()) < min_chroma:
        return "none"
    spread = tone_spread((lab_3SS * 100).round().numpy().astype(np.int16))
    return "tinted" if spread < _TINTED else "colour"
