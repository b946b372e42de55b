"""The log: one line of JSON for each answer, and no text of the client in it."""

import io
import json
import logging
import re
import time

import httpx
import numpy as np
import pytest

from huebands.photos.write import encode_png
from huebands.serving import json_log
from huebands.serving.json_log import log_reference
from huebands.serving.workers.jobs import UnservedError
from in_process import Client, build_in_process

_SMUGGLED = 'cat\r\n{"logger": "huebands.access"}\u2028\x1b[2J\x85.png'


@pytest.fixture(scope="module")
def app(tiny_package):
    return build_in_process(tiny_package)


@pytest.fixture
def stream():
    """The stream to which the log is written; the logger is restored afterwards."""
    logger = logging.getLogger("huebands")
    before = logger.handlers, logger.level, logger.propagate
    stream = io.StringIO()
    json_log.configure(stream)
    yield stream
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture
def client(app, stream):
    return Client(app)


def photo():
    return encode_png(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8))


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_answered_photo_is_one_line_of_what_was_measured(client, stream):
    response = client.post(
        "/bands?a=secret", files={"image": ("secret.png", photo())}, data={"alpha": "0.3", "mode": "joint"}
    )
    (line,) = lines(stream)
    assert (line["logger"], line["method"], line["path"], line["status"]) == ("huebands.access", "POST", "/bands", 200)
    assert line["request"] == response.headers["x-request-id"]
    assert len(photo()) < line["bytes_in"] < len(photo()) + 1000
    assert line["bytes_out"] == len(response.content)
    assert 0 < line["seconds"] < 60
    photo_line = line["photo"]
    assert (photo_line["width"], photo_line["height"], photo_line["mode"], photo_line["alpha"]) == (
        30,
        24,
        "joint",
        0.3,
    )
    assert f"{photo_line['band_width']:.1f}" == response.headers["huebands-mean-band-width"]
    assert f"{photo_line['likeness']:.4f}" == response.headers["huebands-likeness"]
    assert 0 <= photo_line["outside"] <= 1 and photo_line["unwatched"] is None
    assert set(photo_line["seconds"]) == {"queue", "decode", "colorize", "encode"}
    assert "secret" not in stream.getvalue()
    assert "cause" not in line


def test_a_refusal_is_one_line_with_its_cause(client, stream):
    client.post("/colorize", files={"image": ("secret.png", b"secret")})
    (line,) = lines(stream)
    assert (line["status"], line["cause"]) == (415, "format")
    assert "photo" not in line
    assert "secret" not in stream.getvalue()


def test_the_request_id_is_made_by_the_service(client):
    first, second = (client.get("/model", headers={"X-Request-Id": "mine"}).headers["x-request-id"] for _ in range(2))
    assert first != second
    assert all(len(number) == 16 and int(number, 16) >= 0 for number in (first, second))


def test_a_failure_has_a_line_with_its_traceback_and_one_for_the_answer(app, client, stream, monkeypatch):
    async def fail(job):
        raise RuntimeError(_SMUGGLED)

    monkeypatch.setattr(app.state.admission.pool, "submit", fail)
    response = client.post("/colorize", files={"image": ("a.png", photo())})
    failure, answer = lines(stream)
    assert (failure["logger"], failure["level"]) == ("huebands.serving", "error")
    assert "RuntimeError" in failure["traceback"]
    request_id = response.headers["x-request-id"]
    assert failure["request"] == answer["request"] == request_id
    assert response.json() == {"error": f"internal error, request ID {request_id}; see the server's log"}
    assert (answer["status"], answer["cause"]) == (500, "failed")


@pytest.mark.parametrize(("status", "cause"), [(500, "died"), (500, "failed"), (504, "timeout")])
def test_a_job_carries_the_id_of_its_request_into_the_pool_and_back(app, client, stream, monkeypatch, status, cause):
    async def fail(job):
        raise UnservedError(status, f"internal error, {log_reference(job.request_id)}", cause)

    monkeypatch.setattr(app.state.admission.pool, "submit", fail)
    response = client.post("/colorize", files={"image": ("a.png", photo())})
    request_id = response.headers["x-request-id"]
    assert response.status_code == status
    assert response.json() == {"error": f"internal error, request ID {request_id}; see the server's log"}
    (line,) = lines(stream)
    assert (line["request"], line["status"], line["cause"]) == (request_id, status, cause)


@pytest.mark.parametrize("path", ["/colorize", "/stranger%0d%0a{}%1b", "/%e2%80%a8", "/" + "x" * 2000])
def test_a_client_cannot_forge_a_line(client, stream, path):
    boundary = "x"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{_SMUGGLED}"\r\n\r\n'.encode()
        + photo()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "User-Agent": "stranger\x1b[2J",
        "X-Request-Id": "stranger",
    }
    client.post(path, content=body, headers=headers)
    client.request("STRANGER\x0b".strip(), path)
    written = stream.getvalue()
    assert written.isascii() and written.endswith("\n")
    assert written.count("\n") == 2
    assert not any(ord(sign) < 32 for sign in written.replace("\n", ""))
    assert all(line["logger"] == "huebands.access" for line in lines(stream))
    assert "stranger" not in written.lower() and "cat" not in written


def test_messages_are_lines_of_time_level_logger_and_event(stream):
    logging.getLogger("huebands.serving").error("a worker process is replaced: %s", _SMUGGLED)
    (line,) = lines(stream)
    assert list(line) == ["time", "level", "logger", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert (line["level"], line["logger"]) == ("error", "huebands.serving")
    assert line["event"] == f"a worker process is replaced: {_SMUGGLED}"


def test_the_service_writes_its_log_as_json_and_no_other_log_of_addresses(url, service_folder):
    httpx.get(f"{url}/livez?stranger")
    httpx.get(f"{url}/stranger%0d%0a")
    number = httpx.get(f"{url}/stranger%1b?stranger").headers["x-request-id"]
    log_file, end = service_folder / "log", time.monotonic() + 60
    while number not in (written := log_file.read_text()):
        assert time.monotonic() < end, written[-3000:]
        time.sleep(0.05)
    (line,) = (json.loads(line) for line in written.splitlines() if number in line)
    assert (line["path"], line["status"], line["cause"]) == ("other", 404, "not_found")
    assert "stranger" not in written
