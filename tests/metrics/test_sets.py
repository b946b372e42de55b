"""FID and KID against other implementations, and their intervals against simulations."""

import itertools

import numpy as np
import pytest
import torch

from huebands.metrics import sets
from huebands.metrics.sets import fid, kid
from huebands.models.parts.torchvision_import import torchvision

SCALE = np.array([1.0, 0.8, 0.5])


def draw(generator, photos, scale=SCALE):
    """Features of truths, and of colorizations that resemble their own truth and are all shifted."""
    truths = generator.normal(0, scale, (photos, len(scale)))
    return truths, 0.6 * truths + generator.normal(0, 0.4 * scale, truths.shape) + 0.15 * scale


@pytest.fixture(scope="module")
def reference():
    torchvision()  # torchmetrics imports it
    from torchmetrics.image import fid, kid

    return {"fid": fid._compute_fid, "poly_mmd": kid.poly_mmd}


@pytest.fixture
def values_only(monkeypatch):
    """Spares the bootstrap."""
    monkeypatch.setattr(sets, "_FID_RESAMPLES", 2)
    monkeypatch.setattr(sets, "_KID_RESAMPLES", 2)


@pytest.mark.parametrize(("photos", "features"), [(40, 6), (5, 30)])
def test_fid_equals_torchmetrics_whether_there_are_more_photos_or_features(reference, photos, features):
    sets = draw(np.random.default_rng(0), photos, np.linspace(1, 0.2, features))
    moments = [torch.from_numpy(moment) for rows in sets for moment in (rows.mean(axis=0), np.cov(rows, rowvar=False))]
    # Eigenvalues that are zero come back as roots of rounding errors.
    assert fid(*sets, seed=0).value == pytest.approx(float(reference["fid"](*moments)), abs=1e-6)


def test_fid_of_shifted_features_is_the_squared_shift():
    truths = np.random.default_rng(0).normal(size=(20, 4))
    assert fid(truths, truths + np.array([3, 0, 4, 0]), seed=0).value == pytest.approx(25)
    assert fid(truths, truths, seed=0).value == pytest.approx(0, abs=1e-9)


def test_a_resample_scores_as_if_its_photos_were_there(monkeypatch):
    """FID of weighted photos is FID of the photos, repeated as often as they were drawn."""
    truths, results = draw(np.random.default_rng(0), 9)
    counts = np.array([[3, 0, 2, 1, 0, 1, 1, 1, 0], [0, 2, 2, 0, 2, 0, 1, 1, 1]])
    monkeypatch.setattr(sets, "resampling_weights", lambda photos, resamples, seed: counts / 9)
    replicates = [fid(np.repeat(truths, row, axis=0), np.repeat(results, row, axis=0), seed=0) for row in counts]
    expected = abs(replicates[0].value - replicates[1].value) / 2
    assert fid(truths, results, seed=0).standard_error == pytest.approx(expected, rel=1e-6)


def test_kid_is_torchmetrics_mmd_averaged_over_photos_that_do_not_meet_themselves(reference):
    truths, results = draw(np.random.default_rng(0), 6)
    halves = [
        (list(first), list(second))
        for first, second in itertools.product(itertools.combinations(range(6), 3), repeat=2)
        if not set(first) & set(second)
    ]
    assert len(halves) == 20
    mmds = [reference["poly_mmd"](torch.from_numpy(truths[a]), torch.from_numpy(results[b])) for a, b in halves]
    assert kid(truths, results, seed=0).value == pytest.approx(float(np.mean(mmds)), abs=1e-9)


def test_kid_has_no_bias_on_few_photos_and_fid_has(values_only):
    generator = np.random.default_rng(0)
    kids, fids = (
        {photos: [distance(*draw(generator, photos), seed=0).value for _ in range(2000)] for photos in (5, 50)}
        for distance in (kid, fid)
    )
    error = np.hypot(*(np.std(values) / np.sqrt(2000) for values in kids.values()))
    # A U-statistic has the same mean on any number of photos; three standard errors are chance.
    assert np.mean(kids[5]) == pytest.approx(np.mean(kids[50]), abs=3 * error)
    assert np.mean(fids[5]) > 1.2 * np.mean(fids[50])


@pytest.fixture(scope="module")
def mean_over_other_photos():
    """The mean of each distance over 4000 sets of 30 photos."""
    generator = np.random.default_rng(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "_FID_RESAMPLES", 2)
        patch.setattr(sets, "_KID_RESAMPLES", 2)
        drawn = [draw(generator, 30) for _ in range(4000)]
        return {distance: np.mean([distance(*pair, seed=0).value for pair in drawn]) for distance in (fid, kid)}


@pytest.mark.parametrize("distance", [fid, kid])
def test_the_interval_holds_the_mean_over_other_photos_as_often_as_it_says(
    distance, mean_over_other_photos, monkeypatch
):
    monkeypatch.setattr(sets, "_FID_RESAMPLES", 200)
    monkeypatch.setattr(sets, "_KID_RESAMPLES", 200)
    generator = np.random.default_rng(0)
    estimates = [distance(*draw(generator, 30), seed=0) for _ in range(200)]
    held = np.mean([estimate.low <= mean_over_other_photos[distance] <= estimate.high for estimate in estimates])
    # 95% of 200 has a standard deviation of 1.5%, and the bootstrap of 30 photos may be off by as much.
    assert held == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("distance", [fid, kid])
def test_the_standard_error_agrees_with_the_jackknife(distance):
    truths, results = draw(np.random.default_rng(1), 60)
    without = [distance(np.delete(truths, i, 0), np.delete(results, i, 0), seed=0).value for i in range(60)]
    jackknife = np.sqrt(59 * np.var(without))
    # Both estimate it to the order 1/n, and 500 replicates leave 3%.
    assert distance(truths, results, seed=0).standard_error == pytest.approx(jackknife, rel=0.15)


@pytest.mark.parametrize("distance", [fid, kid])
def test_distances_follow_the_seed_and_survive_few_photos(distance):
    pair = draw(np.random.default_rng(0), 12)
    assert distance(*pair, seed=1) == distance(*pair, seed=1) != distance(*pair, seed=2)
    for photos in (2, 3):
        estimate = distance(pair[0][:photos], pair[1][:photos], seed=0)
        assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9


@pytest.mark.parametrize("distance", [fid, kid])
def test_what_is_no_pair_of_sets_is_refused(distance):
    truths, results = draw(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match="at least 2 photos, got 1"):
        distance(truths[:1], results[:1], seed=0)
    with pytest.raises(ValueError, match=r"got \(3, 3\) for truths and \(2, 3\) for results"):
        distance(truths, results[:2], seed=0)
