"""The form field `map`, and what the service says of its maps, with and without an expected error."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from huebands.photos.write import encode_png
from huebands.serving.openapi import describe_api
from huebands.serving.served_model import describe_model
from in_process import Client, build_in_process, take_model
from joint_density import with_joint_density

PHOTO = encode_png(np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8))


@pytest.fixture(scope="module")
def joint(tiny_package):
    return with_joint_density(tiny_package)


def client_of(package, colorizer=None):
    app = build_in_process(package)
    if colorizer is not None:
        take_model(app, colorizer)
    return Client(app)


def bands(client, **fields):
    return client.post("/bands", files={"image": ("cat.png", PHOTO)}, data=fields)


def title_of(answer):
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    picture = Image.open(io.BytesIO(archive.read("cat.uncertainty.png")))
    return picture.info["Title"], json.loads(archive.read("report.json"))["map"]


def test_the_field_chooses_the_map(tiny_package, joint):
    client = client_of(tiny_package, joint)
    assert title_of(bands(client)) == ("expected error", "expected-error")
    assert title_of(bands(client, map="expected-error")) == ("expected error", "expected-error")
    assert title_of(bands(client, map="width")) == ("width of the bands", "width")


def test_a_map_that_the_model_lacks_is_refused(tiny_package):
    client = client_of(tiny_package)
    assert title_of(bands(client)) == ("width of the bands", "width")
    answer = bands(client, map="expected-error")
    assert answer.status_code == 422
    assert answer.json()["error"] == "map (='expected-error') must be width: the model has no joint colour density"


@pytest.mark.parametrize("name", ["", "Width", "x" * 900])
def test_an_unknown_map_is_refused_by_name(tiny_package, joint, name):
    answer = bands(client_of(tiny_package, joint), map=name)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"map (={name[:40]!r}) must be expected-error or width")


def test_the_descriptions_name_the_maps_of_the_model(tiny_package, joint):
    client = client_of(tiny_package)
    assert client.get("/model").json()["maps"] == ["width"]
    assert describe_model(joint)["maps"] == ["expected-error", "width"]
    field = describe_api(joint)["components"]["schemas"]["Form"]["properties"]["map"]
    assert (field["enum"], field["default"]) == (["expected-error", "width"], "expected-error")
    field = client.get("/openapi.json").json()["components"]["schemas"]["Form"]["properties"]["map"]
    assert (field["enum"], field["default"]) == (["width"], "width")
