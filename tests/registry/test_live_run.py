"""The live run of a training: its parts that need no server."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from huebands.photos.write import write_png
from huebands.registry import live_run
from huebands.registry.connection import NoAnswerError, TrackingError
from huebands.registry.live_run import LiveRun
from huebands.registry.training_run import TrainingRun
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


def test_a_refusal_after_a_silence_is_told_once_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([NoAnswerError("away"), *(TrackingError("experiment 'huebands' is deleted") for _ in range(5))])

    def start_run() -> TrainingRun:
        raise next(errors, NoAnswerError("away again"))

    for name in ("_AGAIN", "_AGAIN_AT_THE_END"):
        monkeypatch.setattr(live_run, name, 0.01)
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.5)
    said = list[str]()
    LiveRun.start(start_run, live_run.now(), said.append, print).finish("ab" * 32)
    assert len(said) == 3 and said[0].endswith("logs to it later: away"), said
    assert said[1].endswith("the registry answers, but does not take the run: experiment 'huebands' is deleted")


def test_no_line_has_the_password_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    store = "postgresql://mlflow:of-the-database-5a1d@127.0.0.1:9/mlflow"
    errors = iter([NoAnswerError("away"), ValueError(f"{store}: a library's own words")])

    def start_run() -> TrainingRun:
        for error in errors:
            raise error
        return cast(TrainingRun, SimpleNamespace(run_id="0", log_history=len, log_points=len))

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for name in ("_AGAIN", "_AGAIN_AT_THE_END"):
        monkeypatch.setattr(live_run, name, 0.01)
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.5)
    said, deadline = list[str](), time.monotonic() + 20
    run = LiveRun.start(start_run, live_run.now(), said.append, print)
    while len(said) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    run.finish("ab" * 32)  # which this run cannot
    assert len(said) == 5 and "answers again" in said[2] and "still lacks" in said[4], said
    assert all("postgresql://127.0.0.1:9/mlflow" in said[line] for line in (1, 2, 4)) and "5a1d" not in "".join(said)
