"""Errors of the store: they name the store and the remedy."""

from pathlib import Path

import pytest

from huebands.registry.connection import TrackingError
from huebands.registry.models import (
    champion_version,
    download_package,
)
from mlflow_store import client, start

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_outside_a_checkout_no_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError, match="set MLFLOW_TRACKING_URI"):
        download_package("models:/generator@champion")
    assert not (tmp_path / "mlflow.db").exists()


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
