"""The family of nested bands of one photo, at the photo's own size: all that shapes a band is in here.

Step 0 is a sliver around the mode of each pixel's distribution, the last step all that sRGB can show at the pixel's
grey level. Between the knots of `density.intervals` positions are interpolated; lower bounds are rounded
down, upper ones up, and the colour shown is taken in. Calibration scores photos with the very functions that make
bands: the first step whose band holds the true value. So whatever shapes bands is calibrated.

Bands never shrink from step to step, exactly, since each operation keeps order in floating point too: weights are never
negative, and rounding to nearest never swaps two numbers.
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
    """Intervals whose ends are all there: lower and upper ends of the knots, (KNOTS + 1, 3, S, S) each."""

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
        intervals: of its pixels' distributions, on a grid of samples.
    """

    shown_HW3: np.ndarray
    grey_HW: np.ndarray
    intervals: "Intervals"

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Give the bands at a step.

        Args:
            steps: integers in 0..STEPS-1, (3,) for R, G and B, or (H, W, 3) for each value its own.

        Returns:
            uint8 (H, W, 3, 2) = [lower, upper]; lower <= shown <= upper.
        """
        bands_3HW2 = np.empty((3, *self.grey_HW.shape, 2), np.uint8)  # each channel's in one piece
        for channel, bands_HW2 in enumerate(bands_3HW2):
            own = steps[..., channel]
            first, last = int(own.min()) // STEPS_PER_KNOT, min(int(own.max()) // STEPS_PER_KNOT + 2, KNOTS + 1)
            knots = self.intervals.knots(first, last, channel)
            for tile in self._tiles():
                step = torch.from_numpy(np.array(own if own.ndim == 0 else own[tile], np.int64))
                knot, part = step // STEPS_PER_KNOT - first, step % STEPS_PER_KNOT
                grid = self._grid(tile)
                start, end = (_between(grid.up(of), knot, part) for of in knots)
                levels = _Levels.over(self._grey(tile), self.shown_HW3[*tile, channel], channel)
                for bound, of in enumerate(levels.around(start, end)):
                    bands_HW2[*tile, bound] = of.to(torch.uint8).numpy()
        return np.moveaxis(bands_3HW2, 0, 2)

    def first_steps(self, true_HW3: np.ndarray) -> np.ndarray:
        """Score a photo: the first step at which the band holds the true value, uint16 (H, W, 3).

        Args:
            true_HW3: uint8, of the same grey levels.
        """
        steps_HW3 = np.empty(true_HW3.shape, np.uint16)
        knots = [self.intervals.knots(0, KNOTS + 1, channel) for channel in range(3)]
        for tile in self._tiles():
            grid, grey = self._grid(tile), self._grey(tile)
            for channel in range(3):
                lower_KHW, upper_KHW = (grid.up(of) for of in knots[channel])
                levels = _Levels.over(grey, self.shown_HW3[*tile, channel], channel)
                true = _floats(true_HW3[*tile, channel])
                missed = ~levels.hold(true, lower_KHW, upper_KHW)
                knot = missed.sum(dim=0).clamp(1, KNOTS)  # the first that holds it; before it lies the last that misses
                ends = [of.gather(0, torch.stack((knot - 1, knot))) for of in (lower_KHW, upper_KHW)]
                low = torch.zeros_like(knot)  # misses, or is the answer
                high = STEPS_PER_KNOT * missed[0].long()  # holds
                while int((high - low).max()) > 1:
                    middle = (low + high) // 2
                    start, end = (_between(of, torch.zeros_like(knot), middle) for of in ends)
                    holds = levels.hold(true, start, end)
                    low, high = torch.where(holds, low, middle), torch.where(holds, middle, high)
                steps_HW3[*tile, channel] = ((knot - 1) * STEPS_PER_KNOT + high).numpy().astype(np.uint16)
        return steps_HW3

    def sampled(self, rows: slice, columns: slice) -> "NestedBands":
        """The same bands, to the bit, of some rows and columns alone."""
        grid = Grid.over(self.intervals.size, self.grey_HW.shape, rows, columns)
        knots = [[grid.up(of) for of in self.intervals.knots(0, KNOTS + 1, channel)] for channel in range(3)]
        lower_K3HW, upper_K3HW = (torch.stack(of, dim=1) for of in zip(*knots, strict=True))
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

    rows: tuple[Tensor, Tensor, Tensor]  # samples before and after, weight of the one after
    columns: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def over(cls, samples: tuple[int, ...], size: tuple[int, ...], rows: slice, columns: slice = slice(None)) -> "Grid":
        """Lay so many samples, as (height, width), over a photo of size (height, width)."""
        return cls(_samples(samples[0], size[0], rows), _samples(samples[1], size[1], columns))

    def up(self, knots_KSS: Tensor) -> Tensor:
        """Interpolate (K, S, S), (K, H, W)."""
        before, after, weight = self.rows
        first, last = int(before[0]), int(after[-1]) + 1  # only the samples that these rows lie between
        left, right, part = self.columns
        samples_KSS = knots_KSS[:, first:last]
        samples_KSW = samples_KSS.index_select(2, left).mul_(1 - part)
        samples_KSW += samples_KSS.index_select(2, right).mul_(part)
        knots_KHW = samples_KSW.index_select(1, before - first).mul_((1 - weight)[:, None])
        knots_KHW += samples_KSW.index_select(1, after - first).mul_(weight[:, None])
        return knots_KHW


def _samples(side: int, size: int, places: slice) -> tuple[Tensor, Tensor, Tensor]:
    center = (torch.arange(*places.indices(size), dtype=torch.float64) + 0.5) * (side / size) - 0.5
    center = center.clamp(0, side - 1)
    before = center.floor().long().clamp_max(max(side - 2, 0))
    return before, (before + 1).clamp_max(side - 1), (center - before).float()


def _between(knots_KHW: Tensor, knot: Tensor, part: Tensor) -> Tensor:
    """Positions `part` / STEPS_PER_KNOT on the way from a knot to the next; knot and part are () or (H, W)."""
    after = (knot + 1).clamp_max(len(knots_KHW) - 1)
    if knot.ndim == 0:
        start, end = knots_KHW[int(knot)], knots_KHW[int(after)]
    else:
        start, end = (knots_KHW.gather(0, index[None])[0] for index in (knot, after))
    return start + (part / STEPS_PER_KNOT) * (end - start)


@dataclass(frozen=True)
class _Levels:
    """Whole levels of one channel around positions, with the colour shown taken in."""

    spans: coordinate.Spans
    shown_HW: Tensor

    @classmethod
    def over(cls, grey_HW: Tensor, shown_HW: np.ndarray, channel: int) -> "_Levels":
        return cls(coordinate.Spans.of(grey_HW, channel), _floats(shown_HW))

    def around(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Round outwards."""
        low, high = self.spans.decode(lower).floor_(), self.spans.decode(upper).ceil_()
        return torch.minimum(low, self.shown_HW), torch.maximum(high, self.shown_HW)

    def hold(self, true_HW: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Whether the levels around the positions hold the true ones."""
        low, high = self.around(lower, upper)
        return (low <= true_HW) & (true_HW <= high)


def _floats(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.astype(np.float32))
