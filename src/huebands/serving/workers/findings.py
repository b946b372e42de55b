"""What the service notices of an uploaded photo, and tells its owner: a border, and colour of its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.own_colour import OwnColour, own_colour
from huebands.photos.grey import GreyPhoto


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was noticed of a photo.

    Attributes:
        border: depths of the border around its picture: top, right, bottom and left, in pixels; None: it has none.
        own_colour: whether it came with colour of its own, or with a tint, which is not used.
    """

    border: tuple[int, int, int, int] | None
    own_colour: OwnColour

    @classmethod
    def of(cls, rgb_HW3: NDArray[np.uint8], photo: GreyPhoto, min_chroma: float) -> "Findings":
        """Look at a photo.

        Args:
            rgb_HW3: the photo as it was uploaded.
            photo: the same without its colours.
            min_chroma: mean chroma of a photo in colour, CIELAB units; the calibration's.
        """
        rows, columns = photo.picture
        height, width = photo.shape
        depths = (rows.start, width - columns.stop, height - rows.stop, columns.start)
        return cls(border=depths if any(depths) else None, own_colour=own_colour(rgb_HW3, min_chroma))

    def describe(self) -> dict[str, Any]:
        """Describe them as JSON."""
        sides = ("top", "right", "bottom", "left")
        return {
            "border": None if self.border is None else dict(zip(sides, self.border, strict=True)),
            "own_colour": self.own_colour,
        }


def crop_border(rgb_HW3: NDArray[np.uint8], photo: GreyPhoto) -> tuple[NDArray[np.uint8], GreyPhoto]:
    """Cut off the border around a photo's picture; the photo itself where it has none.

    Args:
        rgb_HW3: the photo as it was uploaded.
        photo: the same without its colours.
    """
    if photo.picture_shape == photo.shape:
        return rgb_HW3, photo
    cropped_HW3 = np.ascontiguousarray(rgb_HW3[photo.picture])
    return cropped_HW3, GreyPhoto.of_rgb(cropped_HW3)
