"""The family of nested bands of one photo, at the photo's own size: all that shapes a band is in here.

Step 0 is a sliver around the mode of each pixel's distribution, the last step all that sRGB can show at the pixel's
grey level. Between the knots of `distribution.nested_intervals` positions are interpolated; lower bounds are rounded
down, upper ones up, and the colour shown is taken in. Calibration scores photos with the very functions that make
bands: the first step whose band holds the true value. So whatever shapes bands is calibrated.

Bands never shrink from step to step, exactly, since each operation keeps order in floating point too: weights are never
negative, and rounding to nearest never swaps two numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from huebands.distribution import positions
from huebands.distribution.intervals import KNOTS

STEPS_PER_KNOT = 12
STEPS = KNOTS * STEPS_PER_KNOT + 1
CHANNELS = ("R", "G", "B")
_TILE = 1 << 16  # pixels handled at once


@dataclass(frozen=True)
class NestedBands:
    """The nested bands of a photo.

    Attributes:
        shown_HW3: uint8, the colorization.
        grey_HW: uint8, `color.grey_levels` of the photo.
        lower_K3SS: float32 (KNOTS + 1, 3, S, S), lower ends of the knots as `nested_intervals` gives them.
        upper_K3SS: likewise, upper ends.
    """

    shown_HW3: np.ndarray
    grey_HW: np.ndarray
    lower_K3SS: Tensor
    upper_K3SS: Tensor

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Give the bands at a step.

        Args:
            steps: integers in 0..STEPS-1, (3,) for R, G and B, or (H, W, 3) for each value its own.

        Returns:
            uint8 (H, W, 3, 2) = [lower, upper]; lower <= shown <= upper.
        """
        bands_HW32 = np.empty((*self.shown_HW3.shape, 2), np.uint8)
        for rows in self._tiles():
            grey, grid = self._grey(rows), self._grid(rows)
            for channel in range(3):
                own = steps[..., channel] if steps.ndim == 1 else steps[rows, :, channel]
                step = torch.from_numpy(np.array(own, np.int64))
                knot, part = step // STEPS_PER_KNOT, step % STEPS_PER_KNOT
                first, last = int(knot.min()), min(int(knot.max()) + 2, KNOTS + 1)
                ends = (grid.up(knots[first:last, channel]) for knots in (self.lower_K3SS, self.upper_K3SS))
                start, end = (_between(of, knot - first, part) for of in ends)
                shown = torch.from_numpy(self.shown_HW3[rows, :, channel].astype(np.float32))
                lower, upper = _round(start, end, grey, shown, channel)
                bands_HW32[rows, :, channel] = torch.stack((lower, upper), dim=-1).to(torch.uint8).numpy()
        return bands_HW32

    def first_steps(self, true_HW3: np.ndarray) -> np.ndarray:
        """Score a photo: the first step at which the band holds the true value, uint16 (H, W, 3).

        Args:
            true_HW3: uint8, of the same grey levels.
        """
        steps_HW3 = np.empty(true_HW3.shape, np.uint16)
        for rows in self._tiles():
            grey, grid = self._grey(rows), self._grid(rows)
            for channel in range(3):
                lower_KHW, upper_KHW = (grid.up(knots[:, channel]) for knots in (self.lower_K3SS, self.upper_K3SS))
                true, shown = (
                    torch.from_numpy(of[rows, :, channel].astype(np.float32)) for of in (true_HW3, self.shown_HW3)
                )
                missed = ~_holds(lower_KHW, upper_KHW, grey, shown, true, channel)
                knot = missed.sum(dim=0).clamp(1, KNOTS)  # the first that holds it; before it lies the last that misses
                ends = [of.gather(0, torch.stack((knot - 1, knot))) for of in (lower_KHW, upper_KHW)]
                low = torch.zeros_like(knot)  # misses, or is the answer
                high = STEPS_PER_KNOT * missed[0].long()  # holds
                while int((high - low).max()) > 1:
                    middle = (low + high) // 2
                    start, end = (_between(of, torch.zeros_like(knot), middle) for of in ends)
                    holds = _holds(start, end, grey, shown, true, channel)
                    low, high = torch.where(holds, low, middle), torch.where(holds, middle, high)
                steps_HW3[rows, :, channel] = ((knot - 1) * STEPS_PER_KNOT + high).numpy().astype(np.uint16)
        return steps_HW3

    def sampled(self, rows: slice, columns: slice) -> "NestedBands":
        """The same bands, to the bit, of some rows and columns alone."""
        grid = Grid.over(self.lower_K3SS.shape[-2:], self.grey_HW.shape, rows, columns)
        knots = (of.flatten(0, 1) for of in (self.lower_K3SS, self.upper_K3SS))
        lower, upper = (grid.up(of).unflatten(0, self.lower_K3SS.shape[:2]) for of in knots)
        return NestedBands(self.shown_HW3[rows, columns], self.grey_HW[rows, columns], lower, upper)

    def _tiles(self) -> Iterator[slice]:
        height, width = self.grey_HW.shape
        rows = max(_TILE // width, 1)
        for top in range(0, height, rows):
            yield slice(top, min(top + rows, height))

    def _grey(self, rows: slice) -> Tensor:
        return torch.from_numpy(np.array(self.grey_HW[rows]))

    def _grid(self, rows: slice) -> "Grid":
        return Grid.over(self.lower_K3SS.shape[-2:], self.grey_HW.shape, rows)


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
        rows_KHS = knots_KSS[:, before] * (1 - weight)[:, None] + knots_KSS[:, after] * weight[:, None]
        before, after, weight = self.columns
        return rows_KHS[..., before] * (1 - weight) + rows_KHS[..., after] * weight


def _samples(side: int, size: int, places: slice) -> tuple[Tensor, Tensor, Tensor]:
    center = (torch.arange(size, dtype=torch.float64)[places] + 0.5) * (side / size) - 0.5
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


def _round(lower: Tensor, upper: Tensor, grey: Tensor, shown: Tensor, channel: int) -> tuple[Tensor, Tensor]:
    """Whole levels around the positions, outwards, with the colour shown taken in."""
    low = positions.decode_channel(lower, grey, channel).floor()
    high = positions.decode_channel(upper, grey, channel).ceil()
    return torch.minimum(low, shown), torch.maximum(high, shown)


def _holds(lower: Tensor, upper: Tensor, grey: Tensor, shown: Tensor, true: Tensor, channel: int) -> Tensor:
    low, high = _round(lower, upper, grey, shown, channel)
    return (low <= true) & (true <= high)
