"""The form fields `samples` and `seed`: further colourings in the archives, and clear refusals."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from huebands.photos.write import encode_png
from huebands.serving.openapi import describe_api
from in_process import Client, build_in_process, take_model
from several_colourings import with_samples

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return with_samples(tiny_package)


@pytest.fixture(scope="module")
def client(tiny_package, colorizer):
    app = build_in_process(tiny_package)
    take_model(app, colorizer)
    return Client(app)


def send(client, path="/bands", **fields):
    return client.post(path, files={"image": ("cat.png", encode_png(PHOTO))}, data=fields)


def opened(answer):
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def pictures(archive, pattern, count):
    return [np.array(Image.open(io.BytesIO(archive.read(pattern.format(number))))) for number in range(1, count + 1)]


def test_the_archive_holds_the_samples_and_the_report_says_what_leaves_the_bands(client, colorizer):
    archive = opened(send(client, samples=3, seed=5, alpha=0.3))
    expected = colorizer.colorize(PHOTO, alpha=0.3, samples=3, seed=5)
    for picture, sample in zip(pictures(archive, "cat.sample-{}.png", 3), expected.samples, strict=True):
        np.testing.assert_array_equal(picture, sample)
    report = json.loads(archive.read("report.json"))["samples"]
    assert (report["seed"], report["unit"]) == (5, "channel values")
    assert report["outside"] == [round(share, 4) for share in expected.samples_outside]


def test_the_page_gets_the_samples_too(client, colorizer):
    archive = opened(send(client, "/explore", samples=2))
    expected = colorizer.colorize(PHOTO, samples=2)
    for picture, sample in zip(pictures(archive, "sample-{}.png", 2), expected.samples, strict=True):
        np.testing.assert_array_equal(picture, sample)
    colourings = json.loads(archive.read("exploration.json"))["colourings"]
    assert colourings["outside"] == [round(share, 4) for share in expected.samples_outside]


def test_without_the_field_nothing_is_drawn(client):
    archive = opened(send(client))
    assert [name for name in archive.namelist() if "sample" in name] == []
    assert "samples" not in json.loads(archive.read("report.json"))
    assert json.loads(opened(send(client, "/explore")).read("exploration.json"))["colourings"] is None


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("/bands", {"samples": "9"}, "samples (=9) must be an integer in [1, 8]"),
        ("/bands", {"samples": "0"}, "samples (=0) must be an integer in [1, 8]"),
        ("/bands", {"samples": "2.5"}, "samples (='2.5') must be an integer in [1, 8]"),
        ("/bands", {"samples": ""}, "samples (='') must be an integer in [1, 8]"),
        ("/bands", {"samples": "²"}, "samples (='²') must be an integer in [1, 8]"),
        ("/explore", {"samples": "2", "seed": "-1"}, "seed (='-1') must be an integer in [0, 2**63)"),
        ("/bands", {"samples": "2", "seed": "9" * 900}, f"seed (='{'9' * 40}') must be an integer in [0, 2**63)"),
        ("/bands", {"seed": "1"}, "field 'seed' is that of the samples: give 'samples' too, or leave it out"),
        (
            "/colorize",
            {"samples": "2"},
            "field 'samples' must be left out: /colorize answers with one picture; use /bands",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(client, path, fields, message):
    answer = send(client, path, **fields)
    assert (answer.status_code, answer.json()) == (422, {"error": message})


def test_a_model_of_one_colouring_refuses_and_says_so_before(tiny_package):
    client = Client(build_in_process(tiny_package))
    assert client.get("/model").json()["samples"] == 0
    answer = send(client, samples=2)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith("has the network unet, which knows one colouring only")
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert "samples" not in schemas["FormWithSamples"]["properties"]


def test_too_many_pixels_are_refused(client, monkeypatch):
    monkeypatch.setattr("huebands.colorize.sampling.MAX_PIXELS", 250)
    answer = send(client, samples=3)
    assert answer.status_code == 422
    assert answer.json()["error"] == "cat.png: samples (=3) of a photo of 0.0 megapixels must be at most 2"
    assert 'huebands_rejections_total{cause="samples"}' in client.get("/metrics").text


def test_the_descriptions_name_the_fields(client, colorizer):
    assert client.get("/model").json()["samples"] == 8
    schemas = describe_api(colorizer)["components"]["schemas"]
    assert {"samples", "seed"} <= set(schemas["FormWithSamples"]["properties"])
    assert not {"samples", "seed"} & set(schemas["Form"]["properties"])
