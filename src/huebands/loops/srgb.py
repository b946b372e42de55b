"""Grey levels and shown colours of whole photos, by the loops of `levels`."""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands import color
from huebands.loops import levels

_CELLS = 4096  # of light


def grey_levels(rgb_N3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As `color.grey_levels`, of sRGB pixels, fifteen times as fast."""
    return levels.grey_levels(np.array(rgb_N3), *_grey_tables())


def shown_levels(lab_3HW: Tensor) -> Tensor:
    """Fit CIELAB to the gamut and round it to 8-bit sRGB.

    `color.fit_to_gamut`, `lab_to_srgb` and `to_bytes` do the same, five times slower. They differ in at most 3 of 10^6
    values, by one level, where the rounding of float32 decides.

    Args:
        lab_3HW: float32 on the CPU.

    Returns:
        uint8 (3, H, W).
    """
    L_HW, ab_2HW = np.ascontiguousarray(lab_3HW[0].numpy()), np.ascontiguousarray(lab_3HW[1:].numpy())
    return torch.from_numpy(levels.shown_levels(L_HW, ab_2HW, color.GAMUT_STEPS, *_shown_tables())).permute(2, 0, 1)


def starts_of(edges: NDArray[Any]) -> NDArray[np.int64]:
    """How many edges of light lie below the start of each cell, see `levels`."""
    return np.searchsorted(edges, np.arange(_CELLS) / _CELLS)


@cache
def _grey_tables() -> tuple[NDArray[Any], ...]:
    linear = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).float().numpy()
    edges = color.grey_edges().numpy()
    return linear, np.array(color.RGB_TO_XYZ[1], np.float32), edges, starts_of(edges)


@cache
def _shown_tables() -> tuple[NDArray[Any], ...]:
    cpu = torch.device("cpu")
    _, from_xyz, white = color.constants(torch.float32, cpu)
    curve = np.array([color.LINE_END, color.OFFSET, color.SLOPE], np.float32)
    edges, gamut = _level_edges(), color.gamut_of_bytes(torch.float32, cpu).numpy()
    return curve, from_xyz.numpy(), white.flatten().numpy(), gamut, edges, starts_of(edges)


def _level_edges() -> NDArray[np.float32]:
    """The least linear light that `color.to_bytes` rounds to each of the levels 1 to 255, found by bisection."""
    shown = np.arange(1, 256)
    # The bits of positive floats, as integers, are in their order.
    low, high = np.zeros(255, np.int32), np.full(255, np.float32(1).view(np.int32))
    while (high - low).max() > 1:
        middle = (low + high) // 2
        light = torch.from_numpy(middle.view(np.float32))
        is_reached = color.to_bytes(color.linear_to_srgb(light)).numpy() >= shown
        low, high = np.where(is_reached, low, middle), np.where(is_reached, middle, high)
    return high.view(np.float32)
