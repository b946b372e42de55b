"""Holm's correction against its definition, and the rate of its errors."""

import numpy as np
import pytest

from huebands.statistics.holm import holm
from huebands.statistics.losses import RiskError


def test_the_example_of_the_definition() -> None:
    """Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2 and 0.04 * 1, which must not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_hypothesis_needs_no_correction_and_none_gives_none() -> None:
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_corrected_values_are_at_most_one_and_keep_the_order() -> None:
    p_values = np.random.default_rng(0).uniform(size=50)
    corrected = np.array(holm(p_values.tolist()))
    assert (corrected >= p_values).all() and corrected.max() <= 1
    assert (np.diff(corrected[np.argsort(p_values)]) >= 0).all()


def test_true_hypotheses_are_rejected_together_as_rarely_as_one() -> None:
    random = np.random.default_rng(1)
    rejected = np.mean([min(holm(random.uniform(size=8).tolist())) <= 0.05 for _ in range(4000)])
    assert 0.04 < rejected < 0.06, "independent tests reach the level nearly: 1 - 0.95 and three standard errors"


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(RiskError, match=r"p_values must be in \[0, 1\]"):
        holm([0.5, value])
