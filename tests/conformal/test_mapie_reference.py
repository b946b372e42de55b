"""MAPIE as the reference: our quantile equals its quantile, and its tests of streams of photos work."""

from fractions import Fraction

import numpy as np
import pytest

from huebands.conformal.mapie_reference import (
    exchangeability_rejected,
    mapie_half_widths,
    mapie_quantile_margin,
    risk_exceeded,
)
from huebands.statistics.risk_control import first_step


def random_pixels(seed, count):
    """True and shown colours, uint8 (count, 3); some are far off."""
    random = np.random.default_rng(seed)
    shown = random.integers(0, 256, (count, 3))
    true = np.clip(shown + np.rint(random.normal(size=shown.shape) * random.gamma(1.0, 30.0, shown.shape)), 0, 255)
    return true.astype(np.uint8), shown.astype(np.uint8)


def risk_control_half_widths(true_rgb, shown_rgb, alphas):
    """Half widths like `mapie_half_widths`, by risk control: a pixel is a photo, step h has the band shown +- h."""
    residuals = np.abs(true_rgb.astype(np.int16) - shown_rgb)
    losses = (residuals[..., None] > np.arange(256)).astype(np.float64)
    return np.array([first_step(losses, alpha) for alpha in alphas], dtype=np.float64)


class TestQuantile:
    @pytest.mark.parametrize("n", [3, 4, 9, 10, 19, 20, 28, 49, 99, 100, 257])
    def test_our_quantile_equals_mapies_on_independent_samples(self, n):
        true, shown = random_pixels(n, n)
        alphas = [a / 100 for a in range(1, 100) if 1 / n <= a / 100 < 1 - 1 / n - 1e-9]
        alphas += [1 / n, 0.5]
        assert np.array_equal(mapie_half_widths(true, shown, alphas), risk_control_half_widths(true, shown, alphas))

    def test_our_quantile_equals_mapies_without_slack_where_the_rank_is_no_whole_number(self, monkeypatch):
        n = 49
        true, shown = random_pixels(5, n)
        alphas = [a / 1000 for a in range(25, 976) if (n + 1) * a % 1000]
        half_widths = risk_control_half_widths(true, shown, alphas)
        monkeypatch.setattr("huebands.conformal.mapie_reference.SLACK", 0.0)
        assert np.array_equal(mapie_half_widths(true, shown, alphas), half_widths)

    @pytest.mark.parametrize("n", [9, 19, 24, 49, 99, 124])
    def test_our_quantile_is_the_exact_order_statistic_of_the_decimal_alpha(self, n):
        """Also where (1 - alpha)(n + 1) is a whole number, which floating point may miss."""
        true, shown = random_pixels(6, n)
        residuals = np.sort(np.abs(true.astype(int) - shown), axis=0)
        alphas = [a for a in range(1, 100) if Fraction(a, 100) >= Fraction(1, n + 1)]
        ranks = [-(-(1 - Fraction(a, 100)) * (n + 1) // 1) for a in alphas]
        half_widths = risk_control_half_widths(true, shown, [a / 100 for a in alphas])
        assert np.array_equal(half_widths, residuals[[int(rank) - 1 for rank in ranks]])

    def test_the_smallest_alpha_takes_the_largest_residual(self):
        for n in range(1, 60):
            true, shown = random_pixels(n, n)
            largest = np.abs(true.astype(int) - shown).max(axis=0)
            assert np.array_equal(risk_control_half_widths(true, shown, [1 / (n + 1)])[0], largest)


def test_the_margin_of_quantiles_is_the_quantile_of_how_far_the_truth_lies_beyond_them():
    """Romano et al. 2019: the ceil((n + 1)(1 - alpha))-th smallest of max(lower - true, true - upper)."""
    random = np.random.default_rng(8)
    median = random.normal(100, 20, 60)
    lower, upper, true = median - 10, median + 15, median + random.normal(0, 20, 60)
    beyond = np.sort(np.maximum(lower - true, true - upper))
    for alpha in (0.1, 0.25):
        expected = beyond[int(np.ceil(61 * (1 - alpha))) - 1]
        assert mapie_quantile_margin(lower, upper, median, true, alpha) == pytest.approx((expected, expected))


class TestStreams:
    """False alarms have a chance of 5%, however long a stream is: of 60 streams at most 8, 5% and 3 standard errors."""

    def test_exchangeable_photos_are_rarely_rejected(self):
        verdicts = []
        for seed in range(60):
            random = np.random.default_rng(seed)
            verdicts.append(exchangeability_rejected(random.beta(1, 8, 60), random.beta(1, 8, 60)))
        assert sum(verdict is True for verdict in verdicts) <= 8

    def test_photos_with_far_larger_losses_are_rejected(self):
        random = np.random.default_rng(1)
        assert exchangeability_rejected(random.beta(1, 8, 100), random.beta(8, 4, 100)) is True

    def test_a_handful_of_photos_is_too_few_to_decide(self):
        random = np.random.default_rng(2)
        assert exchangeability_rejected(random.beta(1, 8, 3), random.beta(1, 8, 2)) is None

    def test_a_kept_promise_rarely_raises_an_alarm(self):
        drawn = [np.random.default_rng(seed).random(200) >= 0.1 for seed in range(60)]
        assert sum(risk_exceeded(covered, 0.1) for covered in drawn) <= 8

    def test_a_broken_promise_raises_an_alarm(self):
        covered = np.random.default_rng(3).random(400) >= 0.25
        assert risk_exceeded(covered, 0.1) and not risk_exceeded(covered, 0.4)
