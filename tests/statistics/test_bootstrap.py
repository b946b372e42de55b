"""The bootstrap over photos: what its interval holds, and where it has nothing to say."""

import math

import numpy as np
import pytest

from huebands.statistics.bootstrap import mean_interval, resampling_weights


def test_weights_are_shares_of_draws_and_follow_the_seed():
    weights = resampling_weights(5, 100, seed=1)
    assert weights.shape == (100, 5)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights * 5 == np.round(weights * 5)).all()
    assert (weights == resampling_weights(5, 100, seed=1)).all()
    assert (weights != resampling_weights(5, 100, seed=2)).any()


def test_the_interval_of_many_even_values_is_about_two_standard_errors():
    values = np.random.default_rng(0).normal(20, 3, 500)
    low, high = mean_interval(values, resampling_weights(500, 2000, seed=0))
    error = values.std() / math.sqrt(500)
    # 2000 resamples leave the 2.5% point uncertain by about 0.05 standard errors.
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_the_interval_holds_the_mean_of_skewed_values_as_often_as_it_says():
    generator, weights = np.random.default_rng(0), resampling_weights(30, 1000, seed=0)
    samples = generator.exponential(1, (400, 30))
    intervals = np.array([mean_interval(values, weights) for values in samples])
    # 2.5% of 400 has a standard deviation of 0.8%; plain percentiles lie below 6.8% of such means.
    assert np.mean(intervals[:, 0] > 1) == pytest.approx(0.025, abs=0.02)
    assert np.mean(intervals[:, 1] < 1) == pytest.approx(0.025, abs=0.02)
    # The mean of a few skewed values is more often too small than too large.
    ends = intervals - samples.mean(axis=1, keepdims=True)
    assert np.mean(ends[:, 1] > -1.1 * ends[:, 0]) > 0.9


def test_a_higher_confidence_makes_the_interval_wider_and_misses_less():
    generator, weights = np.random.default_rng(1), resampling_weights(30, 4000, seed=0)
    samples = generator.normal(0, 1, (400, 30))
    missed = {}
    for confidence in (0.8, 0.95, 0.99):
        intervals = np.array([mean_interval(values, weights, confidence=confidence) for values in samples])
        missed[confidence] = np.mean((intervals[:, 0] > 0) | (intervals[:, 1] < 0))
    # Of 400, 20% have a standard deviation of 2%, 1% of 0.5%.
    assert missed[0.8] == pytest.approx(0.2, abs=0.06) and missed[0.95] == pytest.approx(0.05, abs=0.033)
    assert missed[0.99] <= 0.025


def test_equal_values_and_a_single_one_have_a_point_for_an_interval():
    for values in (np.full(3, 0.1), np.array([24.0]), np.array([math.inf, math.inf])):
        assert mean_interval(values, resampling_weights(len(values), 50, seed=0)) == (values[0], values[0])


def test_an_infinite_value_and_too_few_photos_leave_the_bounds():
    weights = resampling_weights(3, 2000, seed=0)
    assert mean_interval(np.array([20.0, 30.0, math.inf]), weights, (0, math.inf)) == (0, math.inf)
    assert mean_interval(np.array([0.1, 0.2, 0.4]), weights, (0, 1)) == (0, 1)


def test_the_interval_stays_within_the_bounds():
    values = np.array([0.99, 0.98, 1.0, 0.99, 0.5, 1.0, 0.97])
    weights = resampling_weights(7, 2000, seed=0)
    assert mean_interval(values, weights, (0, 1))[1] <= 1 < mean_interval(values, weights)[1]
