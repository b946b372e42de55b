"""A result has the depth of the photo's file: 16 bits of lightness, and its transparency."""

import numpy as np
import pytest

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.hints import HintRequest
from huebands.colorize.result import ErrorFigures
from huebands.conformal.guarantee import Guarantee
from huebands.photos.grey import GreyPhoto, grey_of
from huebands.photos.picture import Picture
from painted_hints import with_hints
from tiny_photos import tiny_photo


def deep_levels() -> np.ndarray:
    """A photo of 16 bits whose levels fall between those of 8 bits, uint16 (H, W)."""
    levels = grey_of(tiny_photo(0, 64)).astype(np.uint16) * 257
    steps = np.random.default_rng(0).integers(-120, 121, levels.shape)
    return np.clip(levels + steps, 0, 65535).astype(np.uint16)


def colorize(package, picture, hints=None, alpha=0.5):
    colorizer = package if isinstance(package, Colorizer) else Colorizer.load(package)
    prediction = colorizer.predict(GreyPhoto.of_picture(picture), hints=hints)
    return colorizer.choose(prediction, Guarantee(alpha=alpha))


def test_sixteen_bits_of_lightness_are_kept(tiny_package):
    levels = deep_levels()
    photo = GreyPhoto.of_picture(Picture(levels, None, "TIFF"))
    grey = grey_of(Colorizer.load(tiny_package).colours.paint(photo).on(levels)).astype(int)
    assert np.abs(grey - levels).max() <= 1
    assert len(np.unique(grey)) > 0.9 * len(np.unique(levels)) > 256
    # Where a band ends between two 8-bit levels, the colour in the file does too.
    result = colorize(tiny_package, Picture(levels, None, "TIFF"))
    assert result.full is not None and result.full.rgb_HW3.dtype == np.uint16
    differences = np.abs(grey_of(result.full.rgb_HW3).astype(int) - levels)
    assert differences.mean() < 10 and differences.max() < 2 * 257


def test_colours_at_sixteen_bits_are_those_at_eight_and_lie_in_their_bands(tiny_package):
    result = colorize(tiny_package, Picture(deep_levels(), None, "TIFF"))
    assert result.full is not None
    rounded = (result.full.rgb_HW3.astype(int) + 128) // 257
    assert (np.abs(rounded - result.rgb) <= 2).mean() > 0.99
    for index, channel in enumerate("RGB"):
        assert (rounded[..., index] >= result.bands[channel][..., 0]).all()
        assert (rounded[..., index] <= result.bands[channel][..., 1]).all()


def test_eight_bits_scaled_to_sixteen_have_the_colours_of_eight(tiny_package):
    rgb = tiny_photo(1)
    plain = Colorizer.load(tiny_package).colorize(rgb, 0.5)
    result = colorize(tiny_package, Picture(grey_of(rgb).astype(np.uint16) * 257, None, "PNG"))
    np.testing.assert_array_equal(result.rgb, plain.rgb)
    np.testing.assert_array_equal(result.bands["G"], plain.bands["G"])
    assert plain.full is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_kept_and_colours_below_it_keep_their_lightness(tiny_package, dtype):
    full = np.iinfo(dtype).max
    rgb = tiny_photo(2).astype(dtype) * dtype(full // 255)
    alpha = np.full(rgb.shape[:2], full, dtype)
    alpha[:, : alpha.shape[1] // 2] = full // 3
    result = colorize(tiny_package, Picture(rgb, alpha, "PNG"))
    assert result.full is not None
    np.testing.assert_array_equal(result.full.alpha_HW, alpha)
    differences = np.abs(grey_of(result.full.rgb_HW3).astype(int) - grey_of(rgb))
    assert (differences <= (1 if dtype is np.uint8 else 130)).mean() > 0.99


def test_hinted_pixels_have_their_colour_at_sixteen_bits(tiny_package):
    levels = np.full((48, 56), 30_001, np.uint16)
    hints = HintRequest.asked(["20,20,#c04020"], None)
    result = colorize(with_hints(tiny_package), Picture(levels, None, "PNG"), hints)
    assert result.full is not None
    red, green, blue = result.full.rgb_HW3[20, 20].tolist()
    assert red > 1.3 * green > blue
    assert abs(int(grey_of(result.full.rgb_HW3)[20, 20]) - 30_001) <= 130


def test_figures_of_errors_in_parts_are_those_of_all():
    errors = np.random.default_rng(0).gamma(3, 4, (50, 40)).astype(np.float32)
    figures = ErrorFigures.of(errors[start : start + 7] for start in range(0, 50, 7))
    assert figures.mean == pytest.approx(errors.mean(), rel=1e-6)
    assert figures.p90 == pytest.approx(np.percentile(errors, 90), abs=1e-3)
