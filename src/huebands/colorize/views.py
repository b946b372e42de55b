"""Averages a network's colours over shifted and mirrored views of a photo.

Strides make a network's colours depend on where the photo's pixels fall: a row less moves them all by a fraction of a
pixel. Shifts over the whole of a stride average that out, and so does mirroring.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_FARTHEST = 4  # pixels


class View(NamedTuple):
    """How a view differs from the photo: moved up and to the left by so many pixels, then mirrored."""

    down: int
    right: int
    mirrored: bool


_FOUR = (View(0, 0, False), View(2, 2, True), View(-2, 1, False), View(1, -2, True))
_EIGHT = (
    *(View(-3, 1, False), View(-1, -3, True), View(1, 3, False), View(3, -1, True)),
    *(View(-4, -2, False), View(-2, 4, True), View(2, -4, False), View(4, 2, True)),
)
VIEWS: Mapping[int, Sequence[View]] = {4: _FOUR, 8: _EIGHT}


def average_over_views(run: Callable[[Tensor], Tensor], L_11SS: Tensor, views: int) -> Tensor:
    """Average what a network gives for views of a photo, each moved back to its place.

    Args:
        run: gives colours (1, 2, S, S) for lightness (1, 1, S, S).
        L_11SS: lightness of the photo.
        views: 1 for the photo alone, or a key of `VIEWS`.
    """
    if views == 1:
        return run(L_11SS)
    seen = []
    for down, right, mirrored in VIEWS[views]:
        view = _move(L_11SS, down, right)
        ab_12SS = run(view.flip(3)).flip(3) if mirrored else run(view)
        seen.append(_move(ab_12SS, -down, -right))
    return torch.stack(seen).mean(dim=0)


def _move(x_1CSS: Tensor, down: int, right: int) -> Tensor:
    """Move by whole pixels; what comes in at the edges is mirrored."""
    side = x_1CSS.shape[-1]
    padded = F.pad(x_1CSS, (_FARTHEST,) * 4, mode="reflect")
    top, left = _FARTHEST + down, _FARTHEST + right
    return padded[..., top : top + side, left : left + side]
