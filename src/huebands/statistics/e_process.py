"""Bets against "values in [0, 1] have a mean of at most a bound", one value after another, without an end.

Who puts a share s of a wealth on a value x at the odds 1/bound has 1 - s + s x/bound times as much after. If the mean,
given all that came before, is at most the bound, this is at most 1 on average; so the wealth ever reaches c with
probability 1/c at most, however long one looks (Ville's inequality; Waudby-Smith and Ramdas 2024, arXiv:2010.09686).

A change may come after any number of values, and a wealth that was lost until then would have to be won back. So a part
of it waits for each value to start with (Shin, Ramdas and Rinaldo 2024, arXiv:2203.03532, whose detectors add up such
bets; here their parts sum up to 1, so that the chance of a false alarm stays bounded for ever).
"""

import numpy as np

_SHARES = np.array([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2])  # of those who start together; they get equal parts


class Bets:
    """The wealth of all who bet, kept as one sum for each share: it takes no more memory as values come.

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
            bound: above 0, of the same shape; what it is must not follow from this value or later ones.
        """
        starting = np.log(_waiting(self.count) - _waiting(self.count + 1))
        gains = np.log1p(_SHARES * (np.asarray(value / bound)[..., None] - 1))
        self._log_wealths = np.logaddexp(self._log_wealths, starting) + gains
        self.count += 1

    @property
    def log_wealth(self) -> np.ndarray:
        """Logarithm of the wealth, of the shape of the bets; it was 0 at the start."""
        betting = np.logaddexp.reduce(self._log_wealths, axis=-1) - np.log(len(_SHARES))
        return np.asarray(np.logaddexp(betting, np.log(_waiting(self.count))))


def _waiting(count: int) -> float:
    """The part of the wealth that waits after so many values: 1 at first, and 0 in the end, as slowly as it may be."""
    return float(1 / np.log2(count + 2))
