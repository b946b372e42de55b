"""Alarms: none while photos are exchangeable with the calibration photos, and one soon after they are not.

Atypicality is drawn uniformly: p-values depend on ranks alone.
"""

import itertools
import math

import numpy as np
import pytest

from huebands.conformal.guarantee import Guarantee
from huebands.serving.monitoring import alarm, monitor
from huebands.serving.monitoring.alarm import DELTA
from huebands.serving.monitoring.coverage import Coverage, risk_bounds
from huebands.serving.monitoring.drift import Drift, frequency_bounds
from huebands.serving.monitoring.monitor import Monitor
from huebands.serving.workers.jobs import Job, Measurements
from huebands.statistics.e_process import Bets
from toy_calibration import SHAPE, toy_calibration, toy_losses

RANKS = {36: [1, 3, 7], 163: [8, 16, 32]}


def first_alarms(photos, draws, stream, atypicality, bounds=None, seed=0):
    """The number of photos until the alarm is raised, for each draw of calibration and stream; infinity without alarm.

    Args:
        photos: number of calibration photos.
        draws: number of independent draws.
        stream: number of new photos.
        atypicality: (random, draws, count) -> atypicality of the next photo; that of calibration photos is uniform.
        bounds: replace the bounds that allow for the draw of the calibration.
        seed: seed of all draws.
    """
    random, ranks = np.random.default_rng(seed), np.array(RANKS[photos])
    bounds = frequency_bounds(ranks, photos) if bounds is None else bounds
    most_atypical_first = -np.sort(-random.random((draws, photos)), axis=1)
    bets, raised = Bets((draws, len(ranks))), np.full(draws, math.inf)
    for count in range(1, stream + 1):
        atypicalities = atypicality(random, draws, count)
        bets.add((atypicalities[:, None] > most_atypical_first[:, ranks - 1]).astype(float), bounds)
        evidence = np.exp(bets.log_wealth).mean(axis=1)
        raised[(raised == math.inf) & (evidence >= 2 / DELTA)] = count
    return raised


def exchangeable(random, draws, count):
    return random.random(draws)


def three_times(random, draws, count):
    """Three times as many photos are in the most atypical fifth; within each part nothing changes."""
    is_atypical, uniform = random.random(draws) < 0.6, random.random(draws)
    return np.where(is_atypical, 0.8 + 0.2 * uniform, 0.8 * uniform)


def blurred(random, draws, count):
    return 1 - random.beta(0.3, 1, draws)


def assert_seldom(raised):
    """At most a share DELTA, plus three standard errors: 1 seed in 700 fails by chance, and the seeds are fixed."""
    error = math.sqrt(DELTA * (1 - DELTA) / len(raised))
    assert np.isfinite(raised).mean() <= DELTA + 3 * error


@pytest.mark.parametrize("photos", RANKS)
def test_exchangeable_photos_seldom_raise_the_alarm(photos):
    assert_seldom(first_alarms(photos, draws=400, stream=2000, atypicality=exchangeable))


@pytest.mark.slow
@pytest.mark.parametrize("photos", RANKS)
def test_exchangeable_photos_seldom_raise_the_alarm_in_the_long_run(photos):
    assert_seldom(first_alarms(photos, draws=1500, stream=10_000, atypicality=exchangeable))


@pytest.mark.parametrize("photos", RANKS)
def test_exchangeable_photos_would_raise_the_alarm_if_bounds_ignored_the_draw_of_the_calibration(photos):
    bounds = np.array(RANKS[photos]) / (photos + 1)
    raised = first_alarms(photos, draws=400, stream=2000, atypicality=exchangeable, bounds=bounds)
    assert np.isfinite(raised).mean() > 0.2


@pytest.mark.parametrize(
    ("photos", "atypicality", "after", "within"),
    [
        (163, three_times, 0, 200),
        (163, three_times, 1000, 450),
        (163, blurred, 0, 75),
        (36, blurred, 0, 350),
        (36, blurred, 1000, 900),
    ],
)
def test_photos_of_another_kind_soon_raise_the_alarm_in_95_of_100_draws(photos, atypicality, after, within):
    def changing(random, draws, count):
        return (exchangeable if count <= after else atypicality)(random, draws, count)

    raised = first_alarms(photos, draws=400, stream=after + within, atypicality=changing)
    assert np.isfinite(raised).mean() >= 0.95


def test_drift_bets_like_the_simulations_above():
    random, photos = np.random.default_rng(0), 36
    calibration, ranks = random.random(photos), np.array(RANKS[photos])
    drift, bets = Drift(photos), Bets((3,))
    for atypicality in random.random(50) ** 0.3:
        drift.add((1 + (calibration >= atypicality).sum()) / (photos + 1))
        bets.add((atypicality > np.sort(calibration)[::-1][ranks - 1]).astype(float), frequency_bounds(ranks, photos))
    assert 10**drift.alarm.log10_evidence == pytest.approx(np.exp(bets.log_wealth).mean())


@pytest.mark.parametrize("photos", [1, 3, 12, 36, 163])
def test_any_number_of_calibration_photos_can_be_watched(photos):
    drift = Drift(photos)
    for _ in range(3):
        drift.add(1 / (photos + 1))
        drift.add(1.0)
    assert drift.describe()["state"] == "watching"
    assert all(0 < row["p_value_at_most"] <= row["share_explained"] <= 1 for row in drift.describe()["watched"])


def test_the_photos_until_a_shift_is_noticed_are_reported():
    assert [Drift(photos).describe()["three_times_as_many_noticed_after"] for photos in (12, 163)] == [None, 48]


def test_an_alarm_stays(monkeypatch):
    times = map(str, itertools.count())
    monkeypatch.setattr(alarm, "now", lambda: next(times))
    drift = Drift(163)
    for _ in range(100):
        drift.add(1 / 164)
    raised = drift.describe()
    for _ in range(1000):
        drift.add(1.0)
    assert raised["state"] == drift.describe()["state"] == "alarm"
    assert raised["since"] == drift.describe()["since"] is not None
    assert drift.alarm.log10_evidence < math.log10(2 / DELTA)


@pytest.fixture(scope="module")
def pool():
    """Losses (photos, KINDS, STEPS) of so many photos that their means serve as expected losses."""
    return np.stack([photo.overall for photo in toy_losses(seed=0, photos=1500)])


def bounds_fail(pool, photos, draws):
    """For each draw of a calibration, whether a bound is below the expected loss."""
    random, risks = np.random.default_rng(1), pool.mean(axis=0)
    drawn = (pool[random.integers(0, len(pool), photos)] for _ in range(draws))
    return np.array([(risks > risk_bounds(losses)).any() for losses in drawn])


def test_expected_losses_are_within_their_bounds(pool):
    assert not bounds_fail(pool, photos=36, draws=10).any()


@pytest.mark.slow
@pytest.mark.parametrize("photos", [36, 163])
def test_expected_losses_are_within_their_bounds_in_all_but_few_draws(pool, photos):
    assert bounds_fail(pool, photos, draws=150).mean() <= DELTA / 2 + 3 * math.sqrt(DELTA / 2 / 150)


def test_bounds_are_informative_and_never_rise_with_the_step(pool):
    bounds = risk_bounds(pool[:163])
    assert (np.diff(bounds, axis=1) <= 0).all()
    assert (bounds[:, -1] < 0.15).all() and (bounds[:, 0] > 0.5).all()


def job(content=b"", alpha=0.2, mode="per_channel", delta=None):
    return Job(kind="bands", content=content, name="a", guarantee=Guarantee(alpha=alpha, mode=mode, delta=delta))


def measurements(likeness=0.5, outside=None, unwatched=None):
    return Measurements(width=8, height=8, band_width=20.0, likeness=likeness, outside=outside, unwatched=unwatched)


@pytest.fixture(scope="module")
def calibration():
    return toy_calibration(toy_losses(seed=2, photos=163))


def share_outside(losses, calibration, requested):
    """The share of a photo with losses (KINDS, STEPS) that is outside the requested bands."""
    steps = calibration.steps(requested.guarantee)
    if requested.guarantee.mode == "joint":
        return losses[3, (steps - np.array(SHAPE.joint_offsets)).max()]
    return losses[range(3), steps].mean()


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_photos_that_are_covered_as_promised_raise_no_alarm(pool, calibration, alpha, mode):
    coverage, requested = Coverage(calibration), job(alpha=alpha, mode=mode)
    for losses in pool:
        coverage.add(share_outside(losses, calibration, requested), requested)
    described = coverage.describe()
    assert described["state"] == "watching"
    assert described["modes"][mode]["outside"] == pytest.approx(alpha, abs=0.05)
    assert list(described["modes"]) == [mode]


@pytest.mark.slow
def test_coverage_as_promised_seldom_raises_the_alarm_over_draws_of_the_calibration():
    random, raised = np.random.default_rng(3), []
    pool = toy_losses(seed=4, photos=1500)
    for _ in range(100):
        calibration = toy_calibration(pool[index] for index in random.integers(0, len(pool), 36))
        coverage, requested = Coverage(calibration), job()
        for index in random.integers(0, len(pool), 1000):
            coverage.add(share_outside(pool[index].overall, calibration, requested), requested)
        raised.append(coverage.alarm.since is not None)
    assert np.mean(raised) <= DELTA + 3 * math.sqrt(DELTA / 100)


def test_three_times_as_much_outside_raises_the_alarm(pool, calibration):
    coverage, requested = Coverage(calibration), job(alpha=0.1)
    for losses in pool[:450]:
        coverage.add(min(3 * share_outside(losses, calibration, requested), 1.0), requested)
    assert coverage.describe()["state"] == "alarm"


def test_the_bound_of_the_share_outside_is_at_least_alpha(calibration):
    coverage = Coverage(calibration)
    assert coverage.bound(job(alpha=0.2)) >= 0.2
    assert 0.4 <= coverage.bound(job(alpha=0.4, delta=0.001)) < coverage.bound(job(alpha=0.4))
    assert coverage.bound(job(alpha=0.999)) == pytest.approx(1, abs=1e-3)


def test_the_same_photo_again_is_no_new_evidence(calibration):
    watched = Monitor(calibration)
    for _ in range(100):
        watched.add(job(b"the same"), measurements(likeness=1 / 164, outside=1.0))
    described = watched.describe()
    assert described["repeated"] == 99
    assert (described["drift"]["photos"], described["coverage"]["photos"]) == (1, 1)
    assert described["drift"]["state"] == described["coverage"]["state"] == "watching"


def test_the_oldest_digest_is_forgotten_first(calibration, monkeypatch):
    monkeypatch.setattr(monitor, "REMEMBERED", 2)
    watched = Monitor(calibration)
    for content in (b"a", b"b", b"a", b"c", b"a", b"b"):
        watched.add(job(content), measurements())
    assert watched.repeated == 2
    assert watched.drift.alarm.count == 4


def test_photos_without_true_colours_are_no_evidence_of_coverage_and_counted_by_their_reason(calibration):
    watched = Monitor(calibration)
    for content, reason in ((b"a", "grey"), (b"b", "tinted"), (b"c", "tinted")):
        watched.add(job(content), measurements(unwatched=reason))
    described = watched.describe()
    assert (described["drift"]["photos"], described["coverage"]["photos"]) == (3, 0)
    assert described["coverage"]["modes"] == {}
    assert described["coverage"]["left_out"] == {"grey": 1, "tinted": 2, "guided": 0}
