"""A served service follows promotions and a rollback in a real MLflow store, under requests that never stop.

Then its HTTP process is killed while the registry is gone: the next one serves what was in use.
"""

import io
import itertools
import json
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from bento_server import serve_package
from huebands.package.read import read_package
from huebands.photos.write import encode_png
from huebands.registry import local_store
from huebands.registry.models import set_alias
from tiny_package import write_tiny_package
from tiny_registry import NAME, copy_store, register

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

ADDRESS = f"models:/{NAME}@champion"
CLIENTS = 8  # for one worker process: seven photos wait
WITHIN = 300  # seconds to wait for anything; it takes some 10
PHOTO = encode_png(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8))


class Stream:
    """Clients that send one photo after the other without a pause; every answer is checked and kept.

    Attributes:
        versions: sha256 of the packages that answered each client, in order.
        refused: how many photos were refused with 503, which is no lost answer: the client is told to come back.
        troubles: what else went wrong.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.versions: list[list[str]] = []
        self.refused = 0
        self.troubles: list[str] = []
        self._stopping = threading.Event()

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Send photos until the block ends."""
        self.versions = [[] for _ in range(clients)]
        threads = [threading.Thread(target=self._send, args=(versions,)) for versions in self.versions]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _send(self, versions: list[str]) -> None:
        with httpx.Client(base_url=self.url, timeout=WITHIN) as client:
            while not self._stopping.is_set():
                try:
                    answer = client.post("/bands", files={"image": ("a.png", PHOTO)})
                    if answer.status_code == 503:
                        self.refused += 1
                        continue
                    archive = zipfile.ZipFile(io.BytesIO(answer.content))
                    sha256 = json.loads(archive.read("report.json"))["model"]["package_sha256"]
                except (httpx.HTTPError, zipfile.BadZipFile) as error:
                    self.troubles.append(repr(error))
                    continue
                if answer.headers["huebands-version"] != sha256[:12]:
                    self.troubles.append(f"the header names {answer.headers['huebands-version']}, the report {sha256}")
                versions.append(sha256)


def promote(url: str, version: int) -> None:
    """Point the alias at a version while photos wait for the one worker process."""
    until(lambda: metric(url, "huebands_jobs_waiting"))
    set_alias(NAME, "champion", version)


def metric(url: str, name: str) -> float:
    rows = httpx.get(f"{url}/metrics", timeout=WITHIN).text.splitlines()
    return next(float(row.split()[-1]) for row in rows if row.startswith(f"{name} "))


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + WITHIN
    while not (value := condition()):
        assert time.monotonic() < end, "it has not become true"
        time.sleep(0.1)
    return value


@pytest.mark.slow
def test_the_service_follows_promotions_and_a_rollback_without_a_lost_request(
    tmp_path: Path, empty_store: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, folder = tmp_path / "registry", tmp_path / "service"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", copy_store(empty_store, registry))
    packages = [tiny_package, tmp_path / "second", tmp_path / "third"]
    for seed, package in enumerate(packages[1:], 1):
        write_tiny_package(package, seed)
    assert [register(package) for package in packages] == [1, 2, 3]
    sha256s = [read_package(package).package_sha256 for package in packages]
    break_files(registry, packages[2])
    set_alias(NAME, "champion", 1)
    folder.mkdir()

    with serve_package(
        Path(ADDRESS), folder, HUEBANDS_MODEL=ADDRESS, HUEBANDS_FOLLOW="3", HUEBANDS_PROCESSES="1"
    ) as url:

        def model() -> dict[str, Any]:
            answer = httpx.get(f"{url}/model", timeout=WITHIN)
            described = answer.json()
            assert answer.headers["huebands-version"] == described["version"]
            return dict(described)

        def serves(version: int) -> bool:
            described = model()
            return bool(
                described["registry"] == {"model": NAME, "version": version, "alias": "champion"}
                and described["hashes"]["package_sha256"] == sha256s[version - 1]
                and described["following"]["state"] == "watching"
            )

        assert serves(1)
        first_since = model()["in_use_since"]
        stream = Stream(url)
        with stream.running(CLIENTS):
            until(lambda: all(stream.versions))
            promote(url, 2)
            until(lambda: serves(2))
            assert model()["in_use_since"] > first_since

            promote(url, 3)
            refused = until(lambda: model()["following"]["alarm"])
            assert refused["version"] == 3
            assert "are not those that were registered" in refused["reason"]
            assert metric(url, "huebands_follow_alarm") == 1

            registry.rename(tmp_path / "gone")
            gone = until(lambda: model()["following"]["last_error"])
            assert "no mlflow.db in" in gone["reason"] and gone["answered"]
            assert model()["registry"]["version"] == 2 and model()["following"]["alarm"]["version"] is None
            (tmp_path / "gone").rename(registry)

            promote(url, 1)
            until(lambda: serves(1))
            assert model()["following"]["alarm"] is None
            counts = [len(versions) for versions in stream.versions]
            until(lambda: all(len(now) > before for now, before in zip(stream.versions, counts, strict=True)))
        assert (stream.troubles, stream.refused) == ([], 0), "fewer clients than may wait: none needs to be refused"
        for versions in stream.versions:
            changes = [version for version, _ in itertools.groupby(versions)]
            assert changes == [sha256s[0], sha256s[1], sha256s[0]]
        until(lambda: len(worker_processes()) == 1)

        before = until(lambda: watching(url))
        shutil.rmtree(registry)
        parents = {process.parent().pid: process.parent() for process in worker_processes()}
        (http,) = parents.values()
        http.kill()
        after = until(lambda: watching(url))
        kept = ("registry", "hashes", "in_use_since")
        assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
        assert after["following"]["last_checked"] is None, "it is a new process, which has not seen the registry"
    assert "is refused, version 2 stays in use" in (folder / "log").read_text()


def break_files(registry: Path, package: Path) -> None:
    """Change a byte of a registered package in the store."""
    weights = (package / "generator.safetensors").read_bytes()
    for path in (registry / local_store.ARTIFACTS).rglob("generator.safetensors"):
        if path.read_bytes() == weights:
            path.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
            return
    pytest.fail("the store lacks the package")


def worker_processes() -> list[psutil.Process]:
    """The worker processes of the service."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "huebands.serving.workers.worker" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def watching(url: str) -> dict[str, Any] | None:
    """What GET /model says of a service that is ready and puts no version in use just now."""
    try:
        if httpx.get(f"{url}/readyz", timeout=WITHIN).status_code != 200:
            return None
        described: dict[str, Any] = httpx.get(f"{url}/model", timeout=WITHIN).json()
    except httpx.HTTPError:
        return None
    return described if described["following"]["state"] == "watching" else None
