"""The calibration of the expected error: on constructed photos it undoes a known distortion."""

import numpy as np
import pytest

from huebands.colorize.error_calibration import (
    PIXELS,
    certify_maps,
    compared_pixels,
    fit_curve,
    measure_maps,
    true_errors,
)
from huebands.conformal.error_map import MOST_KNOTS, ErrorCurve, MapError, choose_map, upsample
from huebands.density.expected_error import LEVELS
from huebands.metrics.image import ab_mae, ciede2000
from huebands.metrics.sparsification import calibration_error, reliability


def distorted(photos, seed=0, pixels=1000):
    """Photos whose observed error is (1.5 x)^0.8 of the expected x on average, with much noise."""
    random = np.random.default_rng(seed)
    for _ in range(photos):
        expected = random.gamma(2.0, random.uniform(2, 6), pixels)
        yield expected, (1.5 * expected) ** 0.8 * random.gamma(4.0, 0.25, pixels)


def test_a_rising_distortion_is_undone():
    curve = fit_curve(list(distorted(60)))
    assert len(curve.expected) <= MOST_KNOTS
    pairs = list(distorted(60, seed=1))
    expected, observed = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    weights = np.ones(expected.size)
    assert calibration_error(reliability(expected, observed, weights, 10)) > 0.5, "the test needs a distortion"
    calibrated = curve.calibrate(expected.astype(np.float32))
    assert calibration_error(reliability(calibrated, observed, weights, 10)) < 0.15
    inside = (expected > 1) & (expected < 20)
    np.testing.assert_allclose(calibrated[inside], (1.5 * expected[inside]) ** 0.8, rtol=0.12, atol=0.2)


def test_photos_weigh_alike_whatever_their_size():
    levels = np.linspace(1, 20, 200)
    large, small = (np.tile(levels, 50), np.tile(levels, 50) + 4), (levels, levels)
    curve = fit_curve([large, small])
    np.testing.assert_allclose(curve.calibrate(levels[20:-20].astype(np.float32)), levels[20:-20] + 2, atol=0.4)


def test_an_expected_error_that_tells_nothing_becomes_the_mean_error():
    observed = np.random.default_rng(0).gamma(2.0, 4.0, 500)
    curve = fit_curve([(np.full(500, 7.0), observed)])
    assert curve.expected == (7.0,)
    assert curve.calibrate(np.array([0, 7, 90], np.float32)) == pytest.approx([observed.mean()] * 3, abs=1e-3)


def test_errors_that_fall_are_pooled():
    levels = np.linspace(1, 20, 300)
    curve = fit_curve([(levels, 30 - levels)])
    np.testing.assert_allclose(curve.calibrate(levels.astype(np.float32)), 30 - levels.mean(), atol=1e-3)


def test_no_photos_are_refused():
    with pytest.raises(ValueError, match="at least one photo"):
        fit_curve([])


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (375, 500), (3000, 20), (1, 5000)])
def test_at_most_so_many_pixels_are_compared(size):
    compared = np.zeros(size)[compared_pixels(size)].size
    assert min(PIXELS, size[0] * size[1]) / 4 < compared <= 1.5 * PIXELS


def test_the_true_errors_are_those_of_the_evaluation():
    shown, true = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    errors = true_errors(shown, true)
    assert errors["ciede2000"].mean() == pytest.approx(ciede2000(true, shown))
    assert errors["ab"].shape == (600,)
    assert ab_mae(true, shown) < errors["ab"].mean() < 2 * ab_mae(true, shown)


def test_the_figures_are_means_over_photos_and_the_table_is_over_pixels():
    random, photos = np.random.default_rng(0), []
    for expected, observed in distorted(12, pixels=400):
        errors = {"ab": observed * 2, "ciede2000": observed}
        maps = {"expected-error": expected.astype(np.float32), "width": random.random(400).astype(np.float32)}
        photos.append(measure_maps(maps, errors))
    maps = certify_maps(photos, seed=0)
    rows = {(row["map"], row["error"]): row for row in maps["rows"]}
    assert set(rows) == {(name, error) for name in ("expected-error", "width") for error in ("ab", "ciede2000")}
    for row in rows.values():
        assert row["photos"] == 12
        for name in ("sparsification", "rank_correlation"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert rows["width", "ab"]["sparsification"] == pytest.approx(1, abs=0.1)
    assert rows["expected-error", "ab"]["sparsification"] < 0.5
    assert sum(part["share"] for part in maps["reliability"]) == pytest.approx(1, abs=0.005)
    assert maps["calibration_error"] > 0.5


def test_a_photo_without_differences_of_error_does_not_count():
    flat = measure_maps({"width": np.arange(9, dtype=np.float32)}, {"ab": np.ones(9), "ciede2000": np.ones(9)})
    varied = measure_maps({"width": np.arange(9, dtype=np.float32)}, {"ab": np.arange(9.0), "ciede2000": np.ones(9)})
    (ab, equal) = certify_maps([flat, varied], seed=0)["rows"]
    assert (ab["photos"], ab["sparsification"], ab["rank_correlation"]) == (1, 0.0, 1.0)
    assert (equal["photos"], equal["sparsification"], equal["rank_correlation_low"]) == (0, None, None)


def test_beyond_its_ends_a_curve_is_constant():
    curve = ErrorCurve((2.0, 4.0), (3.0, 9.0))
    assert curve.calibrate(np.array([[0, 2], [3, 99]], np.float32)).tolist() == [[3, 3], [6, 9]]


@pytest.mark.parametrize("size", [(1, 1), (40, 50), (2, 4000)])
def test_the_size_of_tiles_does_not_change_a_map(size, monkeypatch):
    random = np.random.default_rng(0)
    samples, grey = random.random((len(LEVELS), 5, 6), np.float32), random.integers(0, 256, size, dtype=np.uint8)
    whole = upsample(samples, grey)
    monkeypatch.setattr("huebands.conformal.error_map._TILE", 77)
    np.testing.assert_array_equal(upsample(samples, grey), whole)
    assert samples.min() <= whole.min() and whole.max() <= samples.max()


def test_a_map_is_chosen_by_name():
    assert choose_map(None, ("expected-error", "width")) == "expected-error"
    assert choose_map("width", ("expected-error", "width")) == "width"
    with pytest.raises(MapError, match=r"'expected-error'. must be width: the model has no joint colour density"):
        choose_map("expected-error", ("width",))
    with pytest.raises(MapError, match=r"'heat'. must be expected-error or width"):
        choose_map("heat", ("expected-error", "width"))
