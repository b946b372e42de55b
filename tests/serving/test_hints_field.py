"""The form fields `hint` and `hints`: painted colours reach the answers, and clear refusals."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from huebands.colorize.hints import HintRequest, Point
from huebands.conformal.guarantee import Guarantee
from huebands.photos.write import encode_png
from huebands.serving.openapi import describe_api
from huebands.serving.served_model import describe_model
from in_process import Client, build_in_process, take_model
from painted_hints import calibrate_with_hints, with_calibrations, with_hints, without_calibration

PHOTO = np.full((24, 30), 120, np.uint8)
POINTS = (Point(3, 4, (200, 60, 60)), Point(25, 20, (60, 60, 200)))
TEXT = "3,4,#c83c3c 25,20,#3c3cc8"


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return with_hints(tiny_package)


@pytest.fixture(scope="module")
def client(tiny_package, colorizer):
    app = build_in_process(tiny_package)
    take_model(app, colorizer)
    return Client(app)


def painted(size=(30, 24)):
    picture = Image.new("RGBA", size)
    picture.paste((200, 60, 60, 255), (2, 2, 6, 6))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def send(client, path="/bands", picture=None, **fields):
    files = {"image": ("cat.png", encode_png(PHOTO))} | ({} if picture is None else {"hints": ("h.png", picture)})
    return client.post(path, files=files, data=fields)


def opened(answer):
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def picture_of(content):
    return np.array(Image.open(io.BytesIO(content)))


def test_every_route_follows_the_hints(client, colorizer):
    for fields, request in (
        ({"hint": TEXT}, HintRequest(POINTS)),
        ({"picture": painted()}, HintRequest(picture=painted())),
        ({"hint": TEXT, "picture": painted()}, HintRequest(POINTS, painted())),
    ):
        expected = colorizer.colorize(PHOTO, hints=request)
        archives = [opened(send(client, path, **fields)) for path in ("/bands", "/explore")]
        pictures = [
            send(client, "/colorize", **fields).content,
            archives[0].read("cat.colorized.png"),
            archives[1].read("colorized.png"),
        ]
        for picture in pictures:
            np.testing.assert_array_equal(picture_of(picture), expected.rgb)


def test_the_report_and_the_page_learn_what_is_unusual_and_that_nothing_is_promised(client, colorizer):
    result = colorizer.colorize(PHOTO, hints=HintRequest(POINTS))
    report = json.loads(opened(send(client, hint=TEXT)).read("report.json"))
    exploration = json.loads(opened(send(client, "/explore", hint=TEXT)).read("exploration.json"))
    assert report["hints"] == exploration["hints"]
    assert report["hints"]["unusual"] == [{"x": x, "y": y} for x, y in result.hints.unusual]
    assert report["promise"] == exploration["caveat"] == result.caveat
    plain = json.loads(opened(send(client)).read("report.json"))
    assert "hints" not in plain and plain["promise"].startswith("For a photo exchangeable")
    exploration = json.loads(opened(send(client, "/explore")).read("exploration.json"))
    assert exploration["hints"] is exploration["caveat"] is None


def test_a_model_that_is_calibrated_under_hints_promises_for_true_ones(client, colorizer, tiny_package):
    calibrated = without_calibration(tiny_package)
    calibrated = with_calibrations(calibrated, calibrate_with_hints(calibrated))
    take_model(client.app, calibrated)
    try:
        report = json.loads(opened(send(client, hint=TEXT)).read("report.json"))
        exploration = json.loads(opened(send(client, "/explore", hint=TEXT)).read("exploration.json"))
        plain = json.loads(opened(send(client)).read("report.json"))
    finally:
        take_model(client.app, colorizer)
    law = calibrated.package.hints_calibration.law.in_words
    assert report["promise"] == f"{plain['promise']} {law}"
    assert (exploration["caveat"], exploration["law"]) == (None, law)
    assert (
        exploration["steps"]["joint"]["90"]
        == calibrated.package.hints_calibration.steps(Guarantee(alpha=0.1, mode="joint")).tolist()
    )
    assert describe_model(calibrated)["hints_certificate"]["around_hints"]
    assert describe_model(colorizer)["hints_certificate"] is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hint": "3,4,red"}, "hint (='3,4,red') must have the form X,Y,#RRGGBB, such as 120,45,#a03c28"),
        ({"hint": "30,4,#ffffff"}, "cat.png: hint (=30,4) must lie on the photo: x in [0, 29], y in [0, 23]"),
        ({"hint": " ".join(["1,1,#ffffff"] * 201)}, "hints (=201 points) must be at most 200; send a picture of them"),
        ({"hints": "text"}, "field 'hints' is a text: send a PNG as a file; points go into the field 'hint'"),
        ({"picture": painted((9, 9))}, "cat.png: hints: is 9 x 9, and must be 30 x 24 as the photo is"),
        ({"picture": b"no picture"}, "cat.png: hints: cannot be read as a PNG"),
    ],
)
def test_what_does_not_fit_is_refused(client, fields, message):
    answer = send(client, **fields)
    assert (answer.status_code, answer.json()) == (422, {"error": message})


def test_a_refusal_is_counted_by_its_cause(client):
    send(client, hint="30,4,#ffffff")
    send(client, hint="red")
    lines = client.get("/metrics").text.splitlines()
    (count,) = (line.split()[1] for line in lines if line.startswith('huebands_rejections_total{cause="hints"}'))
    assert float(count) >= 2


def test_an_empty_field_is_no_hint(client):
    np.testing.assert_array_equal(
        picture_of(send(client, "/colorize", hint=" ").content), np.repeat(PHOTO[..., None], 3, axis=2)
    )


def test_a_model_without_hints_refuses_and_says_so_before(tiny_package):
    client = Client(build_in_process(tiny_package))
    assert client.get("/model").json()["hints"] is False
    for fields in ({"hint": TEXT}, {"picture": painted()}):
        answer = send(client, **fields)
        assert answer.status_code == 422
        assert "has the network unet, which takes none, and was not calibrated with hints; " in answer.json()["error"]
    assert "hint" not in client.get("/openapi.json").json()["components"]["schemas"]["Form"]["properties"]


def test_the_descriptions_name_the_fields(client, colorizer):
    assert client.get("/model").json()["hints"] is True
    schemas = describe_api(colorizer)["components"]["schemas"]
    assert all({"hint", "hints"} <= set(schemas[form]["properties"]) for form in ("Form", "FormWithSamples"))
