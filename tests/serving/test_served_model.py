"""The served model: the package that was registered, chosen once, and named in every answer."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from bento_server import serve_package
from huebands.colorize.colorizer import Colorizer
from huebands.package.choose import GENERATOR
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.photos.write import encode_png
from huebands.registry import connection, local_store, models
from huebands.registry.models import PACKAGE_TAG, set_alias
from huebands.registry.time_limits import short_timeouts
from huebands.serving import served_model
from huebands.serving.answers import model_headers
from huebands.serving.workers.package_copy import PrivateCopy, copy_privately
from tiny_package import seal, write_tiny_package, write_with_few_photos
from tiny_registry import NAME, copy_store, register

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

CHECKOUT = Path(__file__).parents[2]
PHOTO = encode_png(np.zeros((20, 30, 3), np.uint8))


@pytest.fixture
def registry(tmp_path: Path, empty_store: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store that holds the tiny package as version 1, the champion."""
    folder = tmp_path / "registry"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", copy_store(empty_store, folder))
    register(tiny_package)
    set_alias(NAME, "champion", 1)
    return folder


def test_a_version_is_served_as_it_was_registered(registry: Path, tiny_package: Path) -> None:
    for address, alias in ((f"models:/{NAME}/1", None), (f"models:/{NAME}@champion", "champion")):
        chosen = served_model.choose(address)
        package = chosen.load().package
        assert package.package_sha256 == read_package(tiny_package).package_sha256
        assert chosen.describe() == {
            "source": address,
            "registry": {"model": NAME, "version": 1, "alias": alias},
            "in_use_since": None,
        }
        assert served_model.decode(chosen.encode()) == chosen


def test_the_source_of_a_folder_is_its_name_without_the_path(tiny_package: Path) -> None:
    described = served_model.choose(str(tiny_package)).describe()
    assert described == {"source": "tiny", "registry": None, "in_use_since": None}


@pytest.mark.parametrize("change", ["altered", "missing"])
@pytest.mark.parametrize(
    "name",
    [
        "generator.safetensors",
        "config.json",
        "distribution.safetensors",
        "distribution.json",
        "calibration.npz",
        "calibration.json",
        "certificate.html",
        "MODEL_CARD.md",
    ],
)
def test_a_file_that_is_not_the_registered_one_is_refused_with_both_hashes(
    registry: Path, tiny_package: Path, name: str, change: str
) -> None:
    (path,) = (registry / local_store.ARTIFACTS).rglob(name)
    if change == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(PackageError, match="are not those that were registered") as error:
        served_model.choose(f"models:/{NAME}@champion")
    assert read_package(tiny_package).package_sha256 in str(error.value)
    assert "version 1" in str(error.value) and "restore the store" in str(error.value)


def test_a_version_that_was_registered_without_a_manifest_is_held_by_its_hash(
    registry: Path, tiny_package: Path
) -> None:
    (manifest,) = (registry / local_store.ARTIFACTS).rglob("manifest.json")
    manifest.unlink()
    address, expected = f"models:/{NAME}/1", read_package(tiny_package).package_sha256
    package = load_to_serve(address).package
    assert Colorizer.load(address).package.package_sha256 == package.package_sha256 == expected
    copy = copy_privately(package.folder, expected)
    assert PrivateCopy(package.folder, expected).restore() == package.folder
    assert read_package(copy).package_sha256 == expected, "the copy has a manifest"


def load_to_serve(address: str) -> Colorizer:
    return served_model.choose(address).load()


@pytest.mark.parametrize("load", [Colorizer.load, load_to_serve])
def test_files_that_change_after_their_download_are_refused(
    registry: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[str], Colorizer]
) -> None:
    check = models._check_files

    def change_what_was_checked(subject: str, package: Path, registered: str) -> None:
        check(subject, package, registered)
        (package / "MODEL_CARD.md").write_text("# Another\n")
        seal(package)

    monkeypatch.setattr(models, "_check_files", change_what_was_checked)
    with pytest.raises(PackageError, match=r"package_sha256 \(=.*\) must be .* which was released or registered"):
        load(f"models:/{NAME}@champion")


def test_a_version_of_unknown_files_is_refused(registry: Path) -> None:
    store = local_store.store_uri(registry)
    client = connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    client.delete_model_version_tag(NAME, "1", PACKAGE_TAG)
    with pytest.raises(PackageError, match=f"version 1 .* has no tag {PACKAGE_TAG}"):
        served_model.choose(f"models:/{NAME}/1")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (f"models:/{NAME}@best", rf"not in the registry .* it holds version 1 of '{NAME}', champion \(=1\)"),
        (f"models:/{NAME}/7", rf"not in the registry .* it holds version 1 of '{NAME}', champion \(=1\)"),
        ("models:/other@champion", "not in the registry .* it holds no model 'other'"),
        ("models:/empty@champion", "not in the registry .* it holds no version of 'empty'; register one"),
        ("models:/empty/1", "not in the registry .* it holds no version of 'empty'; register one"),
        (f"models:/{NAME}", "write models:/NAME/VERSION or models:/NAME@ALIAS"),
    ],
)
def test_a_model_that_the_registry_lacks_is_refused_with_the_names_that_it_has(
    registry: Path, address: str, reason: str
) -> None:
    store = local_store.store_uri(registry)
    connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store).create_registered_model("empty")
    with pytest.raises(PackageError, match=reason):
        served_model.choose(address)


def test_without_mlflow_a_registry_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "huebands.registry.connection")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(PackageError, match=r"needs mlflow, which is not installed here; .* leave HUEBANDS_MODEL"):
        served_model.choose(f"models:/{NAME}@champion")


def test_short_timeouts_of_a_store_end_with_the_download(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    before = dict(os.environ)
    with short_timeouts():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77", "as the user has set it"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        (
            {"HUEBANDS_MODEL": "models:/bands@champion", "MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9"},
            "huebands: no answer from http://127.0.0.1:9: ",
        ),
        ({"HUEBANDS_MODEL": "/nowhere"}, "huebands: /nowhere: no such folder"),
        (
            {"HUEBANDS_MODEL": "models:/bands/1", "HUEBANDS_FOLLOW": "60"},
            "huebands: HUEBANDS_MODEL (='models:/bands/1') must be models:/NAME@ALIAS",
        ),
    ],
)
def test_a_service_without_its_package_ends_at_once_with_an_error_of_one_line(
    tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bentoml", "serve", "huebands.service:Huebands", "--port", "0"],
        cwd=CHECKOUT,
        env=os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "true"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("huebands: ")]
    assert line.startswith(reason)
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "secret" not in ended.stderr + ended.stdout


def start(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Do what the processes of a service do at their start; prints the folders inside those that they have made."""
    folder.mkdir()
    program = """
import os, pathlib, tempfile
from huebands.service import CHOSEN, Huebands
from huebands.serving.served_model import decode
Huebands.inner.choose()
pathlib.Path(decode(os.environ[CHOSEN]).folder).with_name("version-2-0a1b2c3d").mkdir()  # of a killed HTTP process
Huebands.inner()
temporary = pathlib.Path(tempfile.gettempdir())
print(*(path.relative_to(temporary) for path in temporary.glob("*/*")))
"""
    environment = os.environ | {"TMPDIR": str(folder)} | variables
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


def test_a_start_refuses_the_version_that_a_follower_refuses(registry: Path, tmp_path: Path) -> None:
    """Else a restart would serve it, and find that it is the version in use."""
    write_with_few_photos(tmp_path / "few")
    set_alias(NAME, "champion", register(tmp_path / "few"))
    address = f"models:/{NAME}@champion"
    refused = start(tmp_path / "follows", HUEBANDS_MODEL=address, HUEBANDS_FOLLOW="60")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"huebands: {address}: alpha (=0.1) must be in [0.2, 1)")
    served = start(tmp_path / "stays", HUEBANDS_MODEL=address)
    assert served.returncode == 0, served.stderr
    assert re.fullmatch(r"huebands-\w+/package\n", served.stdout), "neither the download nor what was left stays"


@pytest.fixture
def address(registry: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a service that serves the champion."""
    folder = tmp_path / "service"
    folder.mkdir()
    source = Path(f"models:/{NAME}@champion")
    with serve_package(source, folder, HUEBANDS_MODEL=str(source), HUEBANDS_PROCESSES="1") as address:
        yield address


def test_the_served_model_stays_when_the_alias_moves_the_store_is_removed_and_workers_die(
    address: str, registry: Path, tmp_path: Path
) -> None:
    before = httpx.get(f"{address}/model").json()
    assert before["source"] == f"models:/{NAME}@champion"
    assert before["registry"] == {"model": NAME, "version": 1, "alias": "champion"}
    write_tiny_package(tmp_path / "other", seed=1)
    register(tmp_path / "other")
    set_alias(NAME, "champion", 2)
    shutil.rmtree(registry)
    for worker in workers_of(httpx.URL(address).port):
        worker.send_signal(signal.SIGKILL)
    answer = ask_until_answered(address)
    assert answer.headers["huebands-version"] == before["version"]
    after = httpx.get(f"{address}/model").json()
    assert {key: after[key] for key in ("source", "registry", "hashes")} == {
        key: before[key] for key in ("source", "registry", "hashes")
    }


def workers_of(port: int | None) -> list[psutil.Process]:
    """The descendants of the process that serves at a port."""
    for process in psutil.Process().children():
        if str(port) in process.cmdline():
            return process.children(recursive=True)
    pytest.fail(f"nobody serves at {port}")


def ask_until_answered(address: str) -> httpx.Response:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            answer = httpx.post(f"{address}/bands", files={"image": ("a.png", PHOTO)}, timeout=60)
            if answer.status_code == 200:
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail("no answer within 60 s of a restart")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 200),
        ("GET", "/model", 200),
        ("GET", "/certificate", 200),
        ("GET", "/metrics", 200),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/model", 405),
        ("POST", "/colorize", 415),
    ],
)
def test_every_answer_names_the_model(url: str, tiny_package: Path, method: str, path: str, code: int) -> None:
    answer = httpx.request(method, f"{url}{path}")
    assert answer.status_code == code
    assert answer.headers.get_list("huebands-model") == ["tiny"]
    assert answer.headers.get_list("huebands-version") == [read_package(tiny_package).package_sha256[:12]]


@pytest.mark.parametrize("path", ["/colorize", "/bands"])
def test_an_answer_states_its_uncertainty(url: str, path: str) -> None:
    answer = httpx.post(f"{url}{path}", files={"image": ("a.png", PHOTO)}, timeout=60)
    assert 0 <= float(answer.headers["huebands-mean-band-width"]) <= 255
    assert 0 < float(answer.headers["huebands-likeness"]) <= 1


def test_a_name_of_any_text_fits_into_a_header(tiny_package: Path) -> None:
    package = read_package(tiny_package)
    odd = replace(package, config=package.config | {"name": "Fotos é\r\nX: 1\ud800" + "x" * 1000})
    value = model_headers(odd)["Huebands-Model"]
    assert value.startswith("Fotos%20%C3%A9%0D%0AX%3A%201%ED%A0%80x")
    assert len(value) < 200


def test_a_bento_serves_the_package_inside_it(tmp_path: Path) -> None:
    inside = served_model.ServedModel(
        folder=GENERATOR.as_posix(), source="models:/bands@champion", model="bands", version=3
    )
    (tmp_path / served_model.CHOICE).parent.mkdir()
    (tmp_path / served_model.CHOICE).write_text(inside.encode(), encoding="utf-8")
    assert served_model.choose(None, tmp_path) == replace(inside, folder=str(tmp_path / GENERATOR))
