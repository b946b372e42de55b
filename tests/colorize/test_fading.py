"""Colours fade to the grey of the same lightness: by a strength, or where the bands are wide."""

import json

import numpy as np
import pytest

from huebands import cli
from huebands.colorize.fading import Fading, fade
from huebands.photos.grey import grey_of
from huebands.photos.read import read_photo
from huebands.photos.write import write_png
from tiny_photos import tiny_photo


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_faded_colours_keep_their_lightness(dtype):
    rgb = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (64, 32, 3), dtype=dtype)
    np.testing.assert_array_equal(fade(rgb, 1.0), rgb)
    grey = grey_of(rgb)
    np.testing.assert_array_equal(fade(rgb, 0.0), np.repeat(grey[..., None], 3, axis=2))
    half = fade(rgb, 0.5)
    assert np.abs(grey_of(half).astype(int) - grey).max() <= 1
    spread, faded = (np.ptp(picture.astype(int), axis=2) for picture in (rgb, half))
    assert (faded <= spread).all() and faded.mean() < 0.8 * spread.mean()


def test_the_share_of_colour_falls_with_the_width():
    share = Fading(width=100).by_width(np.array([[0, 25, 50, 100, 200]], np.float32))
    assert share.tolist() == [[1, 0.75, 0.5, 0, 0]]


def colorize(package, folder, *words):
    photo = folder / "cat.png"
    if not photo.exists():
        write_png(photo, tiny_photo(0, 64))
    fixed = ("--output", folder / "out", "--model", package, "--alpha", "0.5", "--jobs", "1")
    return cli.main(["colorize", str(photo), *map(str, (*words, *fixed))])


def test_a_faded_picture_is_grey_where_bands_are_wide(tiny_package, tmp_path):
    assert colorize(tiny_package, tmp_path, "--show-uncertainty", 200) == 0
    faded, shown = (read_photo(tmp_path / f"out/cat.{name}.png") for name in ("faded", "colorized"))
    with np.load(tmp_path / "out/cat.bands.npz") as bands:
        width = np.mean([np.diff(bands[channel].astype(int))[..., 0] for channel in "RGB"], axis=0)
    expected = fade(shown, np.clip(1 - width / 200, 0, 1).astype(np.float32))
    assert np.abs(faded.astype(int) - expected).max() <= 1
    assert np.ptp(faded.astype(int), axis=2).mean() < np.ptp(shown.astype(int), axis=2).mean()


def test_strength_is_stated(tiny_package, tmp_path, capsys):
    assert colorize(tiny_package, tmp_path, "--strength", 0) == 0
    picture = read_photo(tmp_path / "out/cat.colorized.png")
    assert (picture == picture[..., :1]).all()
    assert json.loads((tmp_path / "out/cat.report.json").read_text())["strength"] == 0
    capsys.readouterr()
    cli.main(["inspect", str(tmp_path / "out/cat.colorized.png")])
    assert "  Strength: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--strength", 1.5), "strength (=1.5) must lie between 0, grey, and 1, full colour"),
        (("--strength", "nan"), "strength (=nan) must lie between 0"),
        (("--show-uncertainty", 0), "show-uncertainty (=0) must be a width of bands, above 0 and at most 255"),
    ],
)
def test_what_is_out_of_range_is_named(tiny_package, tmp_path, capsys, words, message):
    assert colorize(tiny_package, tmp_path, *words) == 2
    assert message in capsys.readouterr().err
