"""The live run of a training: its parts that need no server."""

import time
from pathlib import Path

import pytest

from huebands.photos.write import write_png
from huebands.registry import live_run
from huebands.registry.connection import TrackingError
from mlflow_store import begin, client, history, picture, points, start

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_everything_handed_over_is_logged_when_the_training_ends(checkout: Path, tmp_path: Path) -> None:
    said = list[str]()
    run = begin(said.append, print)
    write_png(tmp_path / "grid.png", picture(1))
    run.log_history(history(2))
    run.log_tag("precision", "float32")
    run.log_picture(tmp_path / "grid.png", 1)
    run.finish("ab" * 32)
    experiment = client().get_experiment_by_name("huebands").experiment_id
    (logged,) = client().search_runs([experiment], "tags.`huebands.stage` = 'train'")
    assert (logged.info.status, logged.data.tags["huebands.precision"]) == ("FINISHED", "float32")
    assert points(logged.info.run_id, "huber") == [(row["epoch"], row["huber"]) for row in history(2)]
    assert len(client().list_artifacts(logged.info.run_id, "images")) == 2, "whole and small"
    assert said == []


def test_a_watched_run_has_the_load_of_the_machine_until_it_ends(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "2")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_NODE_ID", "attic")
    ids = list[str]()
    run = begin(print, ids.append)
    run.watch_system()
    name, deadline = "system/attic/cpu_utilization_percentage", time.monotonic() + 20
    while not points(ids[0], name) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.finish("ab" * 32)
    count = len(points(ids[0], name))
    time.sleep(0.3)
    assert count == len(points(ids[0], name)) > 0


def test_what_a_file_refuses_is_no_registry_that_is_away(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{checkout}/file/mlflow.db")
    said = list[str]()
    with pytest.raises(TrackingError):
        begin(said.append, print)
    assert said == []


def test_a_run_that_was_deleted_meanwhile_is_told_once(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.5)
    said, ids = list[str](), list[str]()
    run = begin(said.append, ids.append)
    client().delete_run(ids[0])
    run.log_history(history(2))
    run.finish("ab" * 32)
    assert len(said) == 2 and "goes on without its registry" in said[0] and "the stage register" in said[1]
    assert start().run_id != ids[0]
