"""FID and KID: how far colorizations as a set are from their truths, in Inception's features.

Row i of the results is the colorization of row i of the truths, so photos are resampled in pairs.
"""

import numpy as np

from huebands.statistics.bootstrap import Estimate, resampling_weights

_FID_RESAMPLES = 500  # each takes a singular value decomposition: a minute for 1000 photos
_KID_RESAMPLES = 2000


def fid(truths: np.ndarray, results: np.ndarray, seed: int) -> Estimate:
    """Find the Fréchet Inception distance (Heusel et al. 2017, https://arxiv.org/abs/1706.08500); 0 for equal sets.

    FID of few photos is larger than that of many of the same kind, and only figures of equally many photos can be
    compared. Resampling adds a bias of the same kind once more, so the replicates are centred on the value: the
    interval is of the mean of FID over sets of as many photos, not of its limit for many.

    Args:
        truths: (n, d), features of at least two photos.
        results: (n, d), features of their colorizations.
        seed: of the bootstrap over photos.

    Raises:
        ValueError: when the shapes differ or there are fewer than two photos.
    """
    _check(truths, results)
    # Covariances do not depend on it, and small numbers keep more digits.
    centre = truths.mean(axis=0, dtype=float)
    truth, result = truths - centre, results - centre
    grams = truth @ truth.T, result @ result.T, truth @ result.T
    photos = len(truths)
    value = _fid(*grams, np.full(photos, 1 / photos))
    replicates = [_fid(*grams, weights) for weights in _distinct(photos, _FID_RESAMPLES, seed)]
    return _centred(value, np.array(replicates), smallest=0.0)


def kid(truths: np.ndarray, results: np.ndarray, seed: int) -> Estimate:
    """Find the kernel Inception distance (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401), without bias.

    It is the squared maximum mean discrepancy under the kernel (x·y / d + 1)³, as a U-statistic over pairs of photos
    (Gretton et al. 2012, lemma 6). A photo is never compared with its own colorization, which depends on it; so the
    mean does not depend on how many photos there are. It may be negative.

    Args:
        truths: (n, d), features of at least two photos.
        results: (n, d), features of their colorizations.
        seed: of the bootstrap over photos.

    Raises:
        ValueError: when the shapes differ or there are fewer than two photos.
    """
    _check(truths, results)
    truth, result = truths.astype(float), results.astype(float)
    cross = _kernel(truth, result)
    pairs = _kernel(truth, truth) + _kernel(result, result) - cross - cross.T
    # A photo drawn twice would be compared with itself, which no two new photos are.
    np.fill_diagonal(pairs, 0)
    photos = len(truths)
    weights = _distinct(photos, _KID_RESAMPLES, seed)
    value = pairs.sum() / (photos * (photos - 1))
    replicates = np.sum(weights @ pairs * weights, axis=1) / (1 - np.sum(weights**2, axis=1))
    return _centred(float(value), replicates, smallest=-np.inf)


def _check(truths: np.ndarray, results: np.ndarray) -> None:
    if truths.ndim != 2 or truths.shape != results.shape:
        raise ValueError(f"features must pair as (n, d), got {truths.shape} for truths and {results.shape} for results")
    if len(truths) < 2:
        raise ValueError(f"a distance of sets needs at least 2 photos, got {len(truths)}")


def _distinct(photos: int, resamples: int, seed: int) -> np.ndarray:
    """Draw resamples that hold at least two different photos: of a single one there is no distribution."""
    weights = resampling_weights(photos, resamples, seed)
    return np.asarray(weights[weights.max(axis=1) < 1])


def _fid(truth_gram: np.ndarray, result_gram: np.ndarray, cross_gram: np.ndarray, weights: np.ndarray) -> float:
    """Find FID of weighted photos from the inner products of their features, each (n, n).

    With the centred features A and B of n photos, divided by sqrt(n - 1), the covariances are A'A and B'B, and the
    trace of the root of their product is the sum of the singular values of AB': an n x n problem, exact for any d.
    """
    drawn = weights > 0
    weights, square = weights[drawn], np.ix_(drawn, drawn)
    truth, result, cross = truth_gram[square], result_gram[square], cross_gram[square]
    photos = len(drawn)
    scale = photos / (photos - 1)  # of unbiased covariances
    means = weights @ (truth + result - 2 * cross) @ weights
    traces = scale * (_spread(truth, weights) + _spread(result, weights))
    centred = cross - (cross @ weights)[:, None] - weights @ cross + weights @ cross @ weights
    roots = np.sqrt(weights)
    singular = np.linalg.svd(roots[:, None] * centred * roots, compute_uv=False)
    # The distance of equal sets is 0, and rounding may make it negative.
    return max(float(means + traces - 2 * scale * singular.sum()), 0.0)


def _spread(gram: np.ndarray, weights: np.ndarray) -> float:
    """Trace of the weighted covariance, from inner products."""
    return float(weights @ np.diag(gram) - weights @ gram @ weights)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 3)


def _centred(value: float, replicates: np.ndarray, smallest: float) -> Estimate:
    """Take the percentiles of the replicates, moved until their mean is the value."""
    low, high = np.percentile(replicates - replicates.mean() + value, (2.5, 97.5))
    return Estimate(value, max(float(low), smallest), float(high), float(replicates.std()))
