"""Upper bounds of the expected value of losses in [0, 1], for any distribution of the losses.

They hold with probability 1 - delta over the draw of the photos, which must be independent (Bates, Angelopoulos, Lei,
Malik, Jordan 2021, arXiv:2101.02703). Hoeffding-Bentkus takes the mean loss alone, and is hard to improve on
for losses of 0 and 1. Waudby-Smith-Ramdas bets on one photo after another, and is tighter where losses vary little.
"""

import math
from collections.abc import Callable

import numpy as np

from huebands.statistics.losses import SLACK, check_losses, check_probability

_HALVINGS = 50  # of [0, 1], down to the spacing of floating point numbers


def hoeffding_bentkus_p(mean: np.ndarray, photos: int, alpha: float) -> np.ndarray:
    """Give the p-value of 'the expected loss is at least alpha' by the mean loss (Bates et al. 2021).

    Hoeffding's and Bentkus' inequalities bound the same chance, of so small a mean, so the smaller one holds.

    Args:
        mean: (...) in [0, 1], each of n independent losses in [0, 1].
        photos: n.
        alpha: in [0, 1].

    Returns:
        (...) in [0, 1]; 1 for a mean of alpha and above. It falls as alpha rises.
    """
    from scipy import special  # a machine that only trains imports this module, and has torch and numpy alone

    low = np.minimum(mean, alpha)
    divergence = special.rel_entr(low, alpha) + special.rel_entr(1 - low, 1 - alpha)
    # A whole sum, as of losses of 0 and 1, must not be rounded up to the next.
    at_most = np.ceil(photos * (mean - SLACK))
    bentkus = math.e * special.bdtr(at_most, photos, alpha)
    return np.asarray(np.minimum(np.exp(-photos * divergence), bentkus))


def waudby_smith_ramdas_log_wealth(losses: np.ndarray, alpha: float, delta: float) -> np.ndarray:
    """Give the greatest wealth of a bettor against 'the expected loss is at least alpha' (Bates et al. 2021).

    If it is, the wealth is no more than 1 on average at any time, and exceeds 1/delta with probability delta at most
    (Ville's inequality). The stake on a photo follows from the photos before it, so their order counts: it must have
    nothing to do with their losses.

    Args:
        losses: (n, ...) in [0, 1], of independent photos in the order of the bets.
        alpha: in [0, 1].
        delta: the level that the stakes are tuned to.

    Returns:
        (...): logarithm of the greatest wealth. It rises with alpha.
    """
    count = np.arange(1, len(losses) + 1).reshape(-1, *[1] * (losses.ndim - 1))
    means = (1 / 2 + np.cumsum(losses, axis=0)) / (1 + count)
    variances = (1 / 4 + np.cumsum((losses - means) ** 2, axis=0)) / (1 + count)
    variances_before = np.concatenate([np.full_like(variances[:1], 1 / 4), variances[:-1]])
    stakes = np.minimum(1, np.sqrt(2 * math.log(1 / delta) / (len(losses) * variances_before)))
    with np.errstate(divide="ignore"):  # a bettor may lose everything: the logarithm of 0
        gains = np.log1p(-stakes * (losses - alpha))
    return np.asarray(np.cumsum(gains, axis=0).max(axis=0))


def hoeffding_bentkus_upper(losses: np.ndarray, delta: float) -> float:
    """Give the 1 - delta upper confidence bound of the expected loss by `hoeffding_bentkus_p`.

    Args:
        losses: (n,) in [0, 1], of independent photos.
        delta: in (0, 1).

    Raises:
        RiskError: for no losses, losses out of range or a delta out of range.
    """
    _check(losses, delta)
    mean, photos = losses.mean(), len(losses)
    return least_excluded(lambda risk: bool(hoeffding_bentkus_p(mean, photos, risk) <= delta))


def waudby_smith_ramdas_upper(losses: np.ndarray, delta: float) -> float:
    """Give the 1 - delta upper confidence bound of the expected loss by `waudby_smith_ramdas_log_wealth`.

    Takes and raises what `hoeffding_bentkus_upper` does; the order of the losses counts.
    """
    _check(losses, delta)
    return least_excluded(lambda risk: bool(waudby_smith_ramdas_log_wealth(losses, risk, delta) > math.log(1 / delta)))


def mean_upper(losses: np.ndarray, delta: float) -> float:
    """Give the tighter of both upper bounds of the expected loss; it holds with probability 1 - delta.

    Each is taken at delta/2: then both hold at once with probability 1 - delta (union bound), and so does the one that
    happens to be smaller. It is never below the mean loss, as a bettor's could be by a strange order of photos.
    Takes and raises what `hoeffding_bentkus_upper` does.
    """
    _check(losses, delta)
    bound = min(hoeffding_bentkus_upper(losses, delta / 2), waudby_smith_ramdas_upper(losses, delta / 2))
    return max(bound, float(losses.mean()))


def least_excluded(excluded: Callable[[float], bool]) -> float:
    """Find the least risk in [0, 1] that is excluded, as all above it are, rounded up; 1 when none is."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high


def _check(losses: np.ndarray, delta: float) -> None:
    check_probability("delta", delta)
    check_losses(losses)
