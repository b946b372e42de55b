"""The MLflow run of a training: live, resumed, failed."""

from pathlib import Path
from typing import Any

import pytest

from huebands.registry import connection
from huebands.registry.connection import TrackingError
from huebands.registry.restoration import find_run
from huebands.registry.training_run import TrainingRun
from mlflow_store import COMMIT, STARTED, client, history, parent_of, picture, points, start

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_run_can_be_watched_while_it_runs(checkout: Path) -> None:
    run = start()
    run.log_history(history(2))
    stored = client().get_run(run.run_id)
    assert stored.info.status == "RUNNING"
    assert stored.data.params == {"train.epochs": "3"}
    assert stored.data.tags["huebands.git_commit"] == stored.data.tags["mlflow.source.git.commit"] == COMMIT
    assert points(run.run_id, "huber") == [(row["epoch"], row["huber"]) for row in history(2)]


def test_a_training_is_the_child_of_its_pipeline_and_has_the_same_status(checkout: Path) -> None:
    run = start()
    parent = parent_of(run.run_id)
    assert (parent.info.run_name, client().get_run(run.run_id).info.run_name) == ("cgan", "train (cgan)")
    assert parent.data.params == {"train.epochs": "3"}
    for act, status in ((run.fail, "FAILED"), (lambda: start(run.run_id), "RUNNING")):
        act()
        assert {client().get_run(run_id).info.status for run_id in (run.run_id, parent.info.run_id)} == {status}
    run.finish("ab" * 32)
    assert parent_of(run.run_id).info.status == "FINISHED"
    assert find_run("huebands", "ab" * 32) == run.run_id, "the training's, not the pipeline's"


def test_an_epoch_without_validation_has_no_point(checkout: Path) -> None:
    run = start()
    run.log_history([{"epoch": 1, "seconds": 1.0, "val_ab_mae": None}, {"epoch": 2, "seconds": 2.0, "val_ab_mae": 7}])
    run.log_history([{"epoch": 3, "seconds": 3.0, "val_ab_mae": float("nan")}])
    assert points(run.run_id, "val_ab_mae") == [(2, 7.0)]


def test_a_resumed_run_continues_without_repeated_points(checkout: Path) -> None:
    killed = start()
    killed.log_history(history(4))
    killed.log_picture(picture(4), 4)
    killed.fail()
    resumed = start(run_id=killed.run_id)
    assert resumed.run_id == killed.run_id
    assert resumed.started_at == killed.started_at
    assert client().get_run(resumed.run_id).info.status == "RUNNING"
    resumed.log_picture(picture(4), 4)
    resumed.log_history([row | {"seconds": row["seconds"] + 0.5} for row in history(4, first=3)])
    resumed.finish("ab" * 32)
    assert [step for step, _ in points(resumed.run_id, "huber")] == [1, 2, 3, 4, 5, 6]
    pictures = [item for item in client().list_artifacts(resumed.run_id, "images") if item.path.endswith(".png")]
    assert len(pictures) == 1
    assert client().get_run(resumed.run_id).info.status == "FINISHED"


def test_resuming_in_another_store_logs_a_warning_and_starts_a_new_run(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start(run_id="0" * 32)
    assert run.run_id != "0" * 32
    assert f"run {'0' * 32} is not in this store" in caplog.text
    assert client().get_run(run.run_id).data.tags["huebands.resumed_from"] == "0" * 32


class GoneClient:
    """Stands for a client whose store no longer answers."""

    tracking_uri = "http://gone"

    def __getattr__(self, name: str) -> Any:
        raise connection.mlflow.MlflowException("refused")


def test_a_store_that_vanishes_while_a_run_is_logged_is_named(checkout: Path) -> None:
    run, sample = start(), picture(1)
    run._client = GoneClient()
    for log in (
        lambda: run.log_history(history(1)),
        lambda: run.log_picture(sample, 1),
        lambda: run.finish("ab" * 32),
        run.fail,
    ):
        with pytest.raises(TrackingError, match=f"^run {run.run_id} cannot be logged to http://gone: refused$"):
            log()


def start_at(moment: str, name: str = "cgan") -> TrainingRun:
    return TrainingRun.start(name, "huebands", {"train.epochs": 3}, {}, started_at=moment)


def test_a_start_whose_answer_was_lost_is_completed(checkout: Path) -> None:
    first = start_at(STARTED)
    assert start_at(STARTED).run_id == first.run_id
    client().delete_run(first.run_id)
    second = start_at(STARTED)
    assert second.run_id != first.run_id
    assert parent_of(second.run_id).info.run_id == parent_of(first.run_id).info.run_id, "the pipeline's run was there"
    assert start_at(STARTED, "another").run_id != second.run_id
    second.finish("ab" * 32)
    assert start_at(STARTED).run_id != second.run_id, "a finished run is not resumed"


def test_a_run_that_the_store_created_too_late_is_deleted_at_the_end(checkout: Path) -> None:
    run = start_at(STARTED)
    stored = client().get_run(run.run_id)
    late, other = (
        client()
        .create_run(stored.info.experiment_id, stored.info.start_time, {"mlflow.note.content": name})
        .info.run_id
        for name in ("cgan", "another")
    )
    run.finish("ab" * 32)
    states = {run_id: client().get_run(run_id).info.lifecycle_stage for run_id in (run.run_id, late, other)}
    assert states == {run.run_id: "active", late: "deleted", other: "active"}
