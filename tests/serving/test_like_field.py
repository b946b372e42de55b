"""The form field `like`: a reference photo reaches the answers, and clear refusals."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from huebands.colorize.exemplar import Exemplar
from huebands.photos.write import encode_png
from huebands.serving.openapi import describe_api
from in_process import Client, build_in_process, take_model
from reference_colours import with_reference

PHOTO = np.linspace(20, 230, 24 * 30).reshape(24, 30).astype(np.uint8)
REFERENCE = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return with_reference(tiny_package)


@pytest.fixture(scope="module")
def client(tiny_package, colorizer):
    app = build_in_process(tiny_package)
    take_model(app, colorizer)
    return Client(app)


def send(client, path="/bands", like=None, **fields):
    files = {"image": ("cat.png", encode_png(PHOTO))} | ({} if like is None else {"like": ("like.png", like)})
    return client.post(path, files=files, data=fields)


def test_every_route_takes_the_references_colours(client, colorizer):
    expected = colorizer.colorize(PHOTO, like=Exemplar.read(REFERENCE))
    like = encode_png(REFERENCE)
    archives = {path: zipfile.ZipFile(io.BytesIO(send(client, path, like).content)) for path in ("/bands", "/explore")}
    for content in (
        send(client, "/colorize", like).content,
        archives["/bands"].read("cat.colorized.png"),
        archives["/explore"].read("colorized.png"),
    ):
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(content))), expected.rgb)
    assert json.loads(archives["/bands"].read("report.json"))["promise"] == expected.caveat
    assert json.loads(archives["/explore"].read("exploration.json"))["caveat"] == expected.caveat


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"like": encode_png(PHOTO)}, "cat.png: reference like: has no colours to take"),
        ({"like": b"no picture"}, "cat.png: reference like: "),
        ({"like": b""}, "cat.png: reference like: "),
    ],
)
def test_what_is_no_photo_in_colour_is_refused(client, fields, start):
    answer = send(client, **fields)
    assert answer.status_code == 422 and answer.json()["error"].startswith(start)
    assert 'huebands_rejections_total{cause="like"}' in client.get("/metrics").text


def test_a_text_is_refused(client):
    answer = client.post("/bands", files={"image": ("cat.png", encode_png(PHOTO))}, data={"like": "cat.jpg"})
    message = "field 'like' is a text: send the reference photo itself, as a file"
    assert (answer.status_code, answer.json()) == (422, {"error": message})


def test_a_model_without_references_refuses_and_says_so_before(tiny_package):
    client = Client(build_in_process(tiny_package))
    assert client.get("/model").json()["like"] is False
    answer = send(client, like=encode_png(REFERENCE))
    assert answer.status_code == 422
    assert answer.json()["error"].endswith("has the network unet, which takes none")
    assert "like" not in client.get("/openapi.json").json()["components"]["schemas"]["Form"]["properties"]


def test_the_descriptions_name_the_field(client, colorizer):
    assert client.get("/model").json()["like"] is True
    assert "like" in describe_api(colorizer)["components"]["schemas"]["Form"]["properties"]
