"""Averages what a network gives over shifted and mirrored views of a photo.

Strides make a network's answer depend on where the photo's pixels fall: a row less moves it all by a fraction of a
pixel. Shifts over the whole of a stride average that out, and so does mirroring.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.models.parameters import check

_SMALLEST = 16  # pixels: the side of a square that may be moved by up to 4


class View(NamedTuple):
    """How a view differs from the photo: moved up and to the left by so many pixels, then mirrored."""

    down: int
    right: int
    mirrored: bool


_FOUR = (View(-2, 2, False), View(2, -2, True), View(2, 2, False), View(-2, -2, True))
_EIGHT = (
    *(View(-3, 1, False), View(-1, -3, True), View(1, 3, False), View(3, -1, True)),
    *(View(-4, -2, False), View(-2, 4, True), View(2, -4, False), View(4, 2, True)),
)
VIEWS: Mapping[int, Sequence[View]] = {4: _FOUR, 8: _EIGHT}


def check_views(name: str, views: int, image_size: int) -> None:
    """Check how many views of a photo are averaged.

    Raises:
        ParamsError: names the parameter, its value and what is allowed.
    """
    check(views in (1, *VIEWS), name, views, f"be 1, {' or '.join(map(str, VIEWS))}")
    fits = views == 1 or image_size >= _SMALLEST
    check(fits, name, views, f"be 1 where image_size (={image_size}) is below {_SMALLEST}")


def average_over_views(run: Callable[[Tensor], Tensor], L_11SS: Tensor, views: int) -> Tensor:
    """Average what a network gives for views of a photo, each moved back to its place.

    Args:
        run: gives values (1, C, S / n, S / n) for lightness (1, 1, S, S). Where n is above 1, values are moved back by
            parts of their distance, and interpolated linearly.
        L_11SS: lightness of the photo.
        views: 1 for the photo alone, or a key of `VIEWS`.
    """
    if views == 1:
        return run(L_11SS)
    side, seen = L_11SS.shape[-1], []
    for down, right, mirrored in VIEWS[views]:
        view = _move(L_11SS, down, right)
        values = run(view.flip(-1)).flip(-1) if mirrored else run(view)
        scale = values.shape[-1] / side
        seen.append(_move(values, -down * scale, -right * scale))
    return torch.stack(seen).mean(dim=0)


def _move(x_BCSS: Tensor, down: float, right: float) -> Tensor:
    """Move up by `down` pixels and to the left by `right`; what comes in at the edges is mirrored."""
    side, margin = x_BCSS.shape[-1], math.ceil(max(abs(down), abs(right)))
    moved = F.pad(x_BCSS, (margin,) * 4, mode="reflect")
    for axis, distance in ((2, down), (3, right)):
        whole = math.floor(distance)
        first, weight = moved.narrow(axis, margin + whole, side), distance - whole
        moved = first if weight == 0 else torch.lerp(first, moved.narrow(axis, margin + whole + 1, side), weight)
    return moved
