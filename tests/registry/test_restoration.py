"""A training's run is points by its weights, or restored from its report."""

from datetime import datetime
from pathlib import Path

import pytest

from huebands.registry.restoration import find_run, restore_run
from huebands.registry.training_run import TrainingRun
from mlflow_store import RUN, STARTED, TERMS, client, cut_off, history, parent_of, picture, points, start

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_run_names_the_datasets_that_it_used(checkout: Path) -> None:
    for run_id in (start().run_id, restore_run("huebands", RUN, history(1), {})):
        (dataset_input,) = client().get_run(run_id).inputs.dataset_inputs
        assert (dataset_input.dataset.name, dataset_input.dataset.digest, dataset_input.dataset.source) == (
            "noise train",
            "da" * 18,
            "noise==1.0",
        )
        assert [(tag.key, tag.value) for tag in dataset_input.tags] == [("mlflow.data.context", "training")]


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("create_run", 2), ("log_batch", 1), ("log_batch", 2), ("log_inputs", 2), ("log_batch", 6), ("log_image", 2),
        ("set_tag", 1), ("set_terminated", 1), ("set_terminated", 2),
    ],
)  # fmt: skip
def test_a_restoration_that_was_cut_off_is_completed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    monkeypatch.setattr("huebands.registry.runs._BATCH", 25)
    restored = ("huebands", RUN, history(6), {epoch: picture(epoch) for epoch in (1, 6)})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, method, call)
        restore_run(*restored)
    assert find_run("huebands", RUN["weights_sha256"]) is None
    run_id = restore_run(*restored)
    experiment = client().get_experiment_by_name("huebands").experiment_id
    runs = client().search_runs([experiment])
    assert {run.info.run_id for run in runs} == {run_id, parent_of(run_id).info.run_id} and len(runs) == 2
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.params == {"train.epochs": "500", "model.objective.lambda_huber": "100.0"}
        assert len(run.inputs.dataset_inputs) == 1
    for term in TERMS:
        assert points(run_id, term) == [(row["epoch"], row[term]) for row in history(6)]
    pictures = [item for item in client().list_artifacts(run_id, "images") if item.path.endswith(".png")]
    assert len(pictures) == 2
    assert find_run("huebands", RUN["weights_sha256"]) == run_id


def test_a_restored_run_has_every_point_at_its_time(checkout: Path) -> None:
    rows = history(500)
    run_id = restore_run("huebands", RUN, rows, {epoch: picture(epoch) for epoch in (1, 500)})
    began = round(datetime.fromisoformat(STARTED).timestamp() * 1000)
    for term in TERMS:
        points = sorted(client().get_metric_history(run_id, term), key=lambda metric: metric.step)
        assert [metric.value for metric in points] == [row[term] for row in rows], term
        assert [metric.step for metric in points] == list(range(1, 501)), term
        assert [metric.timestamp for metric in points] == [began + 2500 * step for step in range(1, 501)], term
    stored = client().get_run(run_id)
    assert (stored.info.start_time, stored.info.end_time) == (began, began + 500 * 2500)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"train.epochs": "500", "model.objective.lambda_huber": "100.0"}
    assert stored.data.tags["huebands.restored"] == "True"
    steps = {Path(item.path).name.split("+")[2] for item in client().list_artifacts(run_id, "images")}
    assert steps == {"1", "500"}


def test_a_live_run_that_is_completed_gets_the_tags_that_it_lacks(checkout: Path) -> None:
    tags = {"precision": "bfloat16", "collapse": "the discriminator collapsed in epoch 3"}
    live = TrainingRun.start(RUN["name"], "huebands", RUN["params"], RUN["lineage"], started_at=STARTED)
    assert restore_run("huebands", RUN | {"lineage": RUN["lineage"] | tags}, history(3), {}) == live.run_id
    for run in (client().get_run(live.run_id), parent_of(live.run_id)):
        assert {key: run.data.tags[f"huebands.{key}"] for key in tags} == tags
        assert not {"huebands.restored", "huebands.restores"} & run.data.tags.keys()


def test_a_run_is_found_by_its_weights(checkout: Path) -> None:
    assert find_run("huebands", RUN["weights_sha256"]) is None
    run_id = restore_run("huebands", RUN, history(2), {})
    assert find_run("huebands", RUN["weights_sha256"]) == run_id
    assert find_run("huebands", "cd" * 32) is None
