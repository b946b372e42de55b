"""The bootstrap over photos: how far a figure might lie from its value on new photos of the same kind."""

import math
from dataclasses import dataclass

import numpy as np

_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Estimate:
    """A figure over photos.

    Attributes:
        value: of the photos at hand.
        low: lower end of its 95% interval.
        high: upper end.
        standard_error: its standard deviation over other photos; 0 for a single photo, which does not show it.
    """

    value: float
    low: float
    high: float
    standard_error: float


def resampling_weights(photos: int, resamples: int, seed: int) -> np.ndarray:
    """Draw resamples of as many photos as there are, with replacement.

    Returns:
        (resamples, photos): how often each photo is drawn, divided by `photos`; each row sums to 1.
    """
    draws = np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), size=resamples)
    return draws / photos


def mean_interval(
    values: np.ndarray,
    weights: np.ndarray,
    bounds: tuple[float, float] = _UNBOUNDED,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Find an interval of the mean of independent values by the bootstrap-t (Efron & Tibshirani 1993, chapter 12).

    A few photos err much and most err little: the plain percentiles of the means are too narrow for such skew.

    Args:
        values: (n,), one a photo.
        weights: (resamples, n), of `resampling_weights`.
        bounds: the least and the greatest value that there can be; the interval is cut to them.
        confidence: in (0, 1), shared evenly by both ends; the resamples must reach that far.

    Returns:
        Lower and upper end. Equal values, and so a single photo, do not show their spread: the interval is the
        point. Resamples of up to three photos have no spread too often: the interval reaches the bounds, as it does
        when a value is infinite.
    """
    if np.all(values == values[0]):
        return float(values[0]), float(values[0])
    if not np.all(np.isfinite(values)):
        return bounds
    mean, spread = values.mean(), values.std()
    deviations = values - mean
    shifts = weights @ deviations
    spreads = np.sqrt(np.maximum(weights @ deviations**2 - shifts**2, 0))
    # A resample without spread, which only a handful of photos is likely to give, lies infinitely far off.
    ratios = np.divide(shifts, spreads, out=np.copysign(np.inf, shifts), where=spreads > 1e-9 * spread)
    tail = 50 * (1 - confidence)
    lowest, highest = np.percentile(ratios, (tail, 100 - tail), method="nearest")
    return float(max(mean - highest * spread, bounds[0])), float(min(mean - lowest * spread, bounds[1]))
