"""Whether a promise about the expected loss is broken: an exact test by bets, and the interval that agrees with it."""

import math

import numpy as np

from huebands.statistics.losses import check_losses, check_probability
from huebands.statistics.risk_bounds import least_excluded

_SHARES = np.arange(1, 65) / 64  # of their wealth that bettors against a promise stake; they start with equal wealths


def broken_p(losses: np.ndarray, alpha: float) -> float:
    """Give the p-value of 'the expected loss is at most alpha': a small one says that the promise is broken.

    Bettors against the promise stake constant shares of their wealth on one loss after another at the odds 1/alpha. If
    the promise is kept, their mean wealth is no more than 1 on average at any time, and ever reaches 1/p with
    probability p at most (Ville's inequality; Waudby-Smith and Ramdas 2024, arXiv:2010.09686, section 4.1). So the
    p-value is exact for any number of photos and any distribution of the losses.

    Losses of photos vary less than losses of 0 and 1. Bets gain from that; Hoeffding-Bentkus, which takes the mean
    alone, does not. Of 33 photos whose losses vary as those of `paintings` do, with alpha 0.1 and p <= 0.025, an
    expected loss of 0.14 is found in 33% of the cases, 0.16 in 70%, 0.2 in 97%; by Hoeffding-Bentkus never.

    Args:
        losses: (n,) in [0, 1], of independent photos, in an order that has nothing to do with them.
        alpha: in [0, 1].

    Raises:
        RiskError: for no losses or losses out of range.
    """
    check_losses(losses)
    if alpha <= 0:
        return float(not losses.any())
    with np.errstate(divide="ignore"):  # a bettor with a share of 1 loses everything on a loss of 0: the logarithm of 0
        gains = np.log1p(_SHARES[:, None] * (losses / alpha - 1))
    log_wealth = np.logaddexp.reduce(np.cumsum(gains, axis=1), axis=0) - math.log(len(_SHARES))
    return math.exp(-max(float(log_wealth.max()), 0.0))


def mean_interval_exact(losses: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Find an interval that holds the expected loss with probability `confidence`, for any number of photos.

    Its ends are where `broken_p` of the losses, and of 1 - losses, starts to exclude: the test and the interval agree.

    Args:
        losses: (n,) in [0, 1], of independent photos; their order counts.
        confidence: in (0, 1), shared evenly by both ends.

    Returns:
        Lower and upper end, in [0, 1]; the mean loss lies between them.

    Raises:
        RiskError: for no losses, losses out of range or a confidence out of range.
    """
    check_probability("confidence", confidence)
    check_losses(losses)
    delta, mean = (1 - confidence) / 2, float(losses.mean())
    return min(_lower(losses, delta), mean), max(1 - _lower(1 - losses, delta), mean)


def _lower(losses: np.ndarray, delta: float) -> float:
    """The 1 - delta lower confidence bound of the expected loss by `broken_p`, rounded down."""
    return 1 - least_excluded(lambda gain: broken_p(losses, 1 - gain) <= delta)
