"""The nested bands of one photo, at the photo's own size. Everything that shapes a band is in this module.

Step 0 is a narrow band around the mode of each pixel's distribution. The last step holds all that sRGB can show at the
pixel's grey level. Positions are interpolated between the knots of `density.intervals`. Lower bounds are rounded down,
upper bounds up, and each band is widened to hold the colour shown. Calibration scores photos with the same functions:
the score is the first step whose band holds the true value. So everything that shapes a band is calibrated.

Bands never shrink from one step to the next, in floating point either: weights are never negative, and rounding to
nearest never changes the order of two numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from huebands.density import coordinate
from huebands.density.intervals import KNOTS

STEPS_PER_KNOT = 12
STEPS = KNOTS * STEPS_PER_KNOT + 1
CHANNELS = ("R", "G", "B")
_TILE = 1 << 16  # pixels handled at once


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

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Give the bands at a step.

        Args:
            steps: integers in 0..STEPS-1, (3,) for R, G and B, or (H, W, 3) for every value.

        Returns:
            uint8 (H, W, 3, 2) = [lower, upper]; lower <= shown <= upper.
        """
        bands_3HW2 = np.empty((3, *self.grey_HW.shape, 2), np.uint8)  # each channel's in one piece
        for channel, bands_HW2 in enumerate(bands_3HW2):
            channel_steps = steps[..., channel]
            first = int(channel_steps.min()) // STEPS_PER_KNOT
            last = min(int(channel_steps.max()) // STEPS_PER_KNOT + 2, KNOTS + 1)
            ends = self.intervals.knots(first, last, channel)
            for tile in self._tiles():
                tile_steps = channel_steps if channel_steps.ndim == 0 else channel_steps[tile]
                step = torch.from_numpy(np.array(tile_steps, np.int64))
                knot, offset = step // STEPS_PER_KNOT - first, step % STEPS_PER_KNOT
                grid = self._grid(tile)
                lower, upper = (_position(grid.interpolate(knots_KSS), knot, offset) for knots_KSS in ends)
                levels = _Levels.over(self._grey(tile), self.shown_HW3[*tile, channel], channel)
                for bound, bound_HW in enumerate(levels.round_outwards(lower, upper)):
                    bands_HW2[*tile, bound] = bound_HW.to(torch.uint8).numpy()
        return np.moveaxis(bands_3HW2, 0, 2)

    def first_steps(self, true_HW3: np.ndarray) -> np.ndarray:
        """Score a photo: the first step at which the band holds the true value, uint16 (H, W, 3).

        Args:
            true_HW3: uint8, of the same grey levels.
        """
        steps_HW3 = np.empty(true_HW3.shape, np.uint16)
        ends_by_channel = [self.intervals.knots(0, KNOTS + 1, channel) for channel in range(3)]
        for tile in self._tiles():
            grid, grey = self._grid(tile), self._grey(tile)
            for channel in range(3):
                lower_KHW, upper_KHW = (grid.interpolate(knots_KSS) for knots_KSS in ends_by_channel[channel])
                levels = _Levels.over(grey, self.shown_HW3[*tile, channel], channel)
                true_HW = _floats(true_HW3[*tile, channel])
                missed = ~levels.hold(true_HW, lower_KHW, upper_KHW)
                # The first knot that holds the value; the one before it misses the value.
                knot = missed.sum(dim=0).clamp(1, KNOTS)
                ends = [knots_KHW.gather(0, torch.stack((knot - 1, knot))) for knots_KHW in (lower_KHW, upper_KHW)]
                low = torch.zeros_like(knot)  # misses the value, or is the answer
                high = STEPS_PER_KNOT * missed[0].long()  # holds the value
                while int((high - low).max()) > 1:
                    middle = (low + high) // 2
                    lower, upper = (_position(knots_2HW, torch.zeros_like(knot), middle) for knots_2HW in ends)
                    is_held = levels.hold(true_HW, lower, upper)
                    low, high = torch.where(is_held, low, middle), torch.where(is_held, middle, high)
                steps_HW3[*tile, channel] = ((knot - 1) * STEPS_PER_KNOT + high).numpy().astype(np.uint16)
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

    def _tiles(self) -> Iterator[tuple[slice, slice]]:
        height, width = self.grey_HW.shape
        rows = max(_TILE // width, 1)
        for top in range(0, height, rows):
            for left in range(0, width, _TILE):
                yield slice(top, min(top + rows, height)), slice(left, min(left + _TILE, width))

    def _grey(self, tile: tuple[slice, slice]) -> Tensor:
        return torch.from_numpy(np.array(self.grey_HW[tile]))

    def _grid(self, tile: tuple[slice, slice]) -> "Grid":
        return Grid.over(self.intervals.size, self.grey_HW.shape, *tile)


@dataclass(frozen=True)
class Grid:
    """Bilinear interpolation from samples spread evenly over a photo to some of its rows and columns."""

    rows: tuple[Tensor, Tensor, Tensor]  # samples before and after each row, and the weight of the one after
    columns: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def over(cls, samples: tuple[int, ...], size: tuple[int, ...], rows: slice, columns: slice = slice(None)) -> "Grid":
        """Spread samples, counted as (height, width), over a photo of size (height, width)."""
        return cls(_neighbours(samples[0], size[0], rows), _neighbours(samples[1], size[1], columns))

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


def _position(knots_KHW: Tensor, knot: Tensor, offset: Tensor) -> Tensor:
    """Positions `offset` / STEPS_PER_KNOT on the way from a knot to the next; knot and offset are () or (H, W)."""
    next_knot = (knot + 1).clamp_max(len(knots_KHW) - 1)
    if knot.ndim == 0:
        start, end = knots_KHW[int(knot)], knots_KHW[int(next_knot)]
    else:
        start, end = (knots_KHW.gather(0, index[None])[0] for index in (knot, next_knot))
    return start + (offset / STEPS_PER_KNOT) * (end - start)


@dataclass(frozen=True)
class _Levels:
    """Rounds positions of one channel outwards to whole levels, and widens them to hold the colour shown."""

    spans: coordinate.Spans
    shown_HW: Tensor

    @classmethod
    def over(cls, grey_HW: Tensor, shown_HW: np.ndarray, channel: int) -> "_Levels":
        return cls(coordinate.Spans.of(grey_HW, channel), _floats(shown_HW))

    def round_outwards(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Give the levels below and above positions."""
        low, high = self.spans.decode(lower).floor_(), self.spans.decode(upper).ceil_()
        return torch.minimum(low, self.shown_HW), torch.maximum(high, self.shown_HW)

    def hold(self, true_HW: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Whether the levels around the positions hold the true ones."""
        low, high = self.round_outwards(lower, upper)
        return (low <= true_HW) & (true_HW <= high)


def _floats(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.astype(np.float32))
