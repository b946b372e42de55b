"""The luminance constraint: the grey level is known, so bounds on two channels bound the third."""

from functools import cache

import numpy as np
import torch

from huebands import color, loops

_WEIGHTS = color.RGB_TO_XYZ[1]
_CELLS = 4096  # of linear light, narrower than the distance of neighbouring levels
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
    tables = np.array(_WEIGHTS), *_luminance(), _linear(), _starts()
    loops.propagate(*bounds_N3, np.array(grey).ravel(), *tables)
    raised, lowered = (bound_N3.reshape(lower.shape) for bound_N3 in bounds_N3)
    return raised, lowered


@cache
def _linear() -> np.ndarray:
    """Linear light of each level in float64, (257,); the last, infinite, is above every level."""
    levels = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy()
    return np.append(levels, np.inf)


@cache
def _starts() -> np.ndarray:
    """How many levels lie below each cell of linear light; a cell holds one level at most."""
    return np.searchsorted(_linear(), np.arange(_CELLS + 1) / _CELLS)


@cache
def _luminance() -> tuple[np.ndarray, np.ndarray]:
    """Least and most luminance of each grey level, (256,) each."""
    edges = color.grey_edges().double().numpy()
    return np.concatenate(([-np.inf], edges)) - SLACK, np.concatenate((edges, [np.inf])) + SLACK
