"""The bands of one colorized photo at every step, before a calibration chooses among them."""

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

    def at(self, steps: NDArray[np.integer], mode: Mode, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """Give the bands at steps (3,) or (H, W, 3): uint8 (H, W, 3, 2) = [lower, upper], of some rows.

        In the joint mode the channels' bounds tighten each other through luminance. A pixel whose three values lie in
        their bands keeps them. In the per_channel mode a value could leave its band because another channel has.
        """
        bands_HW32 = self.nested.at(steps, rows)
        if mode == "joint":
            shown_HW3, grey_HW = self.nested.shown_HW3[rows], self.nested.grey_HW[rows]
            step = max(_SLICE // grey_HW.shape[1], 1)
            for top in range(0, len(grey_HW), step):
                part = slice(top, top + step)
                lower, upper = propagate(bands_HW32[part, ..., 0], bands_HW32[part, ..., 1], grey_HW[part])
                np.minimum(lower, shown_HW3[part], out=bands_HW32[part, ..., 0])
                np.maximum(upper, shown_HW3[part], out=bands_HW32[part, ..., 1])
        return bands_HW32


@dataclass(frozen=True, eq=False)
class ChosenBands:
    """The bands of a photo that a calibration has chosen. Some rows are made when they are asked for, and not kept.

    Attributes:
        photo: its bands at every step.
        steps: (3,) or (H, W, 3).
        mode: see `PhotoBands.at`.
    """

    photo: PhotoBands
    steps: NDArray[np.integer]
    mode: Mode

    def in_rows(self, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """The bands in some rows: uint8 (H, W, 3, 2) = [lower, upper]."""
        return self.photo.at(self.steps, self.mode, rows)

    def of_channel(self, channel: int, rows: slice = slice(None)) -> NDArray[np.uint8]:
        """Those of one channel, uint8 (H, W, 2)."""
        if self.mode == "joint":  # the channels need each other
            return self.in_rows(rows)[:, :, channel]
        return self.photo.nested.channel_at(self.steps[..., channel], channel, rows)
