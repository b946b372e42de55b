"""A colorized photo before the guarantee of its bands is chosen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huebands.conformal.photo_bands import PhotoBands
from huebands.photos.grey import GreyPhoto


@dataclass(frozen=True, eq=False)
class Prediction:
    """Colours and the nested bands around them.

    Attributes:
        photo: the photo as the model saw it.
        rgb: uint8 (H, W, 3), the colours shown.
        bands: at every step.
    """

    photo: GreyPhoto
    rgb: NDArray[np.uint8]
    bands: PhotoBands
