"""Fixtures of several test modules."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bento_server import serve_package
from mlflow_server import Server
from unreliable_proxy import Proxy

if TYPE_CHECKING:
    from huebands.metrics.report import PhotoScorer

pytest_plugins = ("browser",)

# Numerical libraries read this when they are loaded, in this process and in those that tests start. With more threads
# than free cores OpenMP's threads wait for one another in busy loops, and a test takes ten times as long.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order modules for `pytest -n --dist loadfile`: the longest first, then those that share the served service.

    While one worker is busy with the pipeline, another takes the modules of the service one after the other, so that
    the service is started once.
    """
    of_service = {item.path for item in items if "url" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.get_closest_marker("pipeline") is None, item.path not in of_service))


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep temporary files of tests, and of processes that they start and kill, in the folder that pytest removes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)  # read TMPDIR anew
        yield


@pytest.fixture(scope="session", autouse=True)
def compile_once() -> Iterator[None]:
    """Compile networks of equal weights once: tests load the tiny packages anew, and OpenVINO takes a second each."""
    from compile_cache import compile_each_network_once

    with compile_each_network_once():
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A created store, to be copied: its creation takes seconds."""
    from huebands.registry import local_store
    from huebands.registry.restoration import find_run

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert find_run("huebands", "none") is None
    return folder / local_store.DATABASE


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model package called `tiny`, to be read or copied, never changed."""
    from tiny_package import write_tiny_package

    folder = tmp_path_factory.mktemp("packages") / "tiny"
    write_tiny_package(folder)
    return folder


@pytest.fixture(scope="session")
def service_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the service of `url` writes the file `log`."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="session")
def url(tiny_package: Path, service_folder: Path) -> Iterator[str]:
    """Address of a service that serves `tiny_package`."""
    with serve_package(tiny_package, service_folder) as address:
        yield address


@pytest.fixture(scope="session")
def photo_scorer() -> "PhotoScorer":
    """Scores photos; loading its networks takes seconds."""
    from huebands.metrics.report import PhotoScorer

    return PhotoScorer()


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real MLflow server, one for each module."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def proxy(mlflow_server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server, which can behave badly."""
    proxy = Proxy(mlflow_server.address)
    yield proxy
    proxy.close()


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> "dict[str, float]":
    """What the criteria of each model measure, by name; lower is better."""
    from huebands.stages import register
    from pipeline_checkout import Scorer

    scorer = Scorer()
    monkeypatch.setattr(register, "ColourScorer", lambda: scorer)
    monkeypatch.setattr("huebands.promotion.trial.ColourScorer", lambda: scorer)
    return scorer.levels


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, levels: "dict[str, float]", monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout where all stages before register have run, as the current folder."""
    from pipeline_checkout import make_checkout

    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    make_checkout(tmp_path, empty_store)
    return tmp_path
