"""Upper bounds of the expected loss: brute-force definitions, MAPIE's bounds, and failures no more often than delta."""

import math

import numpy as np
import pytest
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value, get_r_hat_plus

from drawn_losses import DRAWS, FAMILIES, allowed
from huebands.statistics.risk_bounds import (
    hoeffding_bentkus_p,
    hoeffding_bentkus_upper,
    mean_upper,
    waudby_smith_ramdas_log_wealth,
    waudby_smith_ramdas_upper,
)
from huebands.statistics.risk_control import rcps_step


def test_hoeffding_bentkus_is_that_of_the_definition():
    photos = 12
    for alpha in (0.1, 0.35, 0.8):
        for mean in (0.0, 1 / 12, 0.2, 0.3, 4 / 12, 0.75):
            if mean >= alpha:
                expected = 1.0
            else:
                divergence = (1 - mean) * math.log((1 - mean) / (1 - alpha))
                divergence += mean * math.log(mean / alpha) if mean else 0
                at_most = math.ceil(round(photos * mean, 9))
                tail = sum(math.comb(photos, k) * alpha**k * (1 - alpha) ** (photos - k) for k in range(at_most + 1))
                expected = min(math.exp(-photos * divergence), math.e * tail, 1)
            assert hoeffding_bentkus_p(np.array(mean), photos, alpha) == pytest.approx(expected, rel=1e-9)


def test_hoeffding_bentkus_counts_whole_losses_exactly():
    # 7 / 25 * 25 is above 7 in floating point.
    assert 7 / 25 * 25 > 7
    tail = sum(math.comb(25, k) for k in range(8)) / 2**25
    assert hoeffding_bentkus_p(np.array(7 / 25), 25, 0.5) == pytest.approx(math.e * tail, rel=1e-9)


def bet(losses, alpha, delta):
    """Greatest wealth of the RCPS paper's bettor, one photo after another."""
    total, squares, variance, wealth, greatest = 0.5, 0.25, 0.25, 1.0, 0.0
    for count, loss in enumerate(losses, start=1):
        wealth *= 1 - min(1, math.sqrt(2 * math.log(1 / delta) / (len(losses) * variance))) * (loss - alpha)
        greatest = max(greatest, wealth)
        total += loss
        squares += (loss - total / (1 + count)) ** 2
        variance = squares / (1 + count)
    return greatest


def test_the_bettors_wealth_is_that_of_the_definition():
    losses = np.random.default_rng(2).beta(0.5, 2, (15, 4))
    for alpha, delta in ((0.0, 0.1), (0.2, 0.3), (0.7, 0.01), (1.0, 0.1)):
        expected = [bet(column, alpha, delta) for column in losses.T]
        assert np.exp(waudby_smith_ramdas_log_wealth(losses, alpha, delta)) == pytest.approx(expected, rel=1e-9)


def test_a_bettor_who_loses_all_stays_poor():
    losses = np.array([1.0, 0.0, 0.0, 0.0])
    assert waudby_smith_ramdas_log_wealth(losses, 0.0, 0.01) == -math.inf
    assert waudby_smith_ramdas_upper(np.ones(5), 0.1) == hoeffding_bentkus_upper(np.ones(5), 0.1) == 1


def test_upper_bounds_are_the_least_risks_that_are_excluded():
    losses, grid = np.random.default_rng(3).beta(0.5, 4, 40), np.linspace(0, 1, 2001)
    for delta in (0.01, 0.2):
        by_mean = [risk for risk in grid if hoeffding_bentkus_p(losses.mean(), 40, risk) <= delta]
        by_bets = [risk for risk in grid if bet(losses, risk, delta) > 1 / delta]
        assert 0 <= by_mean[0] - hoeffding_bentkus_upper(losses, delta) <= 1 / 2000
        assert 0 <= by_bets[0] - waudby_smith_ramdas_upper(losses, delta) <= 1 / 2000


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("photos", [30, 100])
def test_upper_bounds_fail_no_more_often_than_delta(name, photos):
    risk, draw = FAMILIES[name]
    losses = draw(np.random.default_rng(4), (photos, DRAWS))
    for delta in (0.01, 0.1, 0.3):
        # A bound is below the risk where the risk is excluded.
        by_mean = hoeffding_bentkus_p(losses.mean(axis=0), photos, risk) <= delta
        by_bets = waudby_smith_ramdas_log_wealth(losses, risk, delta) > math.log(1 / delta)
        for bound, failures in (("Hoeffding-Bentkus", by_mean), ("Waudby-Smith-Ramdas", by_bets)):
            assert failures.mean() <= allowed(delta, DRAWS), f"{bound} at delta {delta}"


@pytest.mark.parametrize("name", FAMILIES)
def test_upper_bounds_come_near_the_mean_of_many_photos(name):
    risk, draw = FAMILIES[name]
    losses = draw(np.random.default_rng(5), 20_000)
    # The normal bound lies 1.28 standard errors above the mean. Ville's inequality, two bounds and, for
    # Hoeffding-Bentkus, a spread as of whole losses cost more; the bettor's bound varies by the order of photos too.
    error, whole = losses.std() / math.sqrt(20_000), math.sqrt(risk * (1 - risk) / 20_000)
    assert waudby_smith_ramdas_upper(losses, 0.1) - losses.mean() < 3 * error
    assert 1.28 * whole < hoeffding_bentkus_upper(losses, 0.1) - losses.mean() < 3 * whole
    assert mean_upper(losses, 0.1) - losses.mean() < 3.2 * error


def test_the_tighter_bound_pays_for_the_choice_and_is_never_below_the_mean():
    losses = np.random.default_rng(6).beta(0.5, 4, 50)
    both = hoeffding_bentkus_upper(losses, 0.05), waudby_smith_ramdas_upper(losses, 0.05)
    assert mean_upper(losses, 0.1) == min(both)
    # After many photos without loss the bettor is sure, whatever comes then: such an order is no independent draw.
    ordered = np.repeat([0.0, 1.0], 300)
    assert waudby_smith_ramdas_upper(ordered, 0.05) < 0.02
    assert mean_upper(ordered, 0.1) == 0.5
    assert rcps_step(np.stack([ordered, np.zeros(600)], axis=1), 0.4, 0.1) == 1


class TestMapie:
    """MAPIE's bounds are the reference for ours, at the same losses, alphas and deltas."""

    @pytest.mark.parametrize("photos", [20, 100, 500])
    @pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
    def test_hoeffding_bentkus_p_values_equal_mapies(self, photos, alpha):
        means = np.random.default_rng(photos).random(200)
        expected = compute_hoeffding_bentkus_p_value(means, photos, np.array([alpha]))[:, 0]
        assert hoeffding_bentkus_p(means, photos, alpha) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("photos", [50, 200, 1000])
    @pytest.mark.parametrize("mean", [0.05, 0.1, 0.3])
    def test_waudby_smith_ramdas_bounds_are_mapies_or_larger(self, photos, mean):
        """MAPIE adds the greatest wealths of both halves of the photos: no bettor need ever have had as much.

        So its bound can be too small, here by up to 0.015, and it lies on a grid.
        """
        losses = np.random.default_rng(photos).beta(2, 2 / mean - 2, photos)
        grid = np.linspace(0, 1, 501)
        repeated = np.repeat(losses[:, None], len(grid), axis=1)
        bound = get_r_hat_plus(repeated, grid, "rcps", "wsr", delta=0.1, sigma_init=0.25)[1][0]
        ours = waudby_smith_ramdas_upper(losses, 0.1)
        assert bound - grid[1] <= ours <= bound + 0.02
