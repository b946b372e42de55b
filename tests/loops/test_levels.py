"""The loops between levels, light and CIELAB do what torch and NumPy do, many times slower."""

import numpy as np
import pytest
import torch

from huebands import color
from huebands.conformal import luminance
from huebands.loops.levels import count_below, count_up_to
from huebands.loops.srgb import shown_levels, starts_of
from huebands.photos.grey import grey_of


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("count", "side"), [(count_below, "left"), (count_up_to, "right")])
def test_edges_are_counted_as_a_search_does(count, side, dtype):
    edges = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy().astype(dtype)
    starts = starts_of(edges)
    cells = np.arange(len(starts) + 1, dtype=dtype) / dtype(len(starts))
    values = np.concatenate((edges, cells, np.linspace(-0.1, 1.1, 999, dtype=dtype)))
    values = np.concatenate((values, np.nextafter(values, dtype(-1)), np.nextafter(values, dtype(2))))
    values = np.concatenate((values, np.array([-np.inf, -1e30, -1.0, 1.5, 1e30, np.inf], dtype)))
    assert [count(value, edges, starts) for value in values] == np.searchsorted(edges, values, side).tolist()


def test_every_8_bit_colour_has_its_grey_level():
    green, blue = np.mgrid[0:256, 0:256].astype(np.uint8)
    for red in range(256):
        rgb = np.stack((np.full_like(green, red), green, blue), axis=-1)
        assert np.array_equal(grey_of(rgb), color.grey_levels(torch.from_numpy(rgb).movedim(-1, 0)).numpy()), red


@pytest.mark.parametrize("spread", [0, 5, 30, 100], ids="{} CIELAB units".format)
def test_shown_colours_are_fitted_to_the_gamut_and_rounded(spread):
    """Torch's power function and its last few columns of a matrix product may round otherwise: at most 3 in 10^6."""
    generator = torch.Generator().manual_seed(spread)
    lab = torch.cat((torch.rand(1, 500, 700, generator=generator) * 100, torch.empty(2, 500, 700)))
    lab[1:] = torch.randn(2, 500, 700, generator=generator) * spread
    lab[0, 0, :2] = torch.tensor([0.0, 100.0])
    shown = shown_levels(lab)
    assert shown.dtype == torch.uint8 and shown.shape == lab.shape
    differences = (shown.int() - color.to_bytes(color.lab_to_srgb(color.fit_to_gamut(lab))).int()).abs()
    assert differences.max() <= 1 and (differences > 0).float().mean() < 3e-6
    assert (shown > 0).any() and (shown < 255).any()


def test_every_8_bit_colour_survives_lab():
    """A sample of 2^16 of them, and the corners of the cube."""
    rgb = torch.randint(0, 256, (3, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    rgb[:, 0, :8] = torch.cartesian_prod(*[torch.tensor([0, 255], dtype=torch.uint8)] * 3).T
    assert torch.equal(shown_levels(color.srgb_to_lab(color.from_bytes(rgb))), rgb)


def test_bounds_are_tightened_as_by_searches_in_turns():
    random = np.random.default_rng(0)
    true = random.integers(0, 256, (5000, 3), dtype=np.uint8)
    reach = random.integers(0, 90, (2, 5000, 3))
    lower, upper = np.clip(true - reach[0], 0, 255), np.clip(true + reach[1], 0, 255)
    grey = grey_of(true[None])[0]
    grey[:50] = random.integers(0, 256, 50)  # for some of which no colour fits
    tight = luminance.propagate(lower.astype(np.uint8), upper.astype(np.uint8), grey)
    for bound, expected in zip(tight, by_searches(lower, upper, grey), strict=True):
        assert bound.dtype == np.uint8 and np.array_equal(bound, expected)


def by_searches(lower, upper, grey):
    """Tighten all pixels at once until no bound changes."""
    weights = np.array(color.RGB_TO_XYZ[1])
    linear = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy()
    edges = color.grey_edges().double().numpy()
    darkest = (np.concatenate(([-np.inf], edges)) - luminance.SLACK)[grey][:, None]
    brightest = (np.concatenate((edges, [np.inf])) + luminance.SLACK)[grey][:, None]
    while True:
        low, high = linear[lower] * weights, linear[upper] * weights
        below = (darkest - (high.sum(axis=1, keepdims=True) - high)) / weights
        above = (brightest - (low.sum(axis=1, keepdims=True) - low)) / weights
        raised = np.maximum(lower, np.searchsorted(linear, below, "left").clip(max=255))
        lowered = np.minimum(upper, np.searchsorted(linear, above, "right").clip(min=1) - 1)
        if np.array_equal(raised, lower) and np.array_equal(lowered, upper):
            return lower, upper
        lower, upper = raised, lowered
