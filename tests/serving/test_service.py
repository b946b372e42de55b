"""The HTTP contract, tested on a service that BentoML serves."""

import base64
import io
import json
import socket
import struct
import time
import zipfile
import zlib

import anyio
import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.exceptions import HTTPException

from huebands.photos.limits import pixel_limit
from huebands.photos.write import encode_png
from huebands.serving.admission.body_limit import BodyLimit
from huebands.serving.admission.limits import MAX_BODY
from huebands.serving.workers.archive import safe_stem


@pytest.fixture(scope="module")
def client(url):
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def photo(height=24, width=30):
    random = np.random.default_rng(0)
    return encode_png(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def post(client, content, path="/colorize", name="cat.png", **fields):
    return client.post(path, files={"image": (name, content)}, data=fields)


def refusal(response, *codes):
    """Check that an answer is a refusal with a reason, and return the reason."""
    assert response.status_code in codes, response.text
    body = response.json()
    assert set(body) == {"error"}
    return body["error"]


def animation():
    buffer = io.BytesIO()
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 255)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def bomb():
    """A small PNG that announces more pixels than are allowed."""
    header = struct.pack(">IIBBBBB", pixel_limit() // 1000 + 1, 1000, 8, 0, 0, 0, 0)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_photo_is_answered_by_its_colours(client):
    response = post(client, photo())
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(response.content))
    assert (image.mode, image.size) == ("RGB", (30, 24))
    assert post(client, photo()).content == response.content


def test_bands_come_as_an_archive(client):
    response = post(client, photo(), "/bands", alpha="0.2", mode="joint")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    names = ["cat.colorized.png", "cat.bands.npz", "cat.uncertainty.png", "report.json"]
    assert archive.namelist() == names
    assert archive.read("cat.colorized.png") == post(client, photo(), alpha="0.2", mode="joint").content
    bands = np.load(io.BytesIO(archive.read("cat.bands.npz")), allow_pickle=False)
    assert bands["alpha"] == 0.2
    assert bands["R"].shape == (24, 30, 2)
    report = json.loads(archive.read("report.json"))
    assert (report["photo"], report["alpha"], report["mode"]) == ("cat.png", 0.2, "joint")
    assert (report["width"], report["height"]) == (30, 24)
    assert (report["delta"], report["grouped"]) == (None, False)
    assert set(report["steps"]) == {"R", "G", "B"}
    assert 0 < report["likeness"]["p_value"] <= 1
    assert report["promise"].endswith("its pixels that leave their bands is at most 0.2.")
    mean = np.mean([bands[name][..., 1].astype(float) - bands[name][..., 0] for name in "RGB"])
    assert report["mean_band_width"] == pytest.approx(mean, abs=1e-3)


def bands_of(client, **fields):
    """The bands, uint8 (H, W, 3, 2), and the report."""
    response = post(client, photo(), "/bands", **fields)
    assert response.status_code == 200, response.text
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    bands = np.load(io.BytesIO(archive.read("cat.bands.npz")), allow_pickle=False)
    return np.stack([bands[name] for name in "RGB"], axis=2), json.loads(archive.read("report.json"))


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_bands_of_a_stronger_promise_are_not_narrower_and_the_promise_is_reported(client, mode):
    narrow, narrow_report = bands_of(client, alpha="0.5", mode=mode)
    sentences = {"delta": "probability 0.9 over the draw", "grouped": "pixels of each group"}
    for fields in ({"delta": "0.1"}, {"grouped": "true"}, {"delta": "0.1", "grouped": "true"}):
        wide, report = bands_of(client, alpha="0.5", mode=mode, **fields)
        assert (wide[..., 0] <= narrow[..., 0]).all() and (wide[..., 1] >= narrow[..., 1]).all()
        assert (report["delta"], report["grouped"]) == (0.1 if "delta" in fields else None, "grouped" in fields)
        assert all((sentences[field] in report["promise"]) == (field in fields) for field in sentences)
        assert (report["mean_band_width"] > narrow_report["mean_band_width"]) or "delta" not in fields
    assert np.array_equal(bands_of(client, alpha="0.5", mode=mode, grouped="false")[0], narrow)


@pytest.mark.parametrize("path", ["/colorize", "/bands"])
@pytest.mark.parametrize("delta", ["0", "1", "-1", "2", "nan", "inf", "x", "", "[0.1]", "9" * 900])
def test_a_bad_delta_is_refused_with_the_range(client, path, delta):
    reason = refusal(post(client, photo(), path, alpha="0.5", delta=delta), 422)
    assert "delta (=" in reason and "must be in (0, 1)" in reason


def test_a_delta_that_needs_more_photos_is_refused_with_the_remedy(client):
    reason = refusal(post(client, photo(), alpha="0.1", delta="0.1"), 422)
    assert reason.startswith("alpha (=0.1) must be at least 0.")
    assert "19 photos" in reason and "take a larger delta" in reason


@pytest.mark.parametrize("grouped", ["", "1", "yes", "True", "x" * 900])
def test_a_grouped_that_is_neither_true_nor_false_is_refused(client, grouped):
    reason = refusal(post(client, photo(), grouped=grouped), 422)
    assert reason == f"field 'grouped' (={grouped[:40]!r}) must be true or false"


def test_the_model_is_described(client):
    model = client.get("/model").json()
    assert model["name"] == "tiny"
    assert model["version"] == model["hashes"]["package_sha256"][:12]
    assert model["alphas"]["smallest"] == pytest.approx(0.05)
    assert model["calibration_photos"] == 19
    assert model["groups"] and set(model["groups"].values()) <= set(range(1, 20))
    assert {row["mode"] for row in model["certificate"]["curve"]} == {"per_channel", "joint"}
    assert set(model["hashes"]) == {
        f"{name}_sha256" for name in ("package", "weights", "distribution", "preprocessing", "data")
    }
    assert all(len(value) == 64 for value in model["hashes"].values())


def test_the_certificate_is_the_packages_own_page(client, tiny_package):
    response = client.get("/certificate")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.content == (tiny_package / "certificate.html").read_bytes()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_bentoml_answers_the_probes(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/colorize", "/bands"])
@pytest.mark.parametrize("alpha", ["0", "1", "2", "-1", "nan", "inf", "x", "1e-9", "", "[0.1]", "9" * 900])
def test_a_bad_alpha_is_refused_with_the_range(client, path, alpha):
    assert "[0.05, 1)" in refusal(post(client, photo(), path, alpha=alpha), 422)


def test_a_bad_mode_is_refused(client):
    assert "per_channel" in refusal(post(client, photo(), mode="pixelwise"), 422)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("text.txt", b"just a text", 415),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        ("paper.pdf", b"%PDF-1.7\n", 415),
        ("archive.npz", b"PK\x03\x04" + bytes(100), 415),
        ("zeros.png", bytes(1000), 415),
        ("new.heic", b"\0\0\0\x18ftypheic" + bytes(100), 422),
        ("new.avif", b"\0\0\0\x1cftypavif" + bytes(100), 422),
        ("film.mp4", b"\0\0\0\x1cftypisom" + bytes(100), 415),
        ("icon.ico", b"\0\0\1\0\1\0\x10\x10" + bytes(100), 415),
        ("layers.psd", b"8BPS\0\1" + bytes(100), 415),
        ("empty.png", b"", 422),
        ("cut.png", photo()[:400], 422),
        ("head.png", photo()[:12], 422),
        ("head.jpg", b"\xff\xd8\xff\xe0", 422),
        ("corrupt.png", photo()[:60] + bytes(500), 422),
        ("moving.gif", animation(), 422),
        ("bomb.png", bomb(), 422),
    ],
)
def test_a_bad_photo_is_refused_by_name_and_the_next_good_one_is_served(client, name, content, code):
    for path in ("/colorize", "/bands"):
        reason = refusal(post(client, content, path, name=name), code)
        assert name in reason and (code != 415 or "JPEG, PNG, TIFF" in reason)
    assert post(client, photo()).status_code == 200


EXTERNAL = 'message/external-body; access-type=URL; URL="{}"'
URL_SENT_AS = {
    "a text": lambda address: {"files": {"image": (None, address)}},
    "a urlencoded form": lambda address: {"data": {"image": address}},
    "json": lambda address: {"json": {"image": address}},
    "a file's name": lambda address: {"files": {"image": (address, b"no photo")}},
    "a file's content": lambda address: {"files": {"image": ("cat.png", address.encode())}},
    "a file's kind": lambda address: {"files": {"image": ("cat.png", b"no photo", EXTERNAL.format(address))}},
}


@pytest.mark.parametrize("place", URL_SENT_AS)
def test_a_url_in_place_of_a_photo_is_refused_and_never_fetched(client, place):
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.3)
        host = f"127.0.0.1:{trap.getsockname()[1]}"
        data = f"data:image/png;base64,{base64.b64encode(photo()).decode()}"[:1000]
        for address in (f"http://{host}/cat.png", f"ftp://{host}/cat.png", "file:///etc/passwd", data):
            for path in ("/colorize", "/bands", "/explore"):
                refusal(client.post(path, **URL_SENT_AS[place](address)), 415, 422)
        with pytest.raises(TimeoutError):
            trap.accept()


def test_requests_that_the_contract_forbids_are_refused(client):
    assert "image" in refusal(client.post("/colorize", files={"photo": ("cat.png", photo())}), 422)
    assert "alhpa" in refusal(post(client, photo(), alhpa="0.1"), 422)
    assert "image" in refusal(client.post("/colorize", files={"alpha": (None, "0.1")}), 422)
    assert "more than once" in refusal(client.post("/colorize", files=[("image", ("a", photo()))] * 2), 422)
    assert "alpha" in refusal(client.post("/colorize", files={"image": ("a", photo()), "alpha": ("b", b"0.1")}), 422)
    assert "multipart" in refusal(client.post("/colorize", content=photo()), 415)
    refusal(client.get("/colorize"), 405)
    refusal(client.delete("/model"), 405)


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ("", b"--x\r\n"),
        ("; boundary=x", b"no boundary in it"),
        ("; boundary=x", b""),
        ("; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        ("; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc'),
        (
            "; boundary=x; charset=hex",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
        ),
        (
            "; boundary=x; charset=utf-7",
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="+2AA-"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("; boundary=" + "y" * 5000, b"--x"),
    ],
)
def test_malformed_forms_are_refused(client, parameters, body):
    header = {"content-type": f"multipart/form-data{parameters}"}
    refusal(client.post("/colorize", content=body, headers=header), 400, 415, 422)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_is_too_large_is_refused(client, streamed):
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = head + bytes(MAX_BODY) + b"\r\n--x--\r\n"
    pieces = (body[first : first + 2**20] for first in range(0, len(body), 2**20))
    header = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/colorize", content=pieces if streamed else body, headers=header)
    assert f"{MAX_BODY:,}" in refusal(response, 413)
    assert post(client, photo()).status_code == 200


def answer_to_raw(url, head, body=b""):
    """Send bytes unchanged, and return all bytes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=20) as connection:
        connection.sendall(b"POST /colorize HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + head + b"\r\n" + body)
        return b"".join(iter(lambda: connection.recv(2**16), b""))


def test_an_undecodable_content_type_gets_a_complete_answer(url):
    answer = answer_to_raw(url, b"Content-Type: caf\xe9\r\nContent-Length: 0\r\n")
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert answer.endswith(b"}")


def test_a_large_body_is_refused_before_it_is_sent_when_the_client_asks_first(url):
    head = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n" % (MAX_BODY + 1)
    assert answer_to_raw(url, head + b"Expect: 100-continue\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_client_that_hangs_up_causes_no_internal_error(url, client):
    def answers(status):
        line = f'huebands_request_seconds_count{{path="/bands",status="{status}"}} '
        return sum(float(row.removeprefix(line)) for row in client.get("/metrics").text.splitlines() if line in row)

    before = answers(400)
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as connection:
        head = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n"
        connection.sendall(b"POST /bands HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n--x\r\n")
    end = time.monotonic() + 10
    while answers(400) == before and time.monotonic() < end:
        time.sleep(0.05)
    assert (answers(400), answers(500)) == (before + 1, 0)


def test_paths_that_clients_make_up_are_not_in_the_metrics(client):
    post(client, photo())
    for number in range(3):
        assert client.get(f"/stranger{number}").status_code == 404
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert 'huebands_request_seconds_count{path="/colorize",status="200"}' in metrics.text
    assert "stranger" not in metrics.text


def test_a_body_that_stalls_is_refused():
    async def read(scope, receive, send):
        while (await receive()).get("more_body"):
            pass

    async def receive():
        await anyio.sleep(5)

    limited = BodyLimit(read, max_body=10, max_stall=0.05)
    with pytest.raises(HTTPException, match=r"0 bytes in 0\.05 seconds") as error:
        anyio.run(limited, {"type": "http", "headers": []}, receive, None)
    assert error.value.status_code == 408


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cat.jpg", "cat"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\my cat.jpg", "my_cat"),
        ("größe.png", "größe"),
        ("\0\n.png", "photo"),
        ("..", "photo"),
        ("x" * 300 + ".png", "x" * 80),
    ],
)
def test_names_of_uploads_become_harmless_stems(name, stem):
    assert safe_stem(name) == stem
