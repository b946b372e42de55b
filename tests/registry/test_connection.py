"""Errors of the store: they name the store and the remedy."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from huebands.registry import listing, training_photos
from huebands.registry.champion import champion_version
from huebands.registry.connection import NoStoreError, TrackingError
from huebands.registry.models import RegisteredPackage, download_package, set_alias, tag_version
from huebands.registry.restoration import find_run, restore_run
from huebands.registry.runs import log_runs
from huebands.registry.stage_runs import log_stages
from huebands.registry.suites import find_suite
from mlflow_store import RUN, client, finished_run, register, stage_run, start

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_outside_a_checkout_no_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    for read in (
        lambda: download_package("models:/generator@champion"),
        lambda: listing.list_versions("generator"),
        lambda: champion_version("generator"),
        lambda: find_suite("generator"),
    ):
        with pytest.raises(NoStoreError, match=f"no mlflow.db in {tmp_path}; .*set MLFLOW_TRACKING_URI"):
            read()
    assert training_photos.list_versions() == []
    assert not list(tmp_path.iterdir())


def test_a_deleted_experiment_is_named_with_the_remedy(checkout: Path) -> None:
    run = start()
    client().delete_experiment(client().get_run(run.run_id).info.experiment_id)
    with pytest.raises(TrackingError, match=r"'huebands' is deleted: `mlflow experiments restore -x 1`"):
        start()


def test_a_store_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://name:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"no answer from http://127\.0\.0\.1:9: ") as caught:
        champion_version("generator")
    assert "secret" not in str(caught.value)


def test_a_store_of_an_unknown_kind_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "carrier-pigeon://me:secret@coop")
    with pytest.raises(TrackingError, match="carrier-pigeon") as caught:
        champion_version("generator")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["http", "postgresql"])
def test_an_address_that_nobody_can_read_is_told_without_its_password(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{kind}://me:of-a[secret@host/mlflow")
    with pytest.raises(TrackingError, match=r"^MLFLOW_TRACKING_URI: no address: Invalid IPv6 URL; write") as caught:
        champion_version("generator")
    assert "secret" not in str(caught.value)


VERSION = RegisteredPackage("generator", 1, "11" * 32)


@pytest.mark.parametrize(
    ("method", "work"),
    [
        ("create_registered_model", register),
        ("create_logged_model", register),
        ("log_model_artifacts", register),
        ("finalize_logged_model", register),
        ("create_model_version", register),
        ("get_model_version_by_alias", lambda package, sha256, run_id: champion_version("generator")),
        ("set_registered_model_alias", lambda package, sha256, run_id: set_alias("generator", "champion", 1)),
        ("set_model_version_tag", lambda package, sha256, run_id: tag_version(VERSION, {"gate.reason": "a"})),
        ("set_terminated", lambda package, sha256, run_id: log_runs("huebands", stage_run("compare"), [])),
        ("get_run", lambda package, sha256, run_id: log_stages(run_id, [], {})),
        ("search_runs", lambda package, sha256, run_id: find_run("huebands", "cd" * 32)),
        ("search_runs", lambda package, sha256, run_id: restore_run("huebands", RUN, [], {})),
        ("create_run", lambda package, sha256, run_id: start()),
        ("get_run", lambda package, sha256, run_id: start(run_id)),
    ],
)
def test_whatever_the_store_refuses_is_named_with_its_reason(
    checkout: Path, package: Path, monkeypatch: pytest.MonkeyPatch, method: str, work: Callable[..., object]
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise mlflow.MlflowException("not for you\nat all", error_code=PERMISSION_DENIED)

    run_id = finished_run()
    monkeypatch.setattr(mlflow.MlflowClient, method, refuse)
    with pytest.raises(TrackingError, match=r"^the .* failed in sqlite:///.*: not for you at all; start again when"):
        work(package, "11" * 32, run_id)


def test_a_service_with_the_client_alone_says_that_a_server_does_not_answer() -> None:
    """The image of a follower has `mlflow-skinny`, without the libraries of MLflow's database."""
    program = """
import sys
for name in ("sqlalchemy", "alembic"):
    sys.modules[name] = None
from huebands.registry.models import find_package
find_package("models:/generator@champion")
"""
    environment = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "NoAnswerError: no answer from http://127.0.0.1:9: " in done.stderr, done.stderr
