"""An exemplar: a reference photo, whose colours a photo is to take."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from huebands import color
from huebands.metrics.chroma import mean_chroma
from huebands.photos.errors import ImageError
from huebands.photos.grey import PhotoInput, decode
from huebands.photos.resize import resize

_KEPT = 512  # pixels of the longer side: networks look at squares of a few hundred
_LEAST_CHROMA = 1.0  # CIELAB units, mean over the photo: below it a photo shows no colour


class ExemplarError(ValueError):
    """A reference photo cannot be read, has no colour, or is not taken by the model."""


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A reference photo.

    Attributes:
        rgb_HW3: uint8, sRGB, with a longer side of at most 512 pixels.
    """

    rgb_HW3: NDArray[np.uint8]

    @classmethod
    def read(cls, image: PhotoInput, name: str | None = None) -> Self:
        """Read a photo in colour.

        Args:
            image: as `GreyPhoto.read` takes it.
            name: of the photo in errors.

        Raises:
            ExemplarError: when it cannot be read, or has no colour.
        """
        try:
            picture = Image.fromarray(decode(image, name))
        except ImageError as error:
            raise ExemplarError(f"reference {error}") from error
        picture.thumbnail((_KEPT, _KEPT), Image.Resampling.BOX)
        rgb_HW3 = np.asarray(picture)
        if mean_chroma(rgb_HW3) < _LEAST_CHROMA:
            label = name or (image if isinstance(image, str) else "photo")
            raise ExemplarError(f"reference {label}: has no colours to take; give a photo in colour")
        return cls(rgb_HW3)

    def on_square(self, side: int) -> Tensor:
        """What a network gets of it: L_unit and ab_unit, squashed to a square, (1, 3, side, side)."""
        rgb_13HW = torch.from_numpy(self.rgb_HW3.copy()).permute(2, 0, 1)[None].float() / 255
        return torch.cat(color.to_units(resize(color.srgb_to_lab(rgb_13HW), (side, side))), dim=1)
