"""Nested boxes of R and B read off a joint histogram: they grow from its mode, a bin of one side at a time.

Of the four sides the one is moved that gains most probability for each 8-bit level of width; G's width counts too, as
far as luminance lets it follow R and B. So a box grows as an interval of `density.intervals` does (conformal histogram
regression, Sesia & Romano 2021, https://arxiv.org/abs/2105.08747), with two channels in place of one. Its level says
how far it has grown: minus the logarithm of the probability that the last level of width added. G has no ends of its
own: luminance bounds it once the box is known.
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands import color
from huebands.density.intervals import KNOTS, NARROWEST, TYPICAL_ENTROPY, knot_levels, position, widths_of_bins

_RED, _BLUE = 0, 2
_LEAST_MASS = 1e-9  # of a strip without probability: it is added last
# An 8-bit level of R, and of B, in linear light is as much luminance as this share of a level of G.
_FOLLOWS = {channel: color.RGB_TO_XYZ[1][channel] / color.RGB_TO_XYZ[1][1] for channel in (_RED, _BLUE)}


@dataclass(frozen=True)
class NestedBoxes:
    """The nested boxes of joint histograms, as `conformal.bands.Intervals`.

    Attributes:
        levels_TN: at which each of the T boxes of N samples is full; never falling.
        ends_4TN: int64, the first bin of R, the bin behind its last, and likewise of B.
        bins: of each side.
        size: height and width of the grid of samples.
    """

    levels_TN: Tensor
    ends_4TN: Tensor
    bins: int
    size: tuple[int, int]

    @classmethod
    def grow(cls, probabilities_QSS: Tensor, grey_SS: Tensor, entropy_SS: Tensor, adaptivity: float) -> Self:
        """Let the boxes grow.

        Args:
            probabilities_QSS: of the cells, as `density.joint` counts them.
            grey_SS: uint8.
            entropy_SS: of a channel's histogram, nats.
            adaptivity: 0 for the least mean width, 1 for levels relative to each sample's entropy.
        """
        cells, bins = len(probabilities_QSS), round(len(probabilities_QSS) ** 0.5)
        costs_2NK = torch.stack([_costs(grey_SS.flatten(), channel, bins) for channel in (_RED, _BLUE)])
        masses_NKK = probabilities_QSS.reshape(cells, -1).T.unflatten(1, (bins, bins))
        sums_NKK = F.pad(masses_NKK.cumsum(1).cumsum(2), (1, 0, 1, 0))
        areas_NKK = costs_2NK[0, :, :, None] * costs_2NK[1, :, None, :]
        mode_N = (masses_NKK / areas_NKK).flatten(1).argmax(dim=1)
        ends_4N = torch.stack((mode_N // bins, mode_N // bins + 1, mode_N % bins, mode_N % bins + 1))
        level_N = -(_mass(sums_NKK, ends_4N) / _cost_at(costs_2NK, ends_4N[::2]).sum(0)).log()
        levels, ends = [level_N], [ends_4N]
        for _ in range(2 * (bins - 1)):
            gain_N, ends_4N = _extend(sums_NKK, costs_2NK, ends[-1], bins)
            levels.append(torch.maximum(levels[-1], -gain_N.log()))
            ends.append(ends_4N)
        reference_N = adaptivity * entropy_SS.flatten() + (1 - adaptivity) * TYPICAL_ENTROPY
        height, width = grey_SS.shape
        return cls(torch.stack(levels) - reference_N, torch.stack(ends, dim=1), bins, (height, width))

    def knots(self, first: int, last: int, channel: int) -> tuple[Tensor, Tensor]:
        """Lower and upper ends of one channel at some knots, as `NestedIntervals.knots`; those of G never bind."""
        outermost = torch.ones(self.size)
        if channel not in (_RED, _BLUE):
            return tuple(side.expand(last - first, *self.size) for side in (-outermost, outermost))  # type: ignore[return-value]
        ends = [self._ends(level, channel) for level in knot_levels()[first:last]]
        if last > KNOTS:
            ends.append((-outermost, outermost))
        lower, upper = (torch.stack(side) for side in zip(*ends, strict=True))
        return lower, upper

    def _ends(self, level: float, channel: int) -> tuple[Tensor, Tensor]:
        lows_TN, highs_TN = self.ends_4TN[channel : channel + 2]
        reached_N = (self.levels_TN <= level).sum(dim=0)
        current, following = (reached_N - 1).clamp_min(0), reached_N.clamp_max(len(self.levels_TN) - 1)
        start_N, end_N = (_at(self.levels_TN, step) for step in (current, following))
        # Between one box and the next, the side moves in proportion to the level.
        share_N = ((level - start_N) / (end_N - start_N).clamp_min(1e-9)).clamp(0, 1)
        low, high = (
            _at(side, current) + share_N * (_at(side, following) - _at(side, current)) for side in (lows_TN, highs_TN)
        )
        # Before the first cell is full the box grows from its centre, within one level.
        full_N = self.levels_TN[0]
        half_N, growing = (level - full_N).add(1).clamp(0, 1) / 2, full_N > level
        low = torch.where(growing, lows_TN[0] + 0.5 - half_N, low)
        high = torch.where(growing, lows_TN[0] + 0.5 + half_N, high)
        return position(low, self.bins).view(self.size), position(high, self.bins).view(self.size)


def _costs(grey_N: Tensor, channel: int, bins: int) -> Tensor:
    """What each bin of a channel adds to the widths of the box and of G, 8-bit levels, (N, bins)."""
    return widths_of_bins(bins)[channel][:, grey_N.long()].T.clamp_min(NARROWEST) * (1 + _FOLLOWS[channel])


def _extend(sums_NKK: Tensor, costs_2NK: Tensor, ends_4N: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Move the best side of each box by a bin: the probability gained for each level of width, and the new ends."""
    # Each of the four sides is tried: the first axis says which side has moved, the second names the ends.
    moved_44N = ends_4N + torch.diag(torch.tensor([-1, 1, -1, 1]))[:, :, None]
    end_4N = moved_44N.diagonal().T  # of the side that has moved
    fits_4N = (end_4N >= 0) & (end_4N <= bins)
    moved_44N.clamp_(0, bins)
    added_4N = torch.minimum(end_4N, ends_4N).clamp(0, bins - 1)
    cost_4N = costs_2NK.repeat_interleave(2, dim=0).gather(2, added_4N[:, :, None])[:, :, 0]
    gain_4N = (_mass(sums_NKK, moved_44N.movedim(1, 0)) - _mass(sums_NKK, ends_4N)).clamp_min(_LEAST_MASS) / cost_4N
    gain_N, best_N = gain_4N.masked_fill(~fits_4N, 0).max(dim=0)
    return gain_N, moved_44N.gather(0, best_N.expand(1, 4, -1))[0]


def _mass(sums_NKK: Tensor, ends_4N: Tensor) -> Tensor:
    """Probability of boxes; ends are (4, ..., N)."""
    rows = torch.arange(len(sums_NKK))
    low_red, high_red, low_blue, high_blue = ends_4N
    return (
        sums_NKK[rows, high_red, high_blue] - sums_NKK[rows, low_red, high_blue]
        - sums_NKK[rows, high_red, low_blue] + sums_NKK[rows, low_red, low_blue]
    )  # fmt: skip


def _cost_at(costs_2NK: Tensor, bins_2N: Tensor) -> Tensor:
    return costs_2NK.gather(2, bins_2N[:, :, None])[:, :, 0]


def _at(steps_TN: Tensor, step_N: Tensor) -> Tensor:
    return steps_TN.gather(0, step_N[None])[0]
