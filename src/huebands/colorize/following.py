"""Lets colours follow hints, whatever the network: by the places' densities, and how far hints reach there.

Each place takes the hints' differences from its photo's colours, weighted by how alike the places are
(`density.hinted`). So a network that knows no hints follows them too; one that takes them does it by itself.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from huebands import color
from huebands.colorize.hints import Hints
from huebands.colorize.upsampling import ColourLines
from huebands.density.hinted import HintedPlaces, HintKernel
from huebands.density.model import PhotoDensity
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import resize


@dataclass(frozen=True, eq=False)
class Following:
    """Hints on a photo, its densities, and how far the hints reach."""

    photo: GreyPhoto
    hints: Hints
    estimate: PhotoDensity
    kernel: HintKernel

    @cached_property
    def places(self) -> HintedPlaces:
        """What the hints tell of the density's samples."""
        return HintedPlaces.of(self.estimate.joint, self.estimate.grey_SS, self._placed, self.estimate.side)

    @property
    def density(self) -> PhotoDensity:
        """The densities with the hints."""
        return self.estimate.given(self.places, self.kernel)

    def change(self, ab_12HW: Tensor) -> ColourLines:
        """The change that brings colours to the hints.

        Args:
            ab_12HW: colours of the photo's picture, at any size, CIELAB units.

        Returns:
            Its a and b over the whole photo.
        """
        ab_2SS = self.photo.spread(resize(ab_12HW, self.estimate.size)[0])
        difference_2SS = self._placed[:2] * color.AB_SCALE - ab_2SS
        change_2N = self.kernel.spread(difference_2SS.flatten(1)[:, self.places.hinted_K], self.places)
        change_2SS = change_2N.view(2, *self.estimate.size)
        return ColourLines.fit(torch.zeros(self.estimate.size), change_2SS, self.photo.shape, {"name": "bilinear"})

    @cached_property
    def _placed(self) -> Tensor:
        return self.hints.on_samples(self.photo, self.estimate.size)
