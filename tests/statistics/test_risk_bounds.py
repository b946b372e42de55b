"""The expected value of losses: brute-force definitions, and promises kept as often as they say.

Monte Carlo tests have fixed seeds. A rate of r among N draws may be above its bound by 3 standard errors,
3 sqrt(r (1 - r) / N), which chance alone exceeds about once in a thousand seeds.
"""

import math

import numpy as np
import pytest
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value, get_r_hat_plus

from huebands.statistics.risk_bounds import (
    SLACK,
    RiskError,
    broken_p,
    first_step,
    first_step_of_sums,
    hoeffding_bentkus_p,
    hoeffding_bentkus_upper,
    mean_interval_exact,
    mean_upper,
    rcps_step,
    smallest_alpha,
    waudby_smith_ramdas_log_wealth,
    waudby_smith_ramdas_upper,
)

DRAWS = 2000
# Skewed losses with their expected value: a generator, the shape of what is drawn.
FAMILIES = {
    "rare whole losses": (0.05, lambda generator, shape: (generator.random(shape) < 0.05).astype(float)),
    "frequent whole losses": (0.4, lambda generator, shape: (generator.random(shape) < 0.4).astype(float)),
    "a long tail": (0.1, lambda generator, shape: generator.beta(0.2, 1.8, shape)),
    "mostly lost": (0.9, lambda generator, shape: generator.beta(1.8, 0.2, shape)),
    "little spread": (0.2, lambda generator, shape: generator.beta(20, 80, shape)),
}


def allowed(rate, draws):
    return rate + 3 * math.sqrt(rate * (1 - rate) / draws)


def curves(seed, photos, steps=40):
    """Losses max(0, x - t) at thresholds t in 0..1, x of density 0.3 x^-0.7: (photos, steps)."""
    drawn = np.random.default_rng(seed).random((photos, 1)) ** (1 / 0.3)
    return np.maximum(0, drawn - np.linspace(0, 1, steps))


def curve_risks(steps=40):
    """The expected value of `curves`: the integral of P(x > s) = 1 - s^0.3 over s from t to 1."""
    thresholds = np.linspace(0, 1, steps)
    return (1 - thresholds) - (1 - thresholds**1.3) / 1.3


def pixels(seed, photos, steps=40):
    """Losses 1 where x > t, else 0, x uniform, at thresholds t in 0..1: (photos, steps), of risk 1 - t."""
    drawn = np.random.default_rng(seed).random((photos, 1))
    return (drawn > np.linspace(0, 1, steps)).astype(float)


def test_the_first_step_is_that_of_the_definition():
    losses = np.stack([curves(seed, 25) for seed in range(6)], axis=1).reshape(25, 2, 3, 40)
    for alpha in (1 / 26, 0.05, 0.1, 0.3, 0.9):
        found = first_step(losses, alpha)
        assert found.shape == (2, 3)
        assert found.dtype == np.int64
        for place in np.ndindex(2, 3):
            kept = [(sum(losses[:, *place, step]) + 1) / 26 <= alpha + SLACK for step in range(40)]
            assert found[place] == kept.index(True)


def test_with_one_pixel_a_photo_the_first_step_is_split_conformal_predictions_order_statistic():
    generator = np.random.default_rng(0)
    for photos in (9, 19, 50):
        scores = generator.integers(0, 30, photos)
        losses = (scores[:, None] > np.arange(30)).astype(float)
        for alpha in (0.1, 0.2, 0.5):
            rank = math.ceil((photos + 1) * (1 - alpha) - 1e-9)
            assert first_step(losses, alpha) == np.sort(scores)[rank - 1]


def test_sums_over_different_numbers_of_photos_have_each_its_own_first_step():
    tables = [curves(seed, photos) for seed, photos in enumerate((20, 50, 300))]
    sums = np.stack([[table.sum(axis=0), table.sum(axis=0) / 2] for table in tables])
    found = first_step_of_sums(sums, np.array([20, 50, 300])[:, None], 0.08)
    assert found.shape == (3, 2)
    for row, table in enumerate(tables):
        assert found[row, 0] == first_step(table, 0.08)
        assert found[row, 1] == first_step(table / 2, 0.08)


def test_an_alpha_that_no_step_keeps_gives_the_last_step():
    assert first_step(np.zeros((9, 5)), 0.09) == 4
    assert first_step(np.zeros((9, 5)), 0.1) == 0
    # 1/10, but for the last bits.
    assert 1 - 0.9 < 0.1
    assert first_step(np.zeros((9, 5)), 1 - 0.9) == 0
    assert first_step_of_sums(np.zeros((2, 5)), np.array([0, 9]), 0.1).tolist() == [4, 0]


def test_the_first_step_keeps_the_risk_on_average_over_calibrations():
    # Among so few photos the + 1 matters: without it the mean risk is above alpha by about 0.02.
    alpha, photos = 0.2, 20
    losses = pixels(1, photos * DRAWS, steps=400).reshape(photos, DRAWS, 400)
    risks = (1 - np.linspace(0, 1, 400))[first_step(losses, alpha)]
    error = risks.std() / math.sqrt(DRAWS)
    assert risks.mean() <= alpha + 3 * error
    assert risks.mean() >= alpha - 2 / (photos + 1) - 3 * error


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


def test_the_rcps_step_is_the_first_from_which_all_upper_bounds_keep_alpha():
    for seed, (alpha, delta) in enumerate([(0.05, 0.1), (0.1, 0.3), (0.2, 0.01), (0.6, 0.1)]):
        for losses in (curves(seed, 120, 20), pixels(seed, 120, 20)):
            kept = [mean_upper(losses[:, step], delta) <= alpha for step in range(20)]
            assert rcps_step(losses, alpha, delta) == next(step for step in range(20) if all(kept[step:]))


def test_the_rcps_step_is_not_before_a_step_that_fails():
    # By bets alone the first step would pass: its losses come late. They sum to more than those of the second, which do
    # not, so that the mean's bound fails both.
    early, late = np.repeat([1.0, 0.0], [30, 270]), np.repeat([0.0, 1.0], [260, 40])
    losses = np.stack([late, early, np.zeros(300)], axis=1)
    assert waudby_smith_ramdas_upper(late, 0.05) < 0.14 < waudby_smith_ramdas_upper(early, 0.05)
    assert rcps_step(losses[:, [0, 2]], 0.14, 0.1) == 0
    assert rcps_step(losses, 0.14, 0.1) == 2 > 0 == np.argmax([mean_upper(late, 0.1) <= 0.14])


@pytest.mark.parametrize(("family", "risks"), [(curves, curve_risks()), (pixels, 1 - np.linspace(0, 1, 40))])
def test_the_rcps_step_keeps_the_risk_but_for_a_share_delta_of_calibrations(family, risks):
    alpha, delta, draws = 0.1, 0.2, 600
    steps = np.array([rcps_step(family(seed, 60), alpha, delta) for seed in range(draws)])
    assert np.mean(risks[steps] > alpha) <= allowed(delta, draws)
    # Many photos: within a step of the best one.
    best = int(np.argmax(risks <= alpha))
    assert best <= rcps_step(family(0, 20_000), alpha, delta) <= best + 1


def test_the_smallest_alpha_is_the_bound_of_photos_without_loss_and_is_accepted():
    for photos, delta in ((1, 0.5), (30, 0.1), (400, 0.05), (1000, 0.001)):
        smallest = smallest_alpha(photos, delta)
        assert smallest == pytest.approx(mean_upper(np.zeros(photos), delta), abs=1e-9)
        assert rcps_step(np.zeros((photos, 3)), smallest, delta) == 0
        with pytest.raises(RiskError):
            rcps_step(np.zeros((photos, 3)), smallest - 1e-6, delta)


def test_an_alpha_too_small_for_so_many_photos_names_the_one_that_is_not():
    message = (
        r"alpha \(=0\.05\) must be at least 0\.095034 for delta \(=0\.1\): 30 photos, even without any loss, support no"
        " smaller one; take a larger delta or calibrate on more photos"
    )
    with pytest.raises(RiskError, match=message):
        rcps_step(curves(0, 30), 0.05, 0.1)
    assert rcps_step(np.zeros((30, 3)), 0.095034, 0.1) == 0
    with pytest.raises(RiskError, match=r"alpha \(=nan\) must be"):
        rcps_step(curves(0, 30), math.nan, 0.1)


@pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, math.nan])
def test_a_delta_out_of_range_is_named(delta):
    for call in (
        lambda: rcps_step(curves(0, 30), 0.2, delta),
        lambda: hoeffding_bentkus_upper(np.zeros(5), delta),
        lambda: waudby_smith_ramdas_upper(np.zeros(5), delta),
        lambda: mean_upper(np.zeros(5), delta),
    ):
        with pytest.raises(RiskError, match=r"must be in \(0, 1\)") as caught:
            call()
        assert str(caught.value).startswith("delta (=")
    with pytest.raises(RiskError, match=rf"^delta \(={delta!r}\) must be in \(0, 1\)$"):
        rcps_step(curves(0, 30), 0.2, delta)
    with pytest.raises(RiskError, match=rf"^confidence \(={delta!r}\) must be in \(0, 1\)$"):
        mean_interval_exact(np.zeros(5), delta)


def test_losses_that_are_none_or_out_of_range_are_named():
    calls = (
        lambda losses: hoeffding_bentkus_upper(losses, 0.1),
        lambda losses: waudby_smith_ramdas_upper(losses, 0.1),
        lambda losses: rcps_step(losses[:, None], 0.5, 0.1),
        lambda losses: broken_p(losses, 0.1),
        mean_interval_exact,
    )
    for call in calls:
        with pytest.raises(RiskError, match=r"losses of shape \(0(, 1)?,?\) must be of at least one photo"):
            call(np.zeros(0))
        for value in (-0.25, 1.25, math.nan):
            with pytest.raises(RiskError, match=r"losses must be in \[0, 1\]: there is a (-?[01]\.25|nan)"):
                call(np.array([0.5, value]))


def test_losses_that_do_not_end_at_0_have_no_rcps_step():
    with pytest.raises(RiskError, match=r"losses must end at 0: at the last step there is a 0\.25"):
        rcps_step(np.array([[1.0, 0.0], [1.0, 0.25]]), 0.9, 0.5)


def test_the_exact_interval_bounds_the_mean_from_both_sides():
    losses = np.random.default_rng(7).beta(0.5, 4, 200)
    low, high = mean_interval_exact(losses, 0.9)
    assert low < losses.mean() < high
    assert broken_p(losses, low - 1e-6) < 0.05 < broken_p(losses, low + 1e-6)
    assert mean_interval_exact(1 - losses, 0.9) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    wider = mean_interval_exact(losses)
    assert wider == mean_interval_exact(losses, 0.95)
    assert wider[0] < low
    assert wider[1] > high


def test_the_exact_interval_of_equal_losses_and_of_a_single_one_is_not_a_point():
    low, high = mean_interval_exact(np.zeros(100))
    # No interval can be shorter than that of who knew that all losses would be 0.
    assert low == 0
    assert 1 - 0.025 ** (1 / 100) < high < 1.5 * (1 - 0.025 ** (1 / 100))
    low, high = mean_interval_exact(np.array([0.5]))
    assert 0 <= low < 0.1
    assert 0.9 < high <= 1


def test_the_exact_interval_holds_the_expected_loss_as_often_as_it_says():
    # So few skewed losses that 1.96 standard errors miss it in 11% of the draws.
    drawn = np.random.default_rng(8).beta(0.2, 1.8, (200, 25))
    ends = np.array([mean_interval_exact(losses) for losses in drawn])
    missed = (ends[:, 0] > 0.1) | (ends[:, 1] < 0.1)
    assert missed.mean() <= allowed(0.05, 200)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_p_value_of_a_kept_promise_is_small_no_more_often_than_it_says(name):
    risk, draw = FAMILIES[name]
    drawn = draw(np.random.default_rng(9), (DRAWS, 50))
    for alpha in (risk, risk + 0.05):
        found = np.array([broken_p(losses, alpha) for losses in drawn])
        for level in (0.001, 0.01, 0.05, 0.2, 0.5, 0.9):
            assert np.mean(found <= level) <= allowed(level, DRAWS), f"alpha {alpha}, level {level}"


def test_the_mean_lies_in_the_exact_interval_in_whatever_order_the_losses_come():
    losses = np.sort(np.random.default_rng(10).beta(0.5, 4, 60))
    for ordered in (losses, losses[::-1]):
        low, high = mean_interval_exact(ordered, 0.1)
        assert low <= losses.mean() <= high


def test_the_p_value_is_that_of_the_definition():
    losses = np.array([0.5, 0.0, 0.2, 0.3])
    wealth = [
        np.mean(
            [np.prod([1 - share + share * loss / 0.1 for loss in losses[:count]]) for share in np.arange(1, 65) / 64]
        )
        for count in range(5)
    ]
    assert broken_p(losses, 0.1) == pytest.approx(1 / max(wealth))


def test_a_broken_promise_of_33_photos_is_found_far_more_often_than_by_their_mean_alone():
    """Losses that vary about as those of the test photos of `paintings` do: their standard deviation is 0.1 to 0.13."""
    random, level = np.random.default_rng(11), 0.025  # the gate's, for two modes
    # Measured: 0.01 at the promise itself; the standard error is 0.025 at most.
    for risk, power in ((0.1, 0.01), (0.12, 0.10), (0.14, 0.33), (0.16, 0.70), (0.18, 0.88), (0.2, 0.97)):
        drawn = random.beta(7 * risk, 7 * (1 - risk), (400, 33))
        assert np.mean([broken_p(losses, 0.1) <= level for losses in drawn]) == pytest.approx(power, abs=0.05), risk
        assert not any(hoeffding_bentkus_p(1 - losses.mean(), 33, 0.9) <= level for losses in drawn), risk


def test_the_p_value_of_a_broken_promise_is_small():
    assert broken_p(np.repeat([0.0, 1.0], [60, 40]), 0.1) < 1e-9
    assert broken_p(np.repeat([0.0, 1.0], [90, 10]), 0.1) == 1
    assert broken_p(np.zeros(100), 0.0) == 1
    assert broken_p(np.array([0.0, 0.5]), 0.0) == 0


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
