"""The nested bands of one photo, at the photo's own size. `loops.samples` and this module shape them.

Step 0 is a narrow band around the mode of each pixel's distribution. The last step holds all that sRGB can show at the
pixel's grey level. Positions are interpolated between the knots of `density.intervals`. Lower bounds are rounded down,
upper bounds up, and each band is widened to hold the colour shown. Calibration scores photos with the same functions:
the score is the first step whose band holds the true value. So everything that shapes a band is calibrated.

Bands never shrink from one step to the next, in floating point either: weights are never negative, and rounding to
nearest never changes the order of two numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands.density import coordinate
from huebands.density.intervals import KNOTS
from huebands.loops import samples

STEPS_PER_KNOT = 12
STEPS = KNOTS * STEPS_PER_KNOT + 1
CHANNELS = ("R", "G", "B")
_TILE = 1 << 18  # pixels handled at once
_Ends = NDArray[np.float32]


class Intervals(Protocol):
    """What `density.intervals.NestedIntervals` offers."""

    @property
    def size(self) -> tuple[int, int]: ...

    def knots(self, first: int, last: int, channel: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Ends:
    """Intervals as two tensors: lower and upper ends of the knots, (KNOTS + 1, 3, S, S) each."""

    lower_K3SS: Tensor
    upper_K3SS: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.lower_K3SS.shape[-2:]
        return height, width

    def knots(self, first: int, last: int, channel: int) -> tuple[Tensor, Tensor]:
        """One channel's ends at some knots."""
        return self.lower_K3SS[first:last, channel], self.upper_K3SS[first:last, channel]


@dataclass(frozen=True)
class NestedBands:
    """The nested bands of a photo.

    Attributes:
        shown_HW3: uint8, the colorization.
        grey_HW: uint8, `color.grey_levels` of the photo.
        intervals: intervals of its pixels' distributions, on a grid of samples.
    """

    shown_HW3: np.ndarray
    grey_HW: np.ndarray
    intervals: "Intervals"
    _made: dict[tuple[int, int, int], tuple[_Ends, _Ends]] = field(default_factory=dict, init=False, repr=False)

    def at(self, steps: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Give the bands at a step.

        Args:
            steps: integers in 0..STEPS-1, (3,) for R, G and B, or (H, W, 3) for every value.
            rows: of the photo that are asked for, without gaps.

        Returns:
            uint8 (H, W, 3, 2) = [lower, upper] of those rows; lower <= shown <= upper.
        """
        channels = [self.channel_at(steps[..., channel], channel, rows) for channel in range(3)]
        return np.moveaxis(np.stack(channels), 0, 2)  # each channel's in one piece

    def channel_at(self, steps: np.ndarray, channel: int, rows: slice = slice(None)) -> np.ndarray:
        """Give the bands of one channel, uint8 (H, W, 2).

        Args:
            steps: integers in 0..STEPS-1, () or (H, W).
            channel: 0, 1, 2 for R, G and B.
            rows: see `at`.
        """
        top, bottom, _ = rows.indices(len(self.grey_HW))
        bands_HW2 = np.empty((bottom - top, self.grey_HW.shape[1], 2), np.uint8)
        first, last = 0, KNOTS + 1
        if steps.ndim == 0:
            first = int(steps) // STEPS_PER_KNOT
            last = min(first + 2, KNOTS + 1)
        ends = self._ends(first, last, channel)
        for tile in self._tiles(top, bottom):
            steps_HW = np.atleast_2d(steps if steps.ndim == 0 else steps[tile]).astype(np.int64)
            steps_HW -= first * STEPS_PER_KNOT
            tile_rows, columns = tile
            inside = slice(tile_rows.start - top, tile_rows.stop - top), columns
            bands_HW2[inside] = samples.bands(*ends, self._pixels(tile, channel), STEPS_PER_KNOT, steps_HW)
        return bands_HW2

    def first_steps(self, true_HW3: np.ndarray) -> np.ndarray:
        """Score a photo: the first step at which the band holds the true value, uint16 (H, W, 3).

        Args:
            true_HW3: uint8, of the same grey levels.
        """
        steps_HW3 = np.empty(true_HW3.shape, np.uint16)
        for channel in range(3):
            ends = self._ends(0, KNOTS + 1, channel)
            for tile in self._tiles(0, len(true_HW3)):
                pixels, true_HW = self._pixels(tile, channel), np.array(true_HW3[*tile, channel])
                steps_HW3[*tile, channel] = samples.first_steps(*ends, pixels, STEPS_PER_KNOT, true_HW)
        return steps_HW3

    def sampled(self, rows: slice, columns: slice) -> "NestedBands":
        """Give the bands of some rows and columns, equal to the bit."""
        grid = Grid.over(self.intervals.size, self.grey_HW.shape, rows, columns)
        ends_by_channel = [
            [grid.interpolate(knots_KSS) for knots_KSS in self.intervals.knots(0, KNOTS + 1, channel)]
            for channel in range(3)
        ]
        lower_K3HW, upper_K3HW = (torch.stack(channels, dim=1) for channels in zip(*ends_by_channel, strict=True))
        return NestedBands(self.shown_HW3[rows, columns], self.grey_HW[rows, columns], Ends(lower_K3HW, upper_K3HW))

    def _tiles(self, first: int, last: int) -> Iterator[tuple[slice, slice]]:
        """Cut the rows from the first one to the one before the last."""
        width = self.grey_HW.shape[1]
        rows = max(_TILE // width, 1)
        for top in range(first, last, rows):
            for left in range(0, width, _TILE):
                yield slice(top, min(top + rows, last)), slice(left, min(left + _TILE, width))

    def _ends(self, first: int, last: int, channel: int) -> tuple[_Ends, _Ends]:
        """The ends of a channel's intervals at some knots, (last - first, S, S) each, made once."""
        knots = first, last, channel
        if knots not in self._made:
            lower_KSS, upper_KSS = self.intervals.knots(*knots)
            self._made[knots] = np.ascontiguousarray(lower_KSS.numpy()), np.ascontiguousarray(upper_KSS.numpy())
        return self._made[knots]

    def _pixels(self, tile: tuple[slice, slice], channel: int) -> samples.Pixels:
        grid = Grid.over(self.intervals.size, self.grey_HW.shape, *tile)
        shown_HW, grey_HW = np.array(self.shown_HW3[*tile, channel]), np.array(self.grey_HW[tile])
        return samples.Pixels(shown_HW, grey_HW, *coordinate.spans(channel), *grid.neighbours)


@dataclass(frozen=True)
class Grid:
    """Bilinear interpolation from samples spread evenly over a photo to some of its rows and columns."""

    rows: tuple[Tensor, Tensor, Tensor]  # samples before and after each row, and the weight of the one after
    columns: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def over(cls, samples: tuple[int, ...], size: tuple[int, ...], rows: slice, columns: slice = slice(None)) -> "Grid":
        """Spread samples, counted as (height, width), over a photo of size (height, width)."""
        return cls(_neighbours(samples[0], size[0], rows), _neighbours(samples[1], size[1], columns))

    @property
    def neighbours(self) -> tuple[samples.Neighbours, samples.Neighbours]:
        """Rows and columns as the loops over pixels take them."""
        rows, columns = (
            samples.Neighbours(*(of_each.numpy() for of_each in side)) for side in (self.rows, self.columns)
        )
        return rows, columns

    def interpolate(self, knots_KSS: Tensor) -> Tensor:
        """Interpolate samples (K, S, S) to pixels (K, H, W)."""
        row_above, row_below, row_weight = self.rows
        first, last = int(row_above[0]), int(row_below[-1]) + 1  # only the samples that these rows lie between
        column_left, column_right, column_weight = self.columns
        samples_KSS = knots_KSS[:, first:last]
        samples_KSW = samples_KSS.index_select(2, column_left).mul_(1 - column_weight)
        samples_KSW += samples_KSS.index_select(2, column_right).mul_(column_weight)
        knots_KHW = samples_KSW.index_select(1, row_above - first).mul_((1 - row_weight)[:, None])
        knots_KHW += samples_KSW.index_select(1, row_below - first).mul_(row_weight[:, None])
        return knots_KHW


def _neighbours(samples: int, size: int, pixels: slice) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel the samples before and after it, and the weight of the one after."""
    center = (torch.arange(*pixels.indices(size), dtype=torch.float64) + 0.5) * (samples / size) - 0.5
    center = center.clamp(0, samples - 1)
    sample = center.floor().long().clamp_max(max(samples - 2, 0))
    return sample, (sample + 1).clamp_max(samples - 1), (center - sample).float()
