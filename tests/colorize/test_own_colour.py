"""Grey, tinted and coloured photos are told apart, whatever their size."""

import numpy as np
import pytest

from huebands.colorize.own_colour import own_colour
from tiny_photos import tiny_photo

SEPIA, CYANOTYPE = np.array([1.0, 0.8, 0.55]), np.array([0.35, 0.6, 0.9])


def landscape(height=200, width=300):
    """A grey photo of smooth shapes with some grain."""
    rows, columns = np.mgrid[:height, :width] / 50
    grey = 130 + 80 * np.sin(rows) * np.cos(columns) + np.random.default_rng(0).normal(0, 4, (height, width))
    return grey.clip(0, 255)


@pytest.mark.parametrize("size", [(200, 300), (7, 40), (1, 1), (30_000, 3)])
def test_grey_has_no_colour(size):
    assert own_colour(np.repeat(landscape(*size)[..., None], 3, axis=2).astype(np.uint8), 5.0) == "none"


@pytest.mark.parametrize("tone", [SEPIA, CYANOTYPE])
def test_a_toned_print_is_tinted(tone):
    rgb = landscape()[..., None] * tone + np.random.default_rng(1).normal(0, 1, (200, 300, 3))
    assert own_colour(rgb.clip(0, 255).astype(np.uint8), 5.0) == "tinted"


def test_a_photo_in_colour_has_colour():
    assert own_colour(tiny_photo(0), 5.0) == "colour"
