"""Which uploads have known true colours, and the share of their values outside the bands."""

from dataclasses import replace

import numpy as np
import pytest

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.hints import HintRequest, Point
from huebands.colorize.own_colour import own_colour
from huebands.data.preparation import encode_square, measure, squash
from huebands.metrics.chroma import mean_chroma
from huebands.photos.grey import GreyPhoto
from huebands.serving.workers.worker import why_unwatched
from painted_hints import with_hints


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return Colorizer.load(tiny_package)


def colourful(height=40, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


def toned(rgb_HW3, tint=(255, 250, 242)):
    return (GreyPhoto.of_rgb(rgb_HW3).levels_HW[..., None] * (np.array(tint) / 255)).round().astype(np.uint8)


def test_chroma_is_measured_as_in_the_choice_of_calibration_photos():
    for photo in (colourful(), toned(colourful())):
        assert mean_chroma(photo) == pytest.approx(measure(encode_square(squash(photo, 128)))["chroma_mean"], abs=0.01)


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_the_share_of_a_photo_in_colour_is_counted_as_the_mode_says(colorizer, mode):
    photo = colourful()
    result = colorizer.colorize(photo, alpha=0.3, mode=mode)
    bands = np.stack([result.bands[channel] for channel in "RGB"], axis=2)
    outside = (photo < bands[..., 0]) | (photo > bands[..., 1])
    expected = outside.any(axis=-1).mean() if mode == "joint" else outside.mean()
    assert why_unwatched(own_colour(photo, 5.0), result) is None
    assert result.share_outside(photo) == pytest.approx(expected)
    assert 0 < expected < 1


def test_grey_and_toned_photos_have_no_known_true_colours(colorizer):
    grey = np.repeat(GreyPhoto.of_rgb(colourful()).levels_HW[..., None], 3, axis=2)
    pale, sepia, cyanotype = (toned(colourful(), tint) for tint in ((255, 250, 242), (255, 205, 140), (90, 155, 230)))
    assert 0 < mean_chroma(pale) < 5.0 < min(mean_chroma(sepia), mean_chroma(cyanotype))
    for photo, reason in ((grey, "grey"), (pale, "grey"), (sepia, "tinted"), (cyanotype, "tinted")):
        assert why_unwatched(own_colour(photo, 5.0), colorizer.colorize(photo, alpha=0.3)) == reason
    result = colorizer.colorize(pale, alpha=0.3)
    assert why_unwatched(own_colour(pale, mean_chroma(pale)), result) == "tinted", "the calibration's threshold decides"
    assert why_unwatched(own_colour(grey, 0.0), result) is not None


def test_a_photo_that_follows_hints_says_nothing_of_the_promise(colorizer):
    hinting, photo = with_hints(colorizer), colourful()
    hinted = hinting.colorize(photo, alpha=0.3, hints=HintRequest((Point(1, 1, (200, 0, 0)),)))
    assert hinted.share_outside(photo) > 0
    assert why_unwatched(own_colour(photo, 5.0), hinted) == "guided"
    assert why_unwatched(own_colour(photo, 5.0), hinting.colorize(photo, alpha=0.3)) is None
    # Nor does one whose bands are calibrated on photos with hints: another promise is watched.
    calibrated = replace(hinted, caveat=None, law="Hints must be true.")
    assert why_unwatched(own_colour(photo, 5.0), calibrated) == "guided"


def test_a_strip_has_the_chroma_of_its_colours():
    strip = np.full((2_000_000, 1, 3), (200, 60, 60), np.uint8)
    assert mean_chroma(strip) == pytest.approx(mean_chroma(strip[:100]), abs=1e-3)
