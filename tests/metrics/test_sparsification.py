"""Metrics of maps of uncertainty on constructed errors."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from huebands.metrics.sparsification import calibration_error, rank_correlation, reliability, sparsification

ERRORS = np.random.default_rng(0).gamma(1.5, 6.0, 4000)


def test_an_oracle_has_no_sparsification_error_whatever_its_scale():
    for uncertainty in (ERRORS, ERRORS**2 + 5, np.log(ERRORS)):
        assert sparsification(uncertainty, ERRORS) == pytest.approx(0, abs=1e-12)
        assert rank_correlation(uncertainty, ERRORS) == pytest.approx(1)


def test_chance_has_1_and_the_reverse_order_more():
    chance = np.random.default_rng(1).random((50, ERRORS.size))
    assert np.mean([sparsification(row, ERRORS) for row in chance]) == pytest.approx(1, abs=0.02)
    assert np.mean([rank_correlation(row, ERRORS) for row in chance]) == pytest.approx(0, abs=0.01)
    assert sparsification(-ERRORS, ERRORS) > 1.5
    assert rank_correlation(-ERRORS, ERRORS) == pytest.approx(-1)


def test_a_map_that_is_the_same_everywhere_is_chance_in_whichever_order_pixels_come():
    for errors in (ERRORS, np.sort(ERRORS), np.sort(ERRORS)[::-1]):
        assert sparsification(np.ones(ERRORS.size), errors) == pytest.approx(1)
        assert rank_correlation(np.ones(ERRORS.size), errors) == 0


def test_equal_errors_have_no_order_to_find():
    for figure in (sparsification, rank_correlation):
        assert np.isnan(figure(np.arange(10.0), np.full(10, 3.0)))


def test_the_curve_is_the_mean_of_the_pixels_that_remain():
    # All, then without the second, then the last alone: (1 + 6 + 2) / 3, (1 + 2) / 2, 1; the oracle the same way.
    uncertainty, errors = np.array([0.1, 0.9, 0.5]), np.array([2.0, 1.0, 6.0])
    area, oracle, chance = np.mean([3, 4, 2]), np.mean([3, 1.5, 1]), 3
    assert sparsification(uncertainty, errors) == pytest.approx((area - oracle) / (chance - oracle))


def test_ties_count_as_random_order():
    errors, coarse = ERRORS[:60], np.random.default_rng(2).integers(0, 3, 60)
    broken = [sparsification(coarse + 1e-3 * np.random.default_rng(seed).random(60), errors) for seed in range(4000)]
    assert sparsification(coarse, errors) == pytest.approx(np.mean(broken), abs=0.01)


def test_the_rank_correlation_is_spearmans():
    noisy = np.round(ERRORS + np.random.default_rng(3).normal(0, 8, ERRORS.size))
    assert rank_correlation(noisy, ERRORS) == pytest.approx(spearmanr(noisy, ERRORS).statistic)


def test_reliability_compares_in_parts_of_equal_weight():
    predicted = np.random.default_rng(4).permutation(np.arange(1000.0))
    bins = reliability(predicted, predicted + 2, np.ones(1000), 10)
    assert [part.share for part in bins] == pytest.approx([0.1] * 10)
    assert [part.predicted for part in bins] == pytest.approx(np.arange(49.5, 1000, 100))
    assert calibration_error(bins) == pytest.approx(2)


def test_weights_decide_which_pixels_share_a_part():
    predicted, weights = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 1.0, 1.0, 1.0])
    bins = reliability(predicted, np.array([5.0, 5.0, 7.0, 7.0]), weights, 2)
    assert [(part.share, part.predicted, part.observed) for part in bins] == [
        (0.5, 1.0, 5.0),
        (0.5, 3.0, pytest.approx(19 / 3)),
    ]
    assert calibration_error(bins) == pytest.approx(0.5 * 4 + 0.5 * (19 / 3 - 3))


def test_one_value_everywhere_makes_parts_of_that_value():
    bins = reliability(np.full(50, 4.0), np.full(50, 6.0), np.ones(50), 10)
    assert calibration_error(bins) == pytest.approx(2)
