"""The luminance constraint tightens bounds, and never excludes a true colour."""

import numpy as np
import pytest
import torch

from huebands import color
from huebands.conformal.luminance import propagate
from huebands.photos.grey import GreyPhoto


def boxes(seed, count=20_000):
    """Random bounds around random colours, and the greys of the colours."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 256, (1, count, 3), dtype=np.uint8)
    true[0, :1000] = random.choice(np.array([0, 1, 254, 255], np.uint8), (1000, 3))
    reach = random.integers(0, 120, (2, *true.shape)) * random.integers(0, 2, (2, *true.shape))
    lower = np.clip(true - reach[0], 0, 255).astype(np.uint8)
    upper = np.clip(true + reach[1], 0, 255).astype(np.uint8)
    return lower, upper, GreyPhoto.of_rgb(true).levels_HW, true


def luminance(rgb):
    """Of colours (..., 3) in 8-bit levels, float64."""
    linear = color.srgb_to_linear(torch.as_tensor(rgb, dtype=torch.float64) / 255).numpy()
    return linear @ np.array(color.RGB_TO_XYZ[1])


def test_no_8_bit_colour_is_ever_excluded():
    """All 2^24 of them, each in the smallest box, which holds it alone; the next test is about larger boxes."""
    green, blue = np.mgrid[0:256, 0:256].astype(np.uint8)
    for red in range(256):
        rgb = np.stack((np.full_like(green, red), green, blue), axis=-1)
        lower, upper = propagate(rgb, rgb, GreyPhoto.of_rgb(rgb).levels_HW)
        assert np.array_equal(lower, rgb) and np.array_equal(upper, rgb), f"red {red}"


def test_a_larger_box_is_tightened_to_a_larger_one():
    lower, upper, grey, true = boxes(0)
    random = np.random.default_rng(1)
    wider_lower, wider_upper = (
        np.clip(bound + sign * random.integers(0, 60, true.shape), 0, 255).astype(np.uint8)
        for bound, sign in ((lower, -1), (upper, 1))
    )
    tight, wide = propagate(lower, upper, grey), propagate(wider_lower, wider_upper, grey)
    assert (wide[0] <= tight[0]).all() and (tight[1] <= wide[1]).all()
    assert (wide[0] < tight[0]).any() and (tight[1] < wide[1]).any()


def test_bounds_are_tightened_and_hold_the_true_colour():
    lower, upper, grey, true = boxes(2)
    tight_lower, tight_upper = propagate(lower, upper, grey)
    assert tight_lower.dtype == tight_upper.dtype == np.uint8
    assert (lower <= tight_lower).all() and (tight_upper <= upper).all()
    assert (tight_lower <= true).all() and (true <= tight_upper).all()
    assert (tight_upper.astype(int) - tight_lower).mean() < 0.9 * (upper.astype(int) - lower).mean()


def test_tight_bounds_stay_as_they_are():
    lower, upper, grey, _ = boxes(3)
    once = propagate(lower, upper, grey)
    for second_bound, first_bound in zip(propagate(*once, grey), once, strict=True):
        assert np.array_equal(second_bound, first_bound)


def test_known_red_and_blue_limit_green_to_the_grey_level():
    """By hand: luminance is 0.212671 R + 0.71516 G + 0.072169 B in linear light, and grey levels meet half-way."""
    true = np.array([[[200, 90, 40]]], np.uint8)
    grey = GreyPhoto.of_rgb(true).levels_HW
    lower, upper = true.copy(), true.copy()
    lower[..., 1], upper[..., 1] = 0, 255
    darkest, brightest = luminance(np.repeat([[grey.item() - 0.5], [grey.item() + 0.5]], 3, axis=1))
    candidates = np.stack((np.full(256, 200), np.arange(256), np.full(256, 40)), axis=-1)
    fitting = np.flatnonzero((luminance(candidates) >= darkest) & (luminance(candidates) <= brightest))
    assert 90 in fitting and len(fitting) <= 3
    tight_lower, tight_upper = propagate(lower, upper, grey)
    assert tight_lower.tolist() == [[[200, fitting[0], 40]]] and tight_upper.tolist() == [[[200, fitting[-1], 40]]]


def test_bounds_of_two_channels_bound_the_third():
    """R in 0..50 and B in 0..255 at grey 128: G is least with both at their upper bounds, most with both at 0."""
    grey = np.array([[128]], np.uint8)
    lower, upper = np.array([[[0, 0, 0]]], np.uint8), np.array([[[50, 255, 255]]], np.uint8)
    darkest, brightest = luminance([[127.5] * 3, [128.5] * 3])
    of_green = luminance([[0, level, 0] for level in range(256)])
    bounds = np.flatnonzero((of_green + luminance([50, 0, 255]) >= darkest) & (of_green <= brightest))[[0, -1]]
    tight_lower, tight_upper = propagate(lower, upper, grey)
    assert [tight_lower[0, 0, 1], tight_upper[0, 0, 1]] == bounds.tolist()
    assert bounds[0] > 100 and bounds[1] < 160


@pytest.mark.parametrize(
    ("lower", "upper", "grey"),
    [
        ((0, 0, 0), (0, 0, 255), 255),  # no red is high enough
        ((255, 255, 0), (255, 255, 255), 0),  # no red is low enough
        ((200, 0, 0), (100, 255, 255), 128),  # already crossing
        ((10, 10, 10), (20, 20, 20), 128),
    ],
)
def test_bounds_without_a_fitting_colour_end_crossed(lower, upper, grey):
    tight_lower, tight_upper = propagate(np.array([lower], np.uint8), np.array([upper], np.uint8), np.array([grey]))
    assert (tight_lower > tight_upper).any()


def test_pixels_with_crossed_bounds_do_not_change_other_pixels():
    lower, upper, grey, _ = boxes(4, 1000)
    alone = propagate(lower, upper, grey)
    mixed_lower, mixed_upper, mixed_grey = lower.copy(), upper.copy(), grey.copy()
    mixed_lower[0, ::7], mixed_upper[0, ::7], mixed_grey[0, ::7] = 0, (0, 0, 255), 255
    mixed = propagate(mixed_lower, mixed_upper, mixed_grey)
    unchanged = np.arange(1000) % 7 > 0
    for mixed_bound, bound in zip(mixed, alone, strict=True):
        assert np.array_equal(mixed_bound[0, unchanged], bound[0, unchanged])
