"""The nested bands of a photo: they nest at every pixel, and a score is the first step that holds the true value."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from huebands.conformal.bands import STEPS, STEPS_PER_KNOT, Ends, NestedBands
from huebands.density import coordinate
from huebands.density.intervals import KNOTS, nested_intervals
from huebands.photos.grey import GreyPhoto

# Smaller and larger than the square of 6 x 6 samples, and strips of one pixel.
SIZES = [(9, 11), (3, 4), (6, 6), (1, 1), (1, 17), (13, 1)]


def random_photo(size, seed=0, samples=6):
    """Bands of a photo from rough histograms, and its true colours, uint8 (H, W, 3), some of them extreme."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    true[0] = random.choice(np.array([0, 1, 254, 255], np.uint8), (size[1], 3))
    shown = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    logits = torch.randn(3, 12, samples, samples, generator=torch.Generator().manual_seed(seed)) * 3
    grey = torch.from_numpy(random.integers(0, 256, (samples, samples), dtype=np.uint8))
    knots = nested_intervals(logits.log_softmax(dim=1), grey, 0.5)
    return NestedBands(shown, GreyPhoto.of_rgb(true).levels_HW, Ends(*knots)), true


def at_every_step(nested):
    """Bands at all steps: (STEPS, H, W, 3, 2)."""
    return np.stack([nested.at(np.full(3, step)) for step in range(STEPS)])


def is_inside(bands, true):
    return (bands[..., 0] <= true) & (true <= bands[..., 1])


@pytest.fixture(scope="module", params=SIZES, ids=str)
def photo(request):
    """Nested bands, true colours, and the bands at every step."""
    nested, true = random_photo(request.param)
    return nested, true, at_every_step(nested)


def test_bands_are_whole_levels_around_the_colour_shown(photo):
    nested, _, bands = photo
    assert bands.dtype == np.uint8 and bands.shape == (STEPS, *nested.shown_HW3.shape, 2)
    assert is_inside(bands, nested.shown_HW3).all()


def test_bands_never_shrink_from_one_step_to_the_next(photo):
    _, _, bands = photo
    lower, upper = bands[..., 0].astype(int), bands[..., 1].astype(int)
    assert (np.diff(lower, axis=0) <= 0).all() and (np.diff(upper, axis=0) >= 0).all()


def test_the_score_is_the_first_step_that_holds_the_true_value(photo):
    nested, true, bands = photo
    first_steps = nested.first_steps(true)
    assert first_steps.dtype == np.uint16
    assert np.array_equal(first_steps, is_inside(bands, true).argmax(axis=0))


def test_the_last_step_holds_every_colour_of_the_grey_level(photo):
    nested, true, bands = photo
    assert is_inside(bands[-1], true).all()
    assert nested.first_steps(true).max() < STEPS
    values = torch.full(nested.grey_HW.shape, 1.0)
    for channel in range(3):
        lowest, highest = (
            coordinate.decode_channel(end, torch.from_numpy(nested.grey_HW), channel).numpy()
            for end in (-values, values)
        )
        shown = nested.shown_HW3[..., channel]
        assert np.array_equal(bands[-1, :, :, channel, 0], np.minimum(lowest, shown))
        assert np.array_equal(bands[-1, :, :, channel, 1], np.maximum(highest, shown))


def test_each_pixel_may_have_a_step_of_its_own(photo):
    nested, true, bands = photo
    steps = np.random.default_rng(1).integers(0, STEPS, true.shape)
    steps.flat[:2] = 0, STEPS - 1
    expected = np.take_along_axis(bands, steps[None, ..., None], axis=0)[0]
    for dtype in (np.int64, np.uint16):
        assert np.array_equal(nested.at(steps.astype(dtype)), expected)
    channels = np.array([STEPS - 1, 0, 100])
    assert np.array_equal(nested.at(channels), np.moveaxis(bands[channels, :, :, range(3)], 0, 2))


def test_a_band_holds_the_true_value_at_its_score_and_not_a_step_before(photo):
    nested, true, _ = photo
    steps = nested.first_steps(true)
    assert is_inside(nested.at(steps), true).all()
    before = nested.at(np.maximum(steps, 1) - 1)
    assert np.array_equal(is_inside(before, true), steps == 0)


def test_bounds_are_rounded_outwards_around_interpolated_positions(photo):
    """Against torch's bilinear interpolation, up to float32's rounding of a level near 255."""
    nested, _, bands = photo
    grey, size = torch.from_numpy(nested.grey_HW), nested.grey_HW.shape
    low, high = (
        coordinate.decode(F.interpolate(knots.double(), size, mode="bilinear", align_corners=False), grey).numpy()
        for knots in (nested.intervals.lower_K3SS, nested.intervals.upper_K3SS)
    )
    for knot in range(KNOTS + 1):
        bounds = np.moveaxis(bands[knot * STEPS_PER_KNOT], 2, 0).astype(int)
        shown = np.moveaxis(nested.shown_HW3, 2, 0)
        lower, upper = (np.where(bounds[..., end] == shown, np.nan, bounds[..., end]) for end in (0, 1))
        slack = 1e-3
        assert np.nanmax(lower - low[knot], initial=-1) <= slack and np.nanmax(low[knot] - lower, initial=0) < 1 + slack
        assert (
            np.nanmax(high[knot] - upper, initial=-1) <= slack and np.nanmax(upper - high[knot], initial=0) < 1 + slack
        )
        # Where the colour shown is the bound, it lies beyond the interval, or the interval ends in its level.
        assert (shown <= low[knot] + slack)[np.isnan(lower)].all() and (shown >= high[knot] - slack)[
            np.isnan(upper)
        ].all()


def test_positions_move_evenly_between_knots():
    """Each step moves an end by a twelfth of the way to the next knot: here from 0 to the limits, u = n / 12."""
    zero = torch.zeros(KNOTS, 3, 1, 1)
    limits = torch.ones(1, 3, 1, 1)
    grey, shown = np.full((1, 1), 100, np.uint8), np.full((1, 1, 3), 100, np.uint8)
    nested = NestedBands(shown, grey, Ends(torch.cat((zero, -limits)), torch.cat((zero, limits))))
    for offset in range(STEPS_PER_KNOT + 1):
        u, greys = torch.tensor(offset / 12), torch.tensor(100)
        bands = nested.at(np.full(3, (KNOTS - 1) * STEPS_PER_KNOT + offset))[0, 0]
        for channel in range(3):
            low, high = (float(coordinate.decode_channel(end, greys, channel)) for end in (-u, u))
            assert bands[channel].tolist() == [np.floor(low), np.ceil(high)]


@pytest.mark.parametrize("tile", [1, 10, 30])
def test_the_size_of_tiles_does_not_change_the_bands(monkeypatch, tile):
    nested, true = random_photo((9, 11), seed=2)
    steps = np.random.default_rng(3).integers(0, STEPS, true.shape)
    expected = nested.at(steps), nested.at(np.array([5, 100, 250])), nested.first_steps(true)
    monkeypatch.setattr("huebands.conformal.bands._TILE", tile)
    tiled = nested.at(steps), nested.at(np.array([5, 100, 250])), nested.first_steps(true)
    for tiled_result, result in zip(tiled, expected, strict=True):
        assert np.array_equal(tiled_result, result)


def test_one_sample_serves_a_whole_photo():
    nested, true = random_photo((4, 5), samples=1)
    bands = at_every_step(nested)
    assert np.array_equal(nested.first_steps(true), is_inside(bands, true).argmax(axis=0))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sampled_pixels_have_the_bands_of_the_photo(size):
    nested, true = random_photo(size, seed=4)
    rows, columns = slice(0, None, 2), slice(None, None, 3)
    sampled = nested.sampled(rows, columns)
    steps = np.random.default_rng(5).integers(0, STEPS, true.shape)
    assert np.array_equal(sampled.first_steps(true[rows, columns]), nested.first_steps(true)[rows, columns])
    assert np.array_equal(sampled.at(steps[rows, columns]), nested.at(steps)[rows, columns])
