"""Holm's correction of p-values for their number (Holm, 1979, https://www.jstor.org/stable/4615733)."""

from collections.abc import Sequence

import numpy as np

from huebands.statistics.losses import RiskError


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values, so that all of them together err as rarely as one.

    Of hypotheses that hold, however many, any corrected p-value is at most q with probability q at most. The tests need
    not be independent.

    Args:
        p_values: each in [0, 1]; as many as hypotheses.

    Returns:
        The corrected ones in the same order, in [0, 1].

    Raises:
        RiskError: when a p-value is out of range.
    """
    values = np.asarray(p_values, dtype=float)
    for value in values[~((values >= 0) & (values <= 1))]:
        raise RiskError(f"p_values must be in [0, 1]: there is a {value}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(stepped, 1)
    return [float(value) for value in corrected]
