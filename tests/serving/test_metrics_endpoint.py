"""/metrics and /model report the photos, and clients cannot write labels."""

import re

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from huebands.conformal.guarantee import ModeError
from huebands.photos.write import encode_png
from huebands.serving.monitoring.request_record import CAUSES, RequestRecord, cause_of
from huebands.serving.workers.jobs import UnservedError
from in_process import Client, build_in_process

_LINE = re.compile(r"(\w+?)(?:\{(.*)\})? (\S+)")

_TOO_LARGE = {"content-type": "multipart/form-data; boundary=x", "content-length": "999999999"}


@pytest.fixture(scope="module")
def app(tiny_package):
    return build_in_process(tiny_package)


@pytest.fixture
def client(app):
    return Client(app)


def photo(seed=0, height=24, width=30):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def post(client, content, path="/colorize", **fields):
    return client.post(path, files={"image": ("cat.png", content)}, data=fields)


def numbers(client):
    """The numbers of /metrics: {(name, labels): number}."""
    lines = client.get("/metrics").text.splitlines()
    matches = [_LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    return {(match[1], match[2] or ""): float(match[3]) for match in matches}


def growth(client, send):
    """The growth of each number while requests are sent."""
    before = numbers(client)
    send()
    return {key: value - before.get(key, 0) for key, value in numbers(client).items() if value != before.get(key, 0)}


@pytest.mark.parametrize("path", ["/colorize", "/bands", "/explore"])
def test_an_answered_photo_is_counted_and_measured(client, path):
    grown = growth(client, lambda: post(client, photo(), path))
    assert grown["huebands_photos_total", f'route="{path}"'] == 1
    assert grown["huebands_pixels_total", ""] == 24 * 30
    assert grown["huebands_photo_megapixels_sum", ""] == pytest.approx(24 * 30 / 1e6)
    version = f'version="{client.get("/model").json()["version"]}"'
    assert grown["huebands_band_width_levels_count", version] == grown["huebands_likeness_p_value_count", version] == 1
    for part in ("queue", "decode", "colorize", "encode"):
        assert grown["huebands_part_seconds_count", f'part="{part}"'] == 1
    assert not any(name == "huebands_rejections_total" for name, _ in grown)


@pytest.mark.parametrize(
    ("cause", "send"),
    [
        ("format", lambda client: post(client, b"a text")),
        ("image", lambda client: post(client, photo()[:300])),
        ("alpha", lambda client: post(client, photo(), alpha="2")),
        ("delta", lambda client: post(client, photo(), delta="x")),
        ("mode", lambda client: post(client, photo(), mode="x")),
        ("field", lambda client: post(client, photo(), alhpa="0.1")),
        ("form", lambda client: client.post("/colorize", content=b"x")),
        ("too_large", lambda client: client.post("/colorize", content=b"", headers=_TOO_LARGE)),
        ("not_found", lambda client: client.get("/stranger")),
        ("method", lambda client: client.request("DELETE", "/model")),
    ],
)
def test_a_refusal_is_counted_by_cause(client, cause, send):
    grown = growth(client, lambda: send(client))
    assert {key: value for key, value in grown.items() if "rejections_total" in key[0]} == {
        ("huebands_rejections_total", f'cause="{cause}"'): 1
    }
    assert not any(name == "huebands_photos_total" for name, _ in grown)


def test_refusals_of_the_pool_are_counted_by_cause(app, client, monkeypatch):
    async def refuse(job):
        raise UnservedError(503, "no room", "busy", 3)

    monkeypatch.setattr(app.state.admission.pool, "submit", refuse)
    grown = growth(client, lambda: post(client, photo()))
    assert grown["huebands_rejections_total", 'cause="busy"'] == 1
    assert grown["huebands_request_seconds_count", 'path="/colorize",status="503"'] == 1


def test_an_internal_error_is_answered_and_counted(app, client, monkeypatch):
    async def fail(job):
        raise RuntimeError("no luck")

    monkeypatch.setattr(app.state.admission.pool, "submit", fail)
    grown = growth(client, lambda: post(client, photo()))
    assert grown["huebands_rejections_total", 'cause="failed"'] == 1
    assert grown["huebands_request_seconds_count", 'path="/colorize",status="500"'] == 1
    response = post(client, photo())
    assert (response.status_code, set(response.json())) == (500, {"error"})
    assert "luck" not in response.text


def test_all_causes_are_of_a_closed_list():
    record = RequestRecord("GET", "other")
    record.record_refusal("text of a client")
    assert record.cause == "other"
    for status in (400, 401, 404, 405, 408, 413, 415, 418, 422, 500):
        assert cause_of(HTTPException(status, "text of a client")) in CAUSES
    error = HTTPException(422, "x")
    error.__cause__ = ModeError("x")
    assert cause_of(error) == "mode"


def test_clients_cannot_write_labels(client):
    client.request("STRANGER", "/stranger")
    client.get("/stranger?stranger=stranger", headers={"stranger": "stranger", "x-request-id": "stranger"})
    post(client, photo(), stranger="stranger", mode="stranger")
    client.post("/bands", files={"image": ("stranger.png", photo())})
    assert "stranger" not in client.get("/metrics").text


def test_the_model_is_named(client):
    version = client.get("/model").json()["version"]
    assert numbers(client)["huebands_model_info", f'name="tiny",version="{version}"'] == 1


def test_the_monitor_counts_each_photo_once_and_is_reported_everywhere(tiny_package):
    client = Client(build_in_process(tiny_package))
    for seed in (0, 1, 1):
        post(client, photo(seed), alpha="0.3", mode="joint")
    monitoring, metrics = client.get("/model").json()["monitoring"], numbers(client)
    assert (monitoring["drift"]["photos"], monitoring["repeated"]) == (2, 1)
    assert monitoring["drift"]["state"] == monitoring["coverage"]["state"] == "watching"
    assert metrics["huebands_drift_photos", ""] == metrics["huebands_coverage_photos", ""] == 2
    assert metrics["huebands_drift_alarm", ""] == metrics["huebands_coverage_alarm", ""] == 0
    evidence = metrics["huebands_drift_log10_evidence", ""]
    assert monitoring["drift"]["log10_evidence"] == pytest.approx(evidence, abs=0.01)
    share = monitoring["coverage"]["modes"]["joint"]
    assert (share["photos"], share["alpha"]) == (2, 0.3)
    assert metrics["huebands_coverage", 'mode="joint"'] == pytest.approx(1 - share["outside"], abs=1e-4)
    assert metrics["huebands_coverage_promised", 'mode="joint"'] == pytest.approx(0.7)


def test_an_alarm_is_reported_everywhere(tiny_package):
    app = build_in_process(tiny_package)
    for _ in range(60):
        app.state.models.current.monitor.drift.add(1 / 20)
    drift = Client(app).get("/model").json()["monitoring"]["drift"]
    assert numbers(Client(app))["huebands_drift_alarm", ""] == 1
    assert drift["state"] == "alarm"
    assert drift["since"] is not None
