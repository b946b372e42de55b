"""Metrics of one photo against scikit-image, scikit-learn and closed forms, and the pictures drawn of reports."""

import matplotlib
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from sklearn.metrics import auc

from huebands.metrics.image import (
    Photo,
    ab_auc,
    ab_mae,
    ciede2000,
    clipped,
    colourfulness,
    error_figures,
    own_figures,
    psnr,
    ssim,
)
from huebands.photos.heatmap import heat_map, magma
from huebands.photos.read import read_photo
from huebands.plots.bands import mark_outside
from huebands.plots.pictures import Strip, draw_coverage, draw_sheet


@pytest.fixture
def photos():
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    result = np.clip(truth.astype(int) + generator.integers(-40, 41, truth.shape), 0, 255).astype(np.uint8)
    return truth, result


def full(colour, shape=(8, 8)):
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (*shape, 3)).copy()


def test_psnr_is_that_of_the_mean_squared_error_over_all_values(photos):
    truth, result = (photo.astype(float) for photo in photos)
    assert psnr(*photos) == pytest.approx(10 * np.log10(255**2 / np.mean((truth - result) ** 2)), abs=1e-9)


def test_psnr_of_a_constant_error_has_its_closed_form():
    assert psnr(full((100, 100, 100)), full((110, 90, 110))) == pytest.approx(20 * np.log10(25.5))
    assert psnr(full((1, 2, 3)), full((1, 2, 3))) == float("inf")


def test_ssim_is_one_for_equal_photos_and_symmetric(photos):
    truth, result = photos
    assert ssim(truth, truth) == pytest.approx(1)
    assert ssim(truth, result) == pytest.approx(ssim(result, truth))
    assert ssim(truth, result) < 1


def test_ssim_of_flat_photos_has_its_closed_form():
    stabiliser = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + stabiliser) / (100**2 + 120**2 + stabiliser)
    assert ssim(full((100, 100, 100)), full((120, 120, 120))) == pytest.approx(expected)


def test_ciede2000_is_scikit_image_averaged_and_zero_for_equal_photos(photos):
    truth, result = photos
    assert ciede2000(truth, result) == pytest.approx(deltaE_ciede2000(rgb2lab(truth), rgb2lab(result)).mean())
    assert ciede2000(truth, truth) == 0


def test_ab_mae_sees_colour_but_hardly_sees_lightness():
    red, green = full((255, 0, 0)), full((0, 255, 0))
    lab = rgb2lab(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8))[0]
    assert ab_mae(red, green) == pytest.approx(np.abs(lab[0, 1:] - lab[1, 1:]).mean())
    assert ab_mae(full((0, 0, 0)), full((255, 255, 255))) < 0.01


def test_colourfulness_has_its_closed_form():
    assert colourfulness(full((90, 90, 90))) == 0
    half = np.concatenate((full((200, 100, 50)), full((100, 200, 50))))
    # rg is +-100, yb is 100 everywhere: M = 100 + 0.3 * 100.
    assert colourfulness(half) == pytest.approx(130)


def test_ab_auc_is_the_area_under_the_sweep_of_thresholds(photos):
    distance = np.linalg.norm((rgb2lab(photos[0]) - rgb2lab(photos[1]))[..., 1:], axis=-1)
    for step, tolerance in ((1, 2e-3), (0.05, 1e-5)):
        thresholds = np.arange(0, 150 + step / 2, step)
        within = [np.mean(distance <= threshold) for threshold in thresholds]
        # The share within is a staircase: trapezoids are off by up to half a step of 150 at each of its ends.
        assert ab_auc(*photos) == pytest.approx(auc(thresholds, within) / 150, abs=tolerance)


def test_ab_auc_is_one_for_equal_photos_and_zero_where_every_colour_is_farther_than_150():
    blue, green = full((0, 0, 255)), full((0, 255, 0))
    assert ab_auc(blue, blue) == 1
    assert ab_auc(blue, green) == 0
    grey = full((120, 120, 120))
    chroma = np.linalg.norm(rgb2lab(green)[0, 0, 1:] - rgb2lab(grey)[0, 0, 1:])
    assert ab_auc(green, grey) == pytest.approx(1 - chroma / 150)


def test_clipped_counts_colours_at_the_edge_but_neither_black_nor_white():
    colours = [[0, 0, 0], [255, 255, 255], [255, 90, 90], [0, 90, 90], [90, 91, 92]]
    assert clipped(np.array([colours], dtype=np.uint8)) == pytest.approx(2 / 5)
    # So dark, and so light, that their grey is black or white: their colours cannot be otherwise either.
    assert clipped(np.array([[[0, 0, 3], [255, 255, 250]]], dtype=np.uint8)) == 0


def test_all_figures_of_a_photo_are_those_of_the_single_metrics(photos):
    truth, result = photos
    single = {metric.__name__: metric(truth, result) for metric in (psnr, ssim, ciede2000, ab_mae, ab_auc)}
    error = abs(colourfulness(truth) - colourfulness(result))
    assert error_figures(Photo(truth), Photo(result)) == {**single, "colourfulness_error": error}
    assert own_figures(Photo(result)) == {"colourfulness": colourfulness(result), "clipped": clipped(result)}


def test_the_colours_of_heat_maps_are_matplotlibs_magma():
    assert np.array_equal(magma(), matplotlib.colormaps["magma"](np.arange(256), bytes=True)[:, :3])


def test_heat_map_has_one_fixed_scale():
    colours = heat_map(np.array([[0.0, 127.6, 255.0, 300.0, -1.0]]))
    assert colours.dtype == np.uint8 and colours.shape == (1, 5, 3)
    assert colours[0, 0].tolist() == colours[0, 4].tolist() == [0, 0, 3]
    assert colours[0, 2].tolist() == colours[0, 3].tolist() == [251, 252, 191]
    assert heat_map(np.array([[128.0]]))[0, 0].tolist() == colours[0, 1].tolist()


def test_marks_are_redder_where_more_channels_are_outside():
    outside = np.zeros((1, 3, 3), dtype=bool)
    outside[0, 1, 0], outside[0, 2] = True, True
    none, one, every = mark_outside(np.full((1, 3), 100, dtype=np.uint8), outside)[0].astype(int)
    assert none.tolist() == [200, 200, 200]
    assert every.tolist() == [200, 30, 45]
    assert every[1] < one[1] < none[1]


def test_sheets_and_curves_are_drawn_the_same_every_time(tmp_path, photos):
    truth, result = photos
    strip = Strip("a $title$ with 字 and much, much more text than there is room for", (truth[..., 0], result, truth))
    table = [
        {"mode": mode, "nominal": nominal, "coverage": 0.9, "low": 0.8, "high": 1.0, "width": 30.0}
        for mode in ("per_channel", "joint")
        for nominal in (0.5, 0.9)
    ]
    for attempt in ("first", "second"):
        folder = tmp_path / attempt
        draw_sheet(folder / "sheet.png", [("best", [strip, strip]), ("worst", [strip])], ("grey", "a", "b"))
        draw_sheet(folder / "maps.png", [("", [strip])], ("grey", "a", "b"), scale_label="levels")
        draw_coverage(folder / "curve.png", table, "2 photos")
    for name in ("sheet.png", "maps.png", "curve.png"):
        first, second = ((tmp_path / attempt / name).read_bytes() for attempt in ("first", "second"))
        assert first == second
        assert read_photo(tmp_path / "first" / name).std() > 5
