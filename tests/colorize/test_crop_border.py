"""The border of a scan is told, and left out of the results when that is asked."""

import json

import numpy as np
import pytest
from PIL import Image

from huebands import cli
from huebands.colorize.border import Border
from huebands.colorize.contact_sheet import NAME
from huebands.photos.grey import GreyPhoto
from huebands.photos.picture import Picture

DEPTHS = ((12, 0), (30, 18))


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """A photo with a white border, and its picture."""
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:120, :160] / 9
    texture = np.random.default_rng(0).normal(0, 12, rows.shape)
    picture = (100 + 60 * np.sin(rows) * np.cos(columns) + texture).clip(0, 200).astype(np.uint8)
    levels = np.pad(picture, DEPTHS, constant_values=245)
    Image.fromarray(levels).save(tmp_path / "scan.png")
    return levels, picture


def colorize(package, capsys, *arguments):
    words = ["colorize", "scan.png", "--jobs", "1", "--model", str(package), "--report", *arguments]
    code = cli.main(words)
    output, errors = capsys.readouterr()
    return code, output, errors.splitlines()


def test_a_border_is_found_cropped_and_put_into_words(scan):
    levels, picture = scan
    photo = GreyPhoto(levels)
    border = Border.of(photo)
    assert border == Border(top=12, bottom=0, left=30, right=18)
    np.testing.assert_array_equal(photo.inside().levels_HW, picture)
    colours = Picture(np.repeat(levels[..., None], 3, axis=2), levels, "PNG").part(*photo.picture)
    np.testing.assert_array_equal(colours.levels[..., 1], picture)
    np.testing.assert_array_equal(colours.alpha_HW, picture)
    assert border.in_words == "a border of 12 pixels at the top, 30 at the left, 18 at the right"
    assert Border(top=0, bottom=1, left=0, right=0).in_words == "a border of 1 pixel at the bottom"
    assert Border.of(GreyPhoto(picture)) is None


def test_a_border_is_told_and_stays(scan, tiny_package, capsys, tmp_path):
    code, output, errors = colorize(tiny_package, capsys)
    assert (code, errors) == (0, [])
    words = "a border of 12 pixels at the top, 30 at the left, 18 at the right"
    assert f"; {words} stays grey, --crop-border leaves it out" in output
    assert np.asarray(Image.open(tmp_path / "scan.colorized.png")).shape == (132, 208, 3)
    assert f"has {words}, which stays grey" in (tmp_path / NAME).read_text()
    (line,) = (tmp_path / "huebands.jsonl").read_text().splitlines()
    assert json.loads(line)["border"] == words


def test_crop_border_gives_the_picture_inside(scan, tiny_package, capsys, tmp_path):
    assert colorize(tiny_package, capsys)[0] == 0
    code, output, errors = colorize(tiny_package, capsys, "--crop-border")
    assert (code, errors) == (0, [])
    assert "18 at the right was left out" in output, "another setting: the photo is done again"
    _, picture = scan
    colorized = np.asarray(Image.open(tmp_path / "scan.colorized.png"))
    assert colorized.shape == (*picture.shape, 3)
    assert np.abs(GreyPhoto.of_rgb(colorized).levels_HW.astype(int) - picture).max() <= 2, "its lightness is kept"
    report = json.loads((tmp_path / "scan.report.json").read_text())
    assert report["border"] == {"top": 12, "bottom": 0, "left": 30, "right": 18, "cropped": True}
    assert (report["width"], report["height"]) == (160, 120)
    assert np.load(tmp_path / "scan.bands.npz")["R"].shape == (120, 160, 2)
    assert "which was left out" in (tmp_path / NAME).read_text()
    assert "done before: 1 of 1 photos" in colorize(tiny_package, capsys, "--crop-border")[1]


def test_hints_on_a_photo_whose_border_is_cut_are_refused(scan, tiny_package, capsys, monkeypatch):
    from painted_hints import with_hints

    hinting = with_hints(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: hinting)
    code, output, errors = colorize(tiny_package, capsys, "--crop-border", "--hint", "1,1,#ffffff")
    assert (code, output) == (2, "")
    assert errors == ["huebands: hints lie on the whole photo, which --crop-border cuts; crop the photo first"]
