"""The expected value of losses in [0, 1]: the step that keeps it at alpha, and what photos tell about it.

Conformal risk control (`first_step`) promises it on average over calibrations, to exchangeable photos. Everything else
here holds with probability 1 - delta over the draw of the photos, which must be independent; it needs no model of how
the losses are distributed. Two bounds do that (Bates, Angelopoulos, Lei, Malik, Jordan 2021, arXiv:2101.02703).
Hoeffding-Bentkus looks at the mean loss alone and is hard to beat for losses of 0 and 1; Waudby-Smith-Ramdas bets on
one photo after another and gains where losses vary little. The test of a promise (`broken_p`) bets too.
"""

import math
from collections.abc import Callable

import numpy as np

SLACK = 1e-12  # alpha is a decimal that floating point rounds: 1/(n + 1) itself must be accepted
_HALVINGS = 50  # of [0, 1], down to the spacing of floating point numbers
_SHARES = np.arange(1, 65) / 64  # of their wealth, which bettors against a promise stake; they start with equal parts


class RiskError(ValueError):
    """A bound cannot be had of these values; the message names them."""


def check_probability(name: str, value: object) -> None:
    """Check that a value is a number in (0, 1).

    Raises:
        RiskError: names the value; also for what is no number, which forms and arguments may pass on.
    """
    is_number = isinstance(value, float | int | np.floating)
    if not (is_number and 0 < value < 1):  # type: ignore[operator]
        raise RiskError(f"{name} (={value!r}) must be in (0, 1)")


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
    kept = (sums + 1) / (np.asarray(photos)[..., None] + 1) <= alpha + SLACK
    return np.asarray(np.where(kept.any(axis=-1), np.argmax(kept, axis=-1), sums.shape[-1] - 1))


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
    _check(losses, delta)
    if losses[:, -1].any():
        raise RiskError(f"losses must end at 0: at the last step there is a {losses[:, -1].max()}")
    photos, own = len(losses), delta / sharing
    if not alpha >= smallest_alpha(photos, own) - SLACK:
        raise _too_small(alpha, delta, sharing, photos)
    risk, means = alpha + SLACK, losses.mean(axis=0)
    by_mean = hoeffding_bentkus_p(means, photos, risk) <= own / 2
    by_bets = waudby_smith_ramdas_log_wealth(losses, risk, own / 2) > math.log(2 / own)
    passed = (by_mean | by_bets) & (means <= risk)
    # The first of the unbroken run of passed steps that ends at the last one.
    return int(passed.size - np.argmin(np.append(passed[::-1], False)))


def smallest_alpha(photos: int, delta: float) -> float:
    """Give the smallest alpha that `rcps_step` can promise: the upper bound of n losses of 0.

    For them Hoeffding's p-value is (1 - alpha)^n. It is e times smaller than Bentkus', and no bet does better: a wealth
    is at most (1 + alpha)^n, which is less than 1/(1 - alpha)^n.
    """
    return -math.expm1(math.log(delta / 2) / photos)


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
    from scipy import special  # a box that only trains imports this module, and has torch and numpy alone

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
    known = np.concatenate([np.full_like(variances[:1], 1 / 4), variances[:-1]])
    stakes = np.minimum(1, np.sqrt(2 * math.log(1 / delta) / (len(losses) * known)))
    with np.errstate(divide="ignore"):  # all may be lost: the logarithm of 0
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
    return _first(lambda risk: bool(hoeffding_bentkus_p(mean, photos, risk) <= delta))


def waudby_smith_ramdas_upper(losses: np.ndarray, delta: float) -> float:
    """Give the 1 - delta upper confidence bound of the expected loss by `waudby_smith_ramdas_log_wealth`.

    Takes and raises what `hoeffding_bentkus_upper` does; the order of the losses counts.
    """
    _check(losses, delta)
    return _first(lambda risk: bool(waudby_smith_ramdas_log_wealth(losses, risk, delta) > math.log(1 / delta)))


def mean_upper(losses: np.ndarray, delta: float) -> float:
    """Give the tighter of both upper bounds of the expected loss; it holds with probability 1 - delta.

    Each is taken at delta/2: then both hold at once with probability 1 - delta (union bound), and so does the one that
    happens to be smaller. It is never below the mean loss, as a bettor's could be by a strange order of photos.
    Takes and raises what `hoeffding_bentkus_upper` does.
    """
    _check(losses, delta)
    bound = min(hoeffding_bentkus_upper(losses, delta / 2), waudby_smith_ramdas_upper(losses, delta / 2))
    return max(bound, float(losses.mean()))


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
    _check_losses(losses)
    delta, mean = (1 - confidence) / 2, float(losses.mean())
    return min(_lower(losses, delta), mean), max(1 - _lower(1 - losses, delta), mean)


def broken_p(losses: np.ndarray, alpha: float) -> float:
    """Give the p-value of 'the expected loss is at most alpha': a small one says that the promise is broken.

    Bettors against the promise put constant shares of their wealth on loss after loss at the odds 1/alpha; if it is
    kept, their mean wealth is no more than 1 on average at any time, and ever reaches 1/p with probability p at most
    (Ville's inequality; Waudby-Smith and Ramdas 2024, arXiv:2010.09686, section 4.1). So the p-value is exact for any
    number of photos and any distribution of the losses.

    Losses of photos vary little beside those of 0 and 1, and bets profit from that where Hoeffding-Bentkus, which knows
    the mean alone, cannot. Of 33 photos whose losses vary as those of `paintings` do, with alpha 0.1 and p <= 0.025, an
    expected loss of 0.14 is found in 33% of the cases, 0.16 in 70%, 0.2 in 97%; by Hoeffding-Bentkus never.

    Args:
        losses: (n,) in [0, 1], of independent photos, in an order that has nothing to do with them.
        alpha: in [0, 1].

    Raises:
        RiskError: for no losses or losses out of range.
    """
    _check_losses(losses)
    if alpha <= 0:
        return float(not losses.any())
    with np.errstate(divide="ignore"):  # who puts all on a loss of 0 has nothing left: the logarithm of 0
        gains = np.log1p(_SHARES[:, None] * (losses / alpha - 1))
    log_wealth = np.logaddexp.reduce(np.cumsum(gains, axis=1), axis=0) - math.log(len(_SHARES))
    return math.exp(-max(float(log_wealth.max()), 0.0))


def _lower(losses: np.ndarray, delta: float) -> float:
    """The 1 - delta lower confidence bound of the expected loss by `broken_p`, rounded down."""
    return 1 - _first(lambda kept: broken_p(losses, 1 - kept) <= delta)


def _first(excluded: Callable[[float], bool]) -> float:
    """Find where in [0, 1] the risks begin that are excluded, rounded up; 1 when none is."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high


def _check(losses: np.ndarray, delta: float) -> None:
    check_probability("delta", delta)
    _check_losses(losses)


def _check_losses(losses: np.ndarray) -> None:
    if not losses.size:
        raise RiskError(f"losses of shape {losses.shape} must be of at least one photo")
    for end in (losses.min(), losses.max()):
        if not 0 <= end <= 1:
            raise RiskError(f"losses must be in [0, 1]: there is a {end}")


def _too_small(alpha: float, delta: float, sharing: int, photos: int) -> RiskError:
    # Rounded up, so that the number shown is accepted.
    smallest = math.ceil(smallest_alpha(photos, delta / sharing) * 1_000_000) / 1_000_000
    shared = f", shared by {sharing} promises" if sharing > 1 else ""
    return RiskError(
        f"alpha (={alpha!r}) must be at least {smallest:g} for delta (={delta!r}){shared}: {photos} photos, even"
        " without any loss, support no smaller one; take a larger delta or calibrate on more photos"
    )
