"""How well a map of uncertainty tells where a photo's colours are wrong.

The sparsification error (Ilg et al. 2018, "Uncertainty estimates and multi-hypotheses networks for optical flow",
https://arxiv.org/abs/1802.07095): pixels are removed in order of falling uncertainty, and the mean error of those that
remain is drawn against the share removed. The oracle removes them in order of the error itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Bin:
    """Pixels of similar predictions: how many of all, as a share, and their mean prediction and error."""

    share: float
    predicted: float
    observed: float


def sparsification(uncertainty_N: Values, error_N: Values) -> float:
    """Area between the curve of a map and the oracle's, as a share of that between chance and the oracle.

    Pixels that the map does not tell apart count as removed in random order.

    Args:
        uncertainty_N: value of the map at each pixel.
        error_N: true error there, not negative.

    Returns:
        0 for an oracle, 1 for chance, more where the map is worse than chance; NaN where all errors are equal.
    """
    error_N = np.asarray(error_N, np.float64)
    if np.ptp(error_N) == 0:
        return float("nan")
    _, ties, counts = np.unique(uncertainty_N, return_inverse=True, return_counts=True)
    means = np.bincount(ties, error_N) / counts
    area = _area(means[np.sort(ties)])
    oracle = _area(np.sort(error_N))
    return float((area - oracle) / (error_N.mean() - oracle))


def rank_correlation(uncertainty_N: Values, error_N: Values) -> float:
    """Spearman's rank correlation in [-1, 1]: 0 for a map that is even, NaN where all errors are equal."""
    if np.ptp(error_N) == 0:
        return float("nan")
    if np.ptp(uncertainty_N) == 0:
        return 0.0
    return float(spearmanr(uncertainty_N, error_N).statistic)


def reliability(predicted_N: Values, observed_N: Values, weights_N: Values, bins: int) -> list[Bin]:
    """Compare predicted with observed errors among pixels of similar predictions.

    Args:
        predicted_N: error that was predicted at each pixel.
        observed_N: true error there.
        weights_N: weights of the pixels, above 0.
        bins: of nearly equal weight, by rising prediction; a bin that no pixel falls into is left out.
    """
    order = np.argsort(predicted_N, kind="stable")
    predicted, observed, weights = (
        np.asarray(values, np.float64)[order] for values in (predicted_N, observed_N, weights_N)
    )
    middles = (np.cumsum(weights) - weights / 2) / weights.sum()
    places = np.minimum((middles * bins).astype(int), bins - 1)
    mass = np.bincount(places, weights, bins)
    sums = (np.bincount(places, weights * values, bins) for values in (predicted, observed))
    return [
        Bin(float(share), float(total / own), float(true / own))
        for share, own, total, true in zip(mass / weights.sum(), mass, *sums, strict=True)
        if own > 0
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance between predicted and observed error over bins, weighted by their shares; in units of the error."""
    return sum(part.share * abs(part.predicted - part.observed) for part in bins)


def _area(rising_N: Values) -> float:
    """Mean over n of the mean of the n least uncertain pixels' errors, which come first."""
    return float((np.cumsum(rising_N) / np.arange(1, len(rising_N) + 1)).mean())
