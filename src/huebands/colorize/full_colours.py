"""The colours of a result at the depth of the photo's file: at 16 bits, with the photo's transparency."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from huebands.colorize.paint import Paint
from huebands.conformal.photo_bands import ChosenBands
from huebands.photos.picture import Levels
from huebands.photos.strips import strips


@dataclass(frozen=True, eq=False)
class FullColours:
    """Colours for a file.

    Attributes:
        rgb_HW3: uint8 or uint16, sRGB.
        alpha_HW: opacity, of the same type; None: opaque.
    """

    rgb_HW3: Levels
    alpha_HW: Levels | None

    @classmethod
    def of(cls, paint: Paint, bands: ChosenBands) -> Self:
        """Colour a photo at the depth of its file.

        Args:
            paint: of a photo that has `kept_HW`.
            bands: opaque colours lie inside them when they are rounded to 8 bits.
        """
        photo = paint.photo
        assert photo.kept_HW is not None
        rgb_HW3 = paint.on(photo.kept_HW)
        scale, half = (257, 128) if rgb_HW3.dtype == np.uint16 else (1, 0)
        opaque = np.iinfo(rgb_HW3.dtype).max
        for rows in strips(*photo.shape):
            bounds = bands.in_rows(rows).astype(np.int32) * scale
            lower, upper = np.maximum(bounds[..., 0] - half, 0), np.minimum(bounds[..., 1] + half, opaque)
            inside = np.clip(rgb_HW3[rows], lower, upper).astype(rgb_HW3.dtype)
            if photo.alpha_HW is None:
                rgb_HW3[rows] = inside
            else:  # bands are those of the photo on white
                rgb_HW3[rows] = np.where(photo.alpha_HW[rows, :, None] == opaque, inside, rgb_HW3[rows])
        return cls(rgb_HW3, photo.alpha_HW)
