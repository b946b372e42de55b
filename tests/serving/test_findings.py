"""What the service notices of a photo, and the form field `crop_border`."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from huebands.photos.read import read_photo
from huebands.photos.write import encode_png
from in_process import Client, build_in_process

PICTURE = np.random.default_rng(0).integers(0, 200, (60, 80), dtype=np.uint8)
FRAMED = np.pad(PICTURE, ((4, 6), (5, 7)), constant_values=250)
BORDER = {"top": 4, "right": 7, "bottom": 6, "left": 5}


@pytest.fixture(scope="module")
def client(tiny_package):
    return Client(build_in_process(tiny_package))


def ask(client, path, photo, **fields):
    return client.post(path, files={"image": ("cat.png", encode_png(photo))}, data=fields)


def told(answer, name):
    return json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read(name))


@pytest.mark.parametrize(("path", "name"), [("/bands", "report.json"), ("/explore", "exploration.json")])
def test_a_border_is_told_and_cut_off_on_request(client, path, name):
    assert told(ask(client, path, PICTURE), name)["border"] is None
    framed = told(ask(client, path, FRAMED), name)
    assert (framed["border"], framed["width"], framed["height"]) == ({**BORDER, "cropped": False}, 92, 70)
    cropped = told(ask(client, path, FRAMED, crop_border="true"), name)
    assert (cropped["border"], cropped["width"], cropped["height"]) == ({**BORDER, "cropped": True}, 80, 60)


def test_a_photo_whose_border_is_cut_off_is_colorized_as_its_picture(client):
    cropped, picture = (
        read_photo(ask(client, "/colorize", photo, crop_border="true").content) for photo in (FRAMED, PICTURE)
    )
    np.testing.assert_array_equal(cropped, picture)
    assert Image.open(io.BytesIO(ask(client, "/colorize", FRAMED).content)).size == (92, 70)


def test_a_photo_without_a_border_stays_whole(client):
    assert ask(client, "/colorize", PICTURE, crop_border="true").content == ask(client, "/colorize", PICTURE).content


def test_own_colour_and_tints_are_told(client):
    grey = np.repeat(PICTURE[..., None], 3, axis=2)
    sepia = (grey / 255 * (255, 225, 170)).astype(np.uint8)
    coloured = (
        np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    )
    for photo, kind in ((grey, "none"), (sepia, "tinted"), (coloured, "colour")):
        assert told(ask(client, "/explore", photo), "exploration.json")["own_colour"] == kind


def test_another_word_than_true_and_false_is_refused(client):
    answer = ask(client, "/bands", PICTURE, crop_border="yes")
    assert answer.status_code == 422
    assert answer.json()["error"] == "field 'crop_border' (='yes') must be true or false"
