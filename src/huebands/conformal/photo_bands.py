"""The bands of one colorized photo at every step, before a calibration chooses among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands.conformal.bands import NestedBands
from huebands.conformal.groups import Grouping
from huebands.conformal.guarantee import Mode
from huebands.conformal.luminance import propagate

_SLICE = 1 << 18  # pixels: a slice's temporaries stay in the processor's cache


@dataclass(frozen=True, eq=False)
class PhotoBands:
    """Nested bands, and the groups of the pixels.

    Attributes:
        nested: the bands of each channel by itself.
        grouping: which groups there are.
        texture_SS: see `groups.texture_of`.
        entropy: mean entropy of the pixels' densities, nats.
        atypicality: score of the photo, see `density.atypicality`.
    """

    nested: NestedBands
    grouping: Grouping
    texture_SS: Tensor
    entropy: float
    atypicality: float

    @cached_property
    def groups(self) -> NDArray[np.uint8]:
        """The groups of the pixels before merging, (partitions, H, W), indices into `groups.GROUPS`."""
        with torch.inference_mode():
            return np.asarray(
                self.grouping.of_pixels(self.nested.shown_HW3, self.nested.grey_HW, self.texture_SS, self.entropy)
            )

    def widest_steps(self, group_steps: NDArray[np.int_]) -> NDArray[np.uint16]:
        """The largest of the steps (GROUPS, 3) that a pixel's groups need, (H, W, 3)."""
        steps = group_steps.astype(np.uint16)
        widest_HW3 = steps[self.groups[0]]
        for groups_HW in self.groups[1:]:
            np.maximum(widest_HW3, steps[groups_HW], out=widest_HW3)
        return np.asarray(widest_HW3)

    def at(self, steps: NDArray[np.integer], mode: Mode) -> NDArray[np.uint8]:
        """Give the bands at steps (3,) or (H, W, 3): uint8 (H, W, 3, 2) = [lower, upper].

        In the joint mode the channels' bounds tighten each other through luminance. A pixel whose three values lie in
        their bands keeps them. In the per_channel mode a value could leave its band because another channel has.
        """
        bands_HW32 = self.nested.at(steps)
        if mode == "joint":
            for rows in _row_slices(*self.nested.grey_HW.shape):
                shown_HW3 = self.nested.shown_HW3[rows]
                lower, upper = propagate(bands_HW32[rows, ..., 0], bands_HW32[rows, ..., 1], self.nested.grey_HW[rows])
                bands_HW32[rows] = np.stack((np.minimum(lower, shown_HW3), np.maximum(upper, shown_HW3)), axis=-1)
        return bands_HW32


def _row_slices(height: int, width: int) -> Iterator[slice]:
    rows = max(_SLICE // width, 1)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
