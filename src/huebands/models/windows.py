"""Lets a network that takes squares look at a long photo without squashing it: in overlapping windows.

A long photo becomes a canvas whose short side is that of the network's square. Windows lie on it half a square apart,
and what the network gives for them is blended by weights that fall linearly from the middle of a window to its ends.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Answer = TypeVar("Answer")

_SQUARED = 2.0  # times the short side: up to this length a photo is squashed to one square
_LONGEST = 8.0  # times the short side: longer canvases are squashed to this length


def canvas_size(photo: tuple[int, int], side: int) -> tuple[int, int]:
    """Give the height and width of a photo's canvas.

    Args:
        photo: its height and width.
        side: of the network's square.

    Returns:
        A square, unless one side is more than twice as long as the other: then the longer one of the canvas is the
        whole number of half squares that is nearest to the photo's shape.
    """
    height, width = photo
    length = min(max(height, width) / min(height, width), _LONGEST)
    if length <= _SQUARED:
        return side, side
    longer = round(2 * length) * side // 2
    return (longer, side) if height > width else (side, longer)


def run_in_windows(run: Callable[[Tensor], Answer], canvas_11HW: Tensor) -> list[Answer]:
    """Run a network on each window of a canvas.

    Args:
        run: takes (1, 1, S, S).
        canvas_11HW: of `canvas_size`.

    Returns:
        What it gives for each window, from the top or the left on.
    """
    height, width = canvas_11HW.shape[-2:]
    side = min(height, width)
    return [
        run(canvas_11HW[..., top : top + side, left : left + side])
        for top in range(0, height - side + 1, side // 2)
        for left in range(0, width - side + 1, side // 2)
    ]


def blend(windows_1CSS: Sequence[Tensor], canvas: tuple[int, int]) -> Tensor:
    """Blend what a network gave for the windows of a canvas.

    Args:
        windows_1CSS: of each window, in `run_in_windows`' order; S divides the canvas's short side.
        canvas: its height and width.

    Returns:
        (1, C, h, w), in the canvas's shape; a single window is given back as it is.
    """
    if len(windows_1CSS) == 1:
        return windows_1CSS[0]
    side, is_tall = windows_1CSS[0].shape[-1], canvas[0] > canvas[1]
    place_S = torch.arange(side)
    weight_S = torch.minimum(place_S + 1, side - place_S).float()
    length = max(canvas) * side // min(canvas)
    total = torch.zeros(*windows_1CSS[0].shape[:-2], length, side)
    weights_L1 = torch.zeros(length, 1)
    for start, window_1CSS in zip(range(0, length - side + 1, side // 2), windows_1CSS, strict=True):
        upright_1CSS = window_1CSS if is_tall else window_1CSS.mT
        total[..., start : start + side, :] += upright_1CSS * weight_S[:, None]
        weights_L1[start : start + side] += weight_S[:, None]
    blended = total / weights_L1
    return blended if is_tall else blended.mT
