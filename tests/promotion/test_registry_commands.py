"""The commands that ask the registry: how long they wait for it, and what they make of its answers."""

import os
from pathlib import Path

import mlflow
import pytest
import requests

from huebands.cli import main
from huebands.registry import listing
from huebands.registry.connection import TrackingError
from mlflow_store import register
from pipeline_checkout import write_params

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

NOWHERE = "http://127.0.0.1:9"
LIMITS = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")


@pytest.mark.parametrize(
    "command",
    [
        *("registry list", "registry show 1", "registry diff 1 2", "registry suite"),
        *("promote", "rollback", "lineage 0123456789abcdef"),
    ],
)
def test_a_registry_that_does_not_answer_is_given_up_after_a_minute(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = []

    def no_answer(*_: object, **__: object) -> None:
        limits.append([int(os.environ.get(name, 999)) for name in LIMITS])
        raise mlflow.MlflowException("refused") from requests.ConnectionError()

    monkeypatch.chdir(tmp_path)
    write_params()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mlflow.MlflowClient, "search_experiments", no_answer)
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert f"no answer from {NOWHERE}: refused; " in error and len(error.splitlines()) == 1
    assert limits and all(seconds <= 10 and retries <= 5 for seconds, retries in limits)


@pytest.fixture
def package(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, beside a store that is in use."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_a_version_whose_run_is_gone_is_listed_without_figures(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(package)
    (version,) = listing.list_versions("generator")
    assert version.metrics == {"test/psnr": 23.0}

    def gone(*_: object) -> None:
        raise mlflow.MlflowException("no such run", error_code=mlflow.protos.databricks_pb2.RESOURCE_DOES_NOT_EXIST)

    monkeypatch.setattr(mlflow.MlflowClient, "get_run", gone)
    (version,) = listing.list_versions("generator")
    assert version.metrics == {} and version.number == 1


def test_a_registry_that_goes_away_half_way_is_no_deleted_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(package)

    def away(*_: object) -> None:
        raise mlflow.MlflowException("no answer") from requests.ConnectionError()

    monkeypatch.setattr(mlflow.MlflowClient, "get_run", away)
    with pytest.raises(TrackingError, match=r"the list of the versions failed in .*: no answer; start again when"):
        listing.list_versions("generator")
