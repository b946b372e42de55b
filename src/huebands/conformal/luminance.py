"""The luminance constraint: the grey level is known, so bounds on two channels bound the third."""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from huebands import color
from huebands.loops import levels
from huebands.loops.srgb import starts_of

SLACK = 1e-6  # of luminance: grey levels are found in float32, whose error is below 3e-7


def propagate(lower: np.ndarray, upper: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tighten the bounds of each channel by those of the other two, until no bound changes.

    Luminance rises with every channel, so R is largest when G and B are at their lower bounds. A colour of this grey
    level inside the bounds stays inside. Where no colour fits, bounds may cross.

    Args:
        lower: uint8 (..., 3).
        upper: uint8 (..., 3).
        grey: uint8 (...), `color.grey_levels` of the true colours.

    Returns:
        Lower and upper bounds, uint8 (..., 3).
    """
    bounds_N3 = np.array(lower).reshape(-1, 3), np.array(upper).reshape(-1, 3)
    levels.propagate(*bounds_N3, np.array(grey).ravel(), *_tables())
    raised, lowered = (bound_N3.reshape(lower.shape) for bound_N3 in bounds_N3)
    return raised, lowered


@cache
def _tables() -> tuple[NDArray[Any], ...]:
    """What `levels.propagate` needs: channel weights, luminance of grey levels, linear light and its starts."""
    linear = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy()
    edges = color.grey_edges().double().numpy()
    darkest, brightest = np.concatenate(([-np.inf], edges)) - SLACK, np.concatenate((edges, [np.inf])) + SLACK
    return np.array(color.RGB_TO_XYZ[1]), darkest, brightest, linear, starts_of(linear)
