"""Nested intervals read off a histogram: they grow from its mode in order of density.

From the most likely bin an interval grows by the denser of its two neighbours (conformal histogram regression, Sesia &
Romano 2021, https://arxiv.org/abs/2105.08747), so it stays near the narrowest of its mass. Its level says how far it
has grown: minus the logarithm of the density of the bin that was added last. Of all ways to cover a given share of the
values, one level everywhere gives the least mean width, at the cost of those pixels that are hard to guess; levels that
are relative to each pixel's own entropy cover all pixels alike, and are wider. `adaptivity` goes from one to the other.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import torch
from torch import Tensor

from huebands.density import coordinate

KNOTS = 24
PARTS = 4096  # of a position: ends are multiples of 1/PARTS, exact in float32; at most 0.05 of an 8-bit level off
_LOWEST, _HIGHEST = -2.5, 6.0  # levels of the knots, nats: from a sliver around the mode to 1 in 1000 outside
_TYPICAL_ENTROPY = 4.0  # nats: even over 55 of 256 levels; only keeps levels in the same range for every adaptivity
_NARROWEST = 0.25  # 8-bit levels: where sRGB leaves no room, bins have no width


@dataclass(frozen=True)
class NestedIntervals:
    """The nested intervals of histograms; a knot is computed when it is asked for.

    Attributes:
        left_3BHW: the level at which an interval reaches a bin left of the mode; -inf from the mode on.
        right_3BHW: likewise on the right; -inf up to the mode.
        full_3HW: the level at which the mode's bin is full.
        mode_3HW: int64, the likeliest bin.
    """

    left_3BHW: Tensor
    right_3BHW: Tensor
    full_3HW: Tensor
    mode_3HW: Tensor

    @classmethod
    def grow(cls, log_probabilities_3BHW: Tensor, grey_HW: Tensor, adaptivity: float) -> Self:
        """Let the intervals grow.

        Args:
            log_probabilities_3BHW: of B bins even over the positions [-1, 1].
            grey_HW: uint8, the grey level there: densities count per 8-bit level.
            adaptivity: 0 for the least mean width, 1 for levels relative to each pixel's entropy.
        """
        log_density_3BHW = _log_density(log_probabilities_3BHW, grey_HW)
        reference = (
            adaptivity * _entropy(log_probabilities_3BHW, log_density_3BHW) + (1 - adaptivity) * _TYPICAL_ENTROPY
        )
        thinness, mode = (-log_density_3BHW).min(dim=1)
        levels = -log_density_3BHW - reference[:, None]
        bins = levels.shape[1]
        left, right = torch.empty_like(levels), torch.empty_like(levels)
        lowest = torch.full_like(thinness, -torch.inf)
        for side, order in ((left, range(bins - 1, -1, -1)), (right, range(bins))):
            highest = lowest
            for place in order:
                outside_mode = mode > place if side is left else mode < place
                highest = torch.where(outside_mode, torch.maximum(highest, levels[:, place]), lowest)
                side[:, place] = highest
        return cls(left, right, thinness - reference, mode)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.mode_3HW.shape[1:]
        return height, width

    def knots(self, first: int, last: int, channel: int) -> tuple[Tensor, Tensor]:
        """Lower and upper ends of one channel's intervals at some knots.

        Args:
            first: of the knots 0..KNOTS.
            last: behind the last of them.
            channel: 0, 1, 2 for R, G and B.

        Returns:
            Positions in [-1, 1], float (last - first, H, W) each, multiples of 1/PARTS: the lower never rise and the
            upper never fall from one knot to the next; the last knot is all that sRGB can show.
        """
        ends = [self._ends(level, channel) for level in _knot_levels()[first:last]]
        if last > KNOTS:
            outermost = torch.ones(self.size)
            ends.append((-outermost, outermost))
        lower, upper = (torch.stack(side) for side in zip(*ends, strict=True))
        return lower, upper

    def _ends(self, level: float, channel: int) -> tuple[Tensor, Tensor]:
        left_BHW, right_BHW = self.left_3BHW[channel], self.right_3BHW[channel]
        full, mode, bins = self.full_3HW[channel], self.mode_3HW[channel], len(left_BHW)
        low, high = bins - _count(left_BHW <= level), _count(right_BHW <= level)
        # Between the levels of one bin and the next, the end moves towards the next bin in proportion to the level.
        next_left = _at(left_BHW, low - 1).masked_fill_(low == 0, torch.inf)
        next_right = _at(right_BHW, high).masked_fill_(high == bins, torch.inf)
        current = torch.maximum(torch.maximum(_at(left_BHW, low), _at(right_BHW, high - 1)), full)
        following = torch.minimum(next_left, next_right)
        share = ((level - current) / (following - current).clamp_min_(1e-9)).clamp_(0, 1)
        grows = torch.isfinite(following)
        goes_left = (next_left <= next_right) & grows
        lower, upper = low - share * goes_left, high + share * (grows & ~goes_left)
        # Before the first bin is full the interval grows from its centre, within one level.
        half = (level - full).add_(1).clamp_(0, 1) / 2
        growing = full > level
        lower = torch.where(growing, mode + 0.5 - half, lower)
        upper = torch.where(growing, mode + 0.5 + half, upper)
        return _position(lower, bins), _position(upper, bins)


def nested_intervals(log_probabilities_3BHW: Tensor, grey_HW: Tensor, adaptivity: float) -> tuple[Tensor, Tensor]:
    """All knots of all channels, lower and upper ends: (KNOTS + 1, 3, H, W) each; see `NestedIntervals`."""
    intervals = NestedIntervals.grow(log_probabilities_3BHW, grey_HW, adaptivity)
    channels = zip(*(intervals.knots(0, KNOTS + 1, channel) for channel in range(3)), strict=True)
    lower, upper = (torch.stack(side, dim=1) for side in channels)
    return lower, upper


def _knot_levels() -> list[float]:
    return [float(level) for level in torch.linspace(_LOWEST, _HIGHEST, KNOTS)]


def _count(reached_BHW: Tensor) -> Tensor:
    """How many bins are reached, int64 (H, W)."""
    return reached_BHW.view(torch.uint8).sum(dim=0, dtype=torch.int32).long()


def _at(levels_BHW: Tensor, place_HW: Tensor) -> Tensor:
    return levels_BHW.gather(0, place_HW.clamp(0, len(levels_BHW) - 1)[None])[0]


def _position(end_in_bins: Tensor, bins: int) -> Tensor:
    """Round to whole parts, which keeps order: so that machines agree, and a page gets small numbers."""
    return ((end_in_bins / bins * 2 - 1) * PARTS).round_() / PARTS


def entropy_of(log_probabilities_3BHW: Tensor, grey_HW: Tensor) -> Tensor:
    """Entropy of each histogram's density over 8-bit levels, nats, (3, H, W)."""
    return _entropy(log_probabilities_3BHW, _log_density(log_probabilities_3BHW, grey_HW))


def _entropy(log_probabilities_3BHW: Tensor, log_density_3BHW: Tensor) -> Tensor:
    return -(log_probabilities_3BHW.exp() * log_density_3BHW).sum(dim=1)


def _log_density(log_probabilities_3BHW: Tensor, grey_HW: Tensor) -> Tensor:
    """Logarithm of the probability per 8-bit level."""
    bins = log_probabilities_3BHW.shape[1]
    widths_3BN = _log_widths(bins).flatten(0, 1).index_select(1, grey_HW.flatten().int())
    return log_probabilities_3BHW - widths_3BN.view(log_probabilities_3BHW.shape)


@cache
def _log_widths(bins: int) -> Tensor:
    """Logarithm of the width of each channel's bins in 8-bit levels, at each grey level: (3, bins, 256)."""
    with torch.inference_mode(False):
        edges = torch.linspace(-1, 1, bins + 1)[:, None, None, None].expand(-1, 3, 1, 256)
        values = coordinate.decode(edges, torch.arange(256, dtype=torch.uint8)[None])[:, :, 0]
        return (values[1:] - values[:-1]).clamp_min(_NARROWEST).log().transpose(0, 1).contiguous()
