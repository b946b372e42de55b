"""Hints as a person might give them, drawn from the true colours of photos.

Most photos get few hints: their number has a geometric distribution from 0 on, with a mean of 7, so an eighth of the
photos gets none. A hint is a square of up to 1/28 of the photo's side, more often near the middle than at the edges,
and shows the mean colour of what it covers.

Source: Zhang et al., 2017, https://arxiv.org/abs/1705.02999, section 3.2; there the number begins at 1, and some photos
get all of their colours.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_CHANCE_OF_NO_MORE = 1 / 8
_MOST = 64  # hints of one photo
_LARGEST = 1 / 28  # side of a hint's square, of the photo's
_SPREAD = 1 / 4  # deviation of a hint's place from the middle, of the photo's side


def simulate_hints(ab_unit_B2SS: Tensor, random: torch.Generator | None = None) -> Tensor:
    """Draw hints.

    Args:
        ab_unit_B2SS: true colours.
        random: on the CPU; None: torch's global generator.

    Returns:
        As `Condition.hints_B3SS`: (B, 3, S, S), on the colours' device.
    """
    side = ab_unit_B2SS.shape[-1]
    largest = max(1, round(_LARGEST * side))
    hints = F.pad(torch.zeros_like(ab_unit_B2SS), (0, 0, 0, 0, 0, 1))
    uniform_B = torch.rand(len(ab_unit_B2SS), generator=random).clamp_min(1e-12)
    numbers = (uniform_B.log() / math.log(1 - _CHANCE_OF_NO_MORE)).floor().clamp_max(_MOST).int().tolist()
    for hints_3SS, ab_unit_2SS, number in zip(hints, ab_unit_B2SS, numbers, strict=True):
        sizes = torch.randint(1, largest + 1, (number,), generator=random)
        middles = side * (0.5 + _SPREAD * torch.randn(number, 2, generator=random))
        corners = (middles - sizes[:, None] / 2).round().long().clamp_min(0)
        corners = torch.minimum(corners, side - sizes[:, None])
        for size, (top, left) in zip(sizes.tolist(), corners.tolist(), strict=True):
            square = (..., slice(top, top + size), slice(left, left + size))
            hints_3SS[:2][square] = ab_unit_2SS[square].mean(dim=(1, 2), keepdim=True)
            hints_3SS[2][square[1:]] = 1
    return hints


def pool_hints(hints_B3SS: Tensor, stride: int) -> Tensor:
    """Give every place of a coarser map the mean colour of the hints on it and 1, or zeros: (B, 3, S / n, S / n)."""
    sums = F.avg_pool2d(hints_B3SS, stride) * stride**2
    count = sums[:, 2:]
    return torch.cat((sums[:, :2] / count.clamp_min(1), count.clamp_max(1)), dim=1)
