"""A colorized photo before the guarantee of its bands is chosen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from huebands.colorize.guidance import UNGUIDED, Guidance
from huebands.colorize.paint import Paint
from huebands.conformal.bands import NestedBands
from huebands.conformal.photo_bands import PhotoBands
from huebands.photos.grey import GreyPhoto


@dataclass(frozen=True, eq=False)
class Prediction:
    """Colours and the nested bands around them.

    Attributes:
        photo: the photo as the model saw it.
        rgb: uint8 (H, W, 3), the colours shown.
        bands: at every step.
        expected_error_KSS: mean CIEDE2000 under the density for pixels with each of K grey levels, at samples spread
            evenly over the photo, not calibrated; None where the model has no joint density.
        guidance: that `rgb` follows.
        unhinted: the bands, around the colours, without the hints; None: there are none.
        paint: that gave `rgb`, to colour the photo at the depth of its file.
    """

    photo: GreyPhoto
    rgb: NDArray[np.uint8]
    bands: PhotoBands
    expected_error_KSS: Tensor | None = None
    guidance: Guidance = UNGUIDED
    unhinted: NestedBands | None = None
    paint: Paint | None = None
