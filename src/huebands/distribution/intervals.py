"""Nested intervals read off a histogram: they grow from its mode in order of density.

From the most likely bin an interval grows by the denser of its two neighbours (conformal histogram regression, Sesia &
Romano 2021, https://arxiv.org/abs/2105.08747), so it stays near the narrowest of its mass. How far it has grown is told
by its level: minus the logarithm of the density of what was taken in last. Of all ways to cover a given share of the
values, one level everywhere gives the least mean width, at the cost of those pixels that are hard to guess; levels that
are relative to each pixel's own entropy cover all pixels alike, and are wider. `evenness` goes from one to the other.
"""

import torch
from torch import Tensor

from huebands.distribution import positions

KNOTS = 24
PARTS = 4096  # of a position: ends are multiples of 1/PARTS, exact in float32; at most 0.05 of an 8-bit level off
_LOWEST, _HIGHEST = -2.5, 6.0  # levels of the knots, nats: from a sliver around the mode to 1 in 1000 outside
_TYPICAL_ENTROPY = 4.0  # nats: even over 55 of 256 levels; only keeps levels in the same range for every evenness
_NARROWEST = 0.25  # 8-bit levels: where sRGB leaves no room, bins have no width


def nested_intervals(log_probabilities_3BHW: Tensor, grey_HW: Tensor, evenness: float) -> tuple[Tensor, Tensor]:
    """Find the intervals at rising levels.

    Args:
        log_probabilities_3BHW: of B bins even over the positions [-1, 1].
        grey_HW: uint8, the grey level there: densities count per 8-bit level.
        evenness: 0 for the least mean width, 1 for levels relative to each pixel's entropy.

    Returns:
        Lower and upper ends, positions in [-1, 1], float (KNOTS + 1, 3, H, W) each: the lower never rise and the upper
        never fall from one knot to the next; the last is all that sRGB can show.
    """
    level_S, ends_2S = _grow(log_probabilities_3BHW, grey_HW, evenness)
    wanted = torch.linspace(_LOWEST, _HIGHEST, KNOTS).expand(*level_S.shape[:-1], KNOTS).contiguous()
    after = torch.searchsorted(level_S, wanted, right=True).clamp(1, level_S.shape[-1] - 1)
    level_before, level_after = level_S.gather(-1, after - 1), level_S.gather(-1, after)
    share = ((wanted - level_before) / (level_after - level_before).clamp_min(1e-9)).clamp(0, 1)
    bins = log_probabilities_3BHW.shape[1]
    knots = []
    for ends_S, outermost in zip(ends_2S, (-1.0, 1.0), strict=True):
        before, to = ends_S.gather(-1, after - 1), ends_S.gather(-1, after)
        ends = ((before + share * (to - before)) / bins * 2 - 1).movedim(-1, 0)
        knots.append(torch.cat((ends.clamp(-1, 1), torch.full_like(ends[:1], outermost))))
    lower, upper = knots
    return _whole(lower.cummin(dim=0).values), _whole(upper.cummax(dim=0).values)


def _whole(positions: Tensor) -> Tensor:
    """Round to whole parts, which keeps order: so that machines agree, and a page gets small numbers."""
    return (positions * PARTS).round_() / PARTS


def entropy_of(log_probabilities_3BHW: Tensor, grey_HW: Tensor) -> Tensor:
    """Entropy of each histogram's density over 8-bit levels, nats, (3, H, W)."""
    log_density_3BHW = _log_density(log_probabilities_3BHW, grey_HW)
    return -(log_probabilities_3BHW.exp() * log_density_3BHW).sum(dim=1)


def _log_density(log_probabilities_3BHW: Tensor, grey_HW: Tensor) -> Tensor:
    """Logarithm of the probability per 8-bit level."""
    bins = log_probabilities_3BHW.shape[1]
    edges = torch.linspace(-1, 1, bins + 1)[:, None, None, None].expand(-1, 3, *grey_HW.shape)
    values = positions.decode(edges, grey_HW).transpose(0, 1)
    return log_probabilities_3BHW - (values[:, 1:] - values[:, :-1]).clamp_min(_NARROWEST).log()


def _grow(log_probabilities_3BHW: Tensor, grey_HW: Tensor, evenness: float) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Levels, and ends in bins, after each step of growth: (3, H, W, bins + 1) each."""
    log_density = _log_density(log_probabilities_3BHW, grey_HW).transpose(0, 1)  # bins first
    beyond = torch.full_like(log_density[:1], -torch.inf)
    padded = torch.cat((beyond, log_density, beyond))
    added, mode = log_density.max(dim=0)
    lower, upper = mode, mode + 1
    # Before the first bin is full the interval grows from its centre.
    steps = [(-added - 1, mode + 0.5, mode + 0.5), (-added, lower.float(), upper.float())]
    for _ in range(len(log_density) - 1):
        left, right = (padded.gather(0, place[None])[0] for place in (lower, upper + 1))
        goes_left = (left >= right).long()
        lower, upper = lower - goes_left, upper + 1 - goes_left
        steps.append((-torch.maximum(left, right), lower.float(), upper.float()))
    level, low, high = (torch.stack(part, dim=-1) for part in zip(*steps, strict=True))
    reference = evenness * entropy_of(log_probabilities_3BHW, grey_HW) + (1 - evenness) * _TYPICAL_ENTROPY
    return level.cummax(dim=-1).values - reference[..., None], (low, high)
