"""The luminance constraint: the grey level is known, so bounds on two channels bound the third."""

from functools import cache

import numpy as np
import torch

from huebands import color
from huebands.loops import levels
from huebands.loops.srgb import starts_of

_WEIGHTS = color.RGB_TO_XYZ[1]
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
    linear = _linear()
    starts = starts_of(linear)
    levels.propagate(*bounds_N3, np.array(grey).ravel(), np.array(_WEIGHTS), *_luminance(), linear, starts)
    raised, lowered = (bound_N3.reshape(lower.shape) for bound_N3 in bounds_N3)
    return raised, lowered


@cache
def _linear() -> np.ndarray:
    """Linear light of each level in float64, (256,)."""
    return np.asarray(color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy())


@cache
def _luminance() -> tuple[np.ndarray, np.ndarray]:
    """Least and most luminance of each grey level, (256,) each."""
    edges = color.grey_edges().double().numpy()
    return np.concatenate(([-np.inf], edges)) - SLACK, np.concatenate((edges, [np.inf])) + SLACK
