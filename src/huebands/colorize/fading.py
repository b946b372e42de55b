"""Fades colours to the grey of the same lightness: everywhere alike, or where the bands are wide."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from huebands import color
from huebands.photos.grey import grey_of
from huebands.photos.picture import Levels
from huebands.photos.strips import strips


class FadingError(ValueError):
    """A strength or a width is out of its range; the message names it and its value."""


@dataclass(frozen=True, kw_only=True)
class Fading:
    """How much of their colour pictures have.

    Attributes:
        strength: of all colours, from 0, grey, to 1, the model's.
        width: mean width of a pixel's bands, in 8-bit levels, at which a further picture has no colour left: the wider
            the bands, the less colour; None: there is no such picture.

    Raises:
        FadingError: when one is out of its range.
    """

    strength: float = 1.0
    width: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise FadingError(f"strength (={self.strength:g}) must lie between 0, grey, and 1, full colour")
        if self.width is not None and not 0 < self.width <= 255:
            raise FadingError(f"show-uncertainty (={self.width:g}) must be a width of bands, above 0 and at most 255")

    def by_width(self, width_HW: NDArray[np.float32]) -> NDArray[np.float32]:
        """The share of colour that is left at each pixel, by the width of its bands."""
        assert self.width is not None
        share_HW: NDArray[np.float32] = np.clip(1 - width_HW / np.float32(self.width), 0, 1)
        return share_HW


@torch.inference_mode()
def fade(rgb_HW3: Levels, share: float | NDArray[np.float32]) -> Levels:
    """Leave a share of the colour, in linear light, so that luminance stays.

    Args:
        rgb_HW3: uint8 or uint16, sRGB.
        share: in [0, 1], or (H, W).

    Returns:
        The same type.
    """
    full = int(np.iinfo(rgb_HW3.dtype).max)
    linear = color.srgb_to_linear(torch.arange(full + 1, dtype=torch.float64) / full).float()
    faded_HW3 = np.empty_like(rgb_HW3)
    for rows in strips(*rgb_HW3.shape[:2]):
        colours_HW3 = linear[torch.from_numpy(rgb_HW3[rows].astype(np.int32))]
        grey_HW1 = linear[torch.from_numpy(grey_of(rgb_HW3[rows]).astype(np.int32))][..., None]
        share_HW1 = share if isinstance(share, float) else torch.from_numpy(share[rows])[..., None]
        srgb_HW3 = color.linear_to_srgb(grey_HW1 + share_HW1 * (colours_HW3 - grey_HW1)).clamp(0, 1)
        faded_HW3[rows] = (srgb_HW3 * full).round().numpy().astype(rgb_HW3.dtype)
    return faded_HW3
