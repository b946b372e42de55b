"""The first step that keeps alpha: brute-force definitions, and risks kept as often as they say."""

import math

import numpy as np
import pytest

from drawn_losses import DRAWS, allowed, curve_risks, curves, pixels
from huebands.statistics.losses import SLACK, RiskError
from huebands.statistics.risk_bounds import mean_upper, waudby_smith_ramdas_upper
from huebands.statistics.risk_control import first_step, first_step_of_sums, rcps_step, smallest_alpha


def test_the_first_step_is_that_of_the_definition():
    losses = np.stack([curves(seed, 25) for seed in range(6)], axis=1).reshape(25, 2, 3, 40)
    for alpha in (1 / 26, 0.05, 0.1, 0.3, 0.9):
        steps = first_step(losses, alpha)
        assert steps.shape == (2, 3)
        assert steps.dtype == np.int64
        for place in np.ndindex(2, 3):
            controlled = [(sum(losses[:, *place, step]) + 1) / 26 <= alpha + SLACK for step in range(40)]
            assert steps[place] == controlled.index(True)


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
    steps = first_step_of_sums(sums, np.array([20, 50, 300])[:, None], 0.08)
    assert steps.shape == (3, 2)
    for row, table in enumerate(tables):
        assert steps[row, 0] == first_step(table, 0.08)
        assert steps[row, 1] == first_step(table / 2, 0.08)


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


def test_the_rcps_step_is_the_first_from_which_all_upper_bounds_keep_alpha():
    for seed, (alpha, delta) in enumerate([(0.05, 0.1), (0.1, 0.3), (0.2, 0.01), (0.6, 0.1)]):
        for losses in (curves(seed, 120, 20), pixels(seed, 120, 20)):
            controlled = [mean_upper(losses[:, step], delta) <= alpha for step in range(20)]
            assert rcps_step(losses, alpha, delta) == next(step for step in range(20) if all(controlled[step:]))


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


def test_losses_that_do_not_end_at_0_have_no_rcps_step():
    with pytest.raises(RiskError, match=r"losses must end at 0: at the last step there is a 0\.25"):
        rcps_step(np.array([[1.0, 0.0], [1.0, 0.25]]), 0.9, 0.5)
