"""The luminance constraint: the grey level is known, so bounds on two channels bound the third."""

import numpy as np

from huebands import color

_WEIGHTS = color.RGB_TO_XYZ[1]
_SLACK = 1e-6  # of luminance: grey levels are found in float32, whose error is below 3e-7


def propagate(lower: np.ndarray, upper: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tighten the bounds of each channel by those of the other two, until nothing moves.

    Luminance rises with every channel: R is at most what it would be were G and B at their lower bounds. A colour of
    this grey level inside the bounds stays inside. Where no colour fits, bounds may cross.

    Args:
        lower: uint8 (..., 3).
        upper: uint8 (..., 3).
        grey: uint8 (...), `color.grey_levels` of the true colours.

    Returns:
        Lower and upper bounds, uint8 (..., 3).
    """
    linear = _linear()
    least, most = (edges[grey.astype(np.intp)] for edges in _luminance())
    lower, upper = lower.astype(np.intp), upper.astype(np.intp)
    while True:
        low, high = linear[lower] * _WEIGHTS, linear[upper] * _WEIGHTS
        below = (least[..., None] - (high.sum(axis=-1, keepdims=True) - high)) / _WEIGHTS
        above = (most[..., None] - (low.sum(axis=-1, keepdims=True) - low)) / _WEIGHTS
        # Where no level is high or low enough, the last one stands: else bounds would move for ever.
        raised = np.maximum(lower, np.searchsorted(linear, below, side="left").clip(max=255))
        lowered = np.minimum(upper, np.searchsorted(linear, above, side="right").clip(min=1) - 1)
        if np.array_equal(raised, lower) and np.array_equal(lowered, upper):
            return lower.astype(np.uint8), upper.astype(np.uint8)
        lower, upper = raised, lowered


def _linear() -> np.ndarray:
    import torch

    return np.asarray(color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy())


def _luminance() -> tuple[np.ndarray, np.ndarray]:
    """Least and most luminance of each grey level, (256,) each."""
    edges = color.grey_edges().double().numpy()
    return np.concatenate(([-np.inf], edges)) - _SLACK, np.concatenate((edges, [np.inf])) + _SLACK
