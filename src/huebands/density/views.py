"""The views of a photo that the density learns from: the whole photo, the same mirrored, and crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from huebands import color
from huebands.photos.resize import resize

_SMALLEST = 0.6  # side of a crop, as a share of the photo's


@dataclass(frozen=True)
class View:
    """A part of a photo, mirrored or not.

    Attributes:
        side: of the part, as a share of the photo's height and width.
        top: where it begins, as a share of the height that it leaves.
        left: the same of the width.
        mirrored: left and right change places.
    """

    side: float = 1.0
    top: float = 0.0
    left: float = 0.0
    mirrored: bool = False

    def colours(self, rgb_3HW: Tensor, size: int) -> Tensor:
        """True colours of a photo, uint8 (3, H, W), at the network's size: uint8 (3, S, S)."""
        scaled_13SS = resize(color.from_bytes(self._part(rgb_3HW))[None], (size, size))
        return self._mirror(color.to_bytes(scaled_13SS)[0])

    def lightness(self, rgb_3HW: Tensor, size: int) -> Tensor:
        """L_unit (1, 1, S, S) of a photo without borders, uint8 (3, H, W), as `Density.estimate` makes it."""
        levels_HW = color.grey_levels(self._part(rgb_3HW))
        return self._mirror(resize(color.lightness_of_grey(levels_HW)[None, None], (size, size))) / 50 - 1

    def _part(self, rgb_3HW: Tensor) -> Tensor:
        starts_and_sides = []
        for length, share in zip(rgb_3HW.shape[1:], (self.top, self.left), strict=True):
            side = max(1, round(length * self.side))
            starts_and_sides.append((round((length - side) * share), side))
        (top, height), (left, width) = starts_and_sides
        return rgb_3HW[:, top : top + height, left : left + width]

    def _mirror(self, picture: Tensor) -> Tensor:
        return picture.flip(-1) if self.mirrored else picture


WHOLE, MIRRORED = View(), View(mirrored=True)


class Photos(Protocol):
    """Photos that are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, row: int, /) -> Tensor:
        """Read one: sRGB, uint8 (3, H, W)."""


@dataclass(frozen=True)
class ViewedPhotos:
    """Photos in their views: all photos in their first view, then all in their second, and so on.

    Attributes:
        photos: that are viewed.
        views: a list for each view, with an entry for each photo.
        size: of the network, pixels.
    """

    photos: Photos
    views: Sequence[Sequence[View]]
    size: int

    def __len__(self) -> int:
        return len(self.photos) * len(self.views)

    def colours(self, rows: Sequence[int]) -> Tensor:
        """True colours, uint8 (B, 3, S, S), of rows in 0..len."""
        return torch.stack([self._view(row).colours(self._photo(row), self.size) for row in rows])

    def lightness(self, rows: Sequence[int]) -> Tensor:
        """What the encoder sees, L_unit (B, 1, S, S), of rows in 0..len."""
        return torch.cat([self._view(row).lightness(self._photo(row), self.size) for row in rows])

    def _photo(self, row: int) -> Tensor:
        return self.photos[row % len(self.photos)]

    def _view(self, row: int) -> View:
        view, photo = divmod(row, len(self.photos))
        return self.views[view][photo]


def draw_views(views: int, photos: int) -> list[Sequence[View]]:
    """Views of each photo: whole, whole and mirrored, and then crops, every second one mirrored.

    Args:
        views: of each photo.
        photos: how many there are.

    Returns:
        One list a view, one entry a photo. Crops depend on nothing else: a fit with another seed finds their maps.
    """
    first: list[Sequence[View]] = [[WHOLE] * photos, [MIRRORED] * photos]
    return [*first[:views], *(_crops(view, photos) for view in range(len(first), views))]


def _crops(view: int, photos: int) -> Sequence[View]:
    draws_N3 = np.random.default_rng([view, photos]).random((photos, 3))
    sides_N = _SMALLEST + (1 - _SMALLEST) * draws_N3[:, 0]
    return [
        View(float(side), float(top), float(left), mirrored=view % 2 == 1)
        for side, (_, top, left) in zip(sides_N, draws_N3, strict=True)
    ]
