"""Bets against "values in [0, 1] have a mean of at most a bound", one value after another, without an end.

A bet of a share s of a wealth on a value x at the odds 1/bound multiplies the wealth by 1 - s + s x/bound. If the mean,
given all earlier values, is at most the bound, this factor is at most 1 on average. So the wealth ever reaches c with
probability 1/c at most, however many values come (Ville's inequality; Waudby-Smith and Ramdas 2024, arXiv:2010.09686).

A change may come after any number of values, and wealth that was lost by then would have to be won back. So a part of
the wealth is reserved for bets that start at each value (Shin, Ramdas and Rinaldo 2024, arXiv:2203.03532, whose
detectors add up such bets; here the parts sum to 1, so that the chance of a false alarm stays bounded for ever).
"""

import numpy as np

# Bets of these shares start together, with equal parts of the wealth.
_SHARES = np.array([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2])


class Bets:
    """The wealth of all bets, as one sum for each share: its memory does not grow with the number of values.

    Args:
        shape: of the values that are bet on side by side, () for one.

    Attributes:
        count: values so far.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.count = 0
        self._log_wealths = np.full((*shape, len(_SHARES)), -np.inf)

    def add(self, value: float | np.ndarray, bound: float | np.ndarray) -> None:
        """Bet on a value.

        Args:
            value: in [0, 1], of the shape of the bets.
            bound: above 0, of the same shape; it must not depend on this value or later ones.
        """
        starting = np.log(_reserved(self.count) - _reserved(self.count + 1))
        gains = np.log1p(_SHARES * (np.asarray(value / bound)[..., None] - 1))
        self._log_wealths = np.logaddexp(self._log_wealths, starting) + gains
        self.count += 1

    @property
    def log_wealth(self) -> np.ndarray:
        """Logarithm of the wealth, of the shape of the bets; it was 0 at the start."""
        betting = np.logaddexp.reduce(self._log_wealths, axis=-1) - np.log(len(_SHARES))
        return np.asarray(np.logaddexp(betting, np.log(_reserved(self.count))))


def _reserved(count: int) -> float:
    """The part of the wealth that is reserved after so many values: 1 at first, and falling slowly to 0."""
    return float(1 / np.log2(count + 2))
