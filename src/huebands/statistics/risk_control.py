"""The first step of nested bands whose expected loss is at most alpha.

Conformal risk control (`first_step`) keeps it on average over calibrations, for exchangeable photos. The
risk-controlling prediction set (`rcps_step`) keeps it with probability 1 - delta over the draw of the photos, which
must be independent.
"""

import math

import numpy as np

from huebands.statistics.losses import SLACK, RiskError, check_losses, check_probability
from huebands.statistics.risk_bounds import hoeffding_bentkus_p, waudby_smith_ramdas_log_wealth


def first_step(losses: np.ndarray, alpha: float) -> np.ndarray:
    """Find the first step whose expected loss on the next photo is at most alpha, on average over calibrations.

    Args:
        losses: float64 (n, ..., T) in [0, 1]; they never rise along the last axis and end at 0.
        alpha: at least 1/(n + 1), as callers check.

    Returns:
        int64 (...), see `first_step_of_sums`.
    """
    return first_step_of_sums(losses.sum(axis=0), len(losses), alpha)


def first_step_of_sums(sums: np.ndarray, photos: int | np.ndarray, alpha: float) -> np.ndarray:
    """Find the first step with (sum + 1)/(n + 1) <= alpha (Angelopoulos et al. 2024, arXiv:2208.02814).

    Args:
        sums: float64 (..., T), over photos of losses as `first_step` takes them.
        photos: n of each sum, broadcast against sums[..., 0].
        alpha: at least 1/(n + 1), as callers check.

    Returns:
        int64 (...). Where alpha is too small for any step it is T - 1, which misses nothing.
    """
    controlled = (sums + 1) / (np.asarray(photos)[..., None] + 1) <= alpha + SLACK
    return np.asarray(np.where(controlled.any(axis=-1), np.argmax(controlled, axis=-1), sums.shape[-1] - 1))


def rcps_step(losses: np.ndarray, alpha: float, delta: float, sharing: int = 1) -> int:
    """Find the first step from which on all upper bounds of the expected loss, as `mean_upper` has them, are <= alpha.

    The risk-controlling prediction set of Bates et al. 2021: no step is looked at unless all later ones passed, so that
    one delta is enough for all of them.

    Args:
        losses: float64 (n, T) in [0, 1], of independent photos; they never rise along the last axis and end at 0.
        alpha: bound of the expected loss, below 1.
        delta: chance that the draw of the photos may have to break it.
        sharing: how many such steps share delta, so that with it all of them keep alpha at once.

    Raises:
        RiskError: when even losses of 0 leave the bound of n photos above alpha; else like `mean_upper`.
    """
    check_probability("delta", delta)
    check_losses(losses)
    if losses[:, -1].any():
        raise RiskError(f"losses must end at 0: at the last step there is a {losses[:, -1].max()}")
    photos, share = len(losses), delta / sharing
    if not alpha >= smallest_alpha(photos, share) - SLACK:
        raise _too_small(alpha, delta, sharing, photos)
    risk, means = alpha + SLACK, losses.mean(axis=0)
    by_mean = hoeffding_bentkus_p(means, photos, risk) <= share / 2
    by_bets = waudby_smith_ramdas_log_wealth(losses, risk, share / 2) > math.log(2 / share)
    passed = (by_mean | by_bets) & (means <= risk)
    # The first of the unbroken run of passed steps that ends at the last one.
    return int(passed.size - np.argmin(np.append(passed[::-1], False)))


def smallest_alpha(photos: int, delta: float) -> float:
    """Give the smallest alpha that `rcps_step` can promise: the upper bound of n losses of 0.

    For them Hoeffding's p-value is (1 - alpha)^n. It is e times smaller than Bentkus', and no bet does better: a wealth
    is at most (1 + alpha)^n, which is less than 1/(1 - alpha)^n.
    """
    return -math.expm1(math.log(delta / 2) / photos)


def _too_small(alpha: float, delta: float, sharing: int, photos: int) -> RiskError:
    # Rounded up, so that the number shown is accepted.
    smallest = math.ceil(smallest_alpha(photos, delta / sharing) * 1_000_000) / 1_000_000
    shared = f", shared by {sharing} promises" if sharing > 1 else ""
    return RiskError(
        f"alpha (={alpha!r}) must be at least {smallest:g} for delta (={delta!r}){shared}: {photos} photos, even"
        " without any loss, support no smaller one; take a larger delta or calibrate on more photos"
    )
