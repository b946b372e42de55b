"""Finished runs: stages are siblings of their training, candidates are children of their comparison."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from huebands.package.lineage import Dataset
from huebands.photos.write import write_png
from huebands.registry.runs import FinishedRun, log_runs
from huebands.registry.stage_runs import log_stages
from huebands.registry.training_run import TrainingRun
from mlflow_store import (
    COMMIT,
    DATASET,
    children_of,
    client,
    cut_off,
    finished_run,
    parent_of,
    picture,
    points,
    register,
    stage_run,
)

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_stages_are_siblings_of_their_training_and_the_parent_has_the_figures(checkout: Path, tmp_path: Path) -> None:
    run_id = finished_run()
    report = tmp_path / "sheet.png"
    write_png(report, picture(1))
    stage = FinishedRun(
        name="evaluate",
        params={"seed": 0},
        metrics={"psnr.model": 24.0},
        tags={"git_commit": COMMIT, "package_sha256": "11" * 32},
        datasets=[Dataset("noise test", "da" * 32, "noise==1.0", "evaluation")],
        reports=[report],
    )
    log_stages(run_id, [stage], {"test.psnr": 24.0})
    parent = parent_of(run_id)
    assert parent.data.metrics == {"test.psnr": 24.0}
    names = {run.info.run_name: run for run in children_of(parent.info.run_id)}
    assert set(names) == {"train (cgan)", "evaluate (cgan)"}
    logged = names["evaluate (cgan)"]
    assert logged.info.status == "FINISHED" and logged.data.metrics == {"psnr.model": 24.0}
    assert logged.inputs.dataset_inputs[0].dataset.name == "noise test"
    assert [item.path for item in client().list_artifacts(logged.info.run_id, "reports")] == [f"reports/{report.name}"]


def test_stages_are_logged_once_for_each_package(checkout: Path) -> None:
    run_id = finished_run()
    parent_id = parent_of(run_id).info.run_id
    for _ in range(2):
        log_stages(run_id, [stage_run("evaluate"), stage_run("calibrate")], {"x": 1.0})
    log_stages(run_id, [stage_run("calibrate", "22")], {"x": 2.0})
    names = sorted(run.info.run_name for run in children_of(parent_id))
    assert names == ["calibrate (cgan)", "calibrate (cgan)", "evaluate (cgan)", "train (cgan)"]
    assert [metric.value for metric in client().get_metric_history(parent_id, "x")] == [1.0, 2.0]


def test_the_curves_of_a_stage_are_logged_by_epoch(checkout: Path) -> None:
    run_id = finished_run()
    rows = [{"epoch": epoch, "train": 1 / epoch, "val": 2 / epoch} for epoch in range(1, 4)]
    log_stages(run_id, [stage_run("fit-density", history=rows)], {})
    logged = next(run for run in children_of(parent_of(run_id).info.run_id) if "fit-density" in run.info.run_name)
    for term in ("train", "val"):
        assert points(logged.info.run_id, term) == [(row["epoch"], row[term]) for row in rows]


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("create_run", 1),
        ("log_batch", 1),
        ("log_inputs", 1),
        ("log_artifact", 1),
        ("set_terminated", 1),
        ("create_run", 2),
    ],
)
def test_stages_that_were_cut_off_are_logged_again(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    run_id = finished_run()
    parent_id = parent_of(run_id).info.run_id
    report = tmp_path / "sheet.png"
    write_png(report, picture(1))
    stages = [stage_run(name, reports=[report], datasets=[Dataset(**DATASET)]) for name in ("evaluate", "calibrate")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, method, call)
        log_stages(run_id, stages, {"x": 1.0})
    log_stages(run_id, stages, {"x": 1.0})
    runs = {run.info.run_name: run for run in children_of(parent_id)}
    assert len(children_of(parent_id)) == len(runs) == 3
    for name in ("evaluate (cgan)", "calibrate (cgan)"):
        assert runs[name].info.status == "FINISHED" and runs[name].data.metrics == {"psnr": 1.0}
        assert len(runs[name].inputs.dataset_inputs) == 1
        assert len(client().list_artifacts(runs[name].info.run_id, "reports")) == 1
    assert client().get_run(parent_id).data.metrics == {"x": 1.0}


@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_terminated", "delete_run"])
def test_two_registrations_at_once_log_each_stage_once_and_lose_none(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The other one comes and goes while this one is at a request."""
    run_id, stages, calls = finished_run(), [stage_run("evaluate"), stage_run("calibrate")], list[str]()
    original = getattr(mlflow.MlflowClient, method)
    if method == "delete_run":  # which happens only after a registration that was cut off
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            cut_off(patch, "log_batch", 2)
            log_stages(run_id, stages, {"x": 1.0})

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(method)
        if len(calls) == 1:
            log_stages(run_id, stages, {"x": 1.0})
        return original(*arguments, **options)

    monkeypatch.setattr(mlflow.MlflowClient, method, interrupted)
    log_stages(run_id, stages, {"x": 1.0})
    children = children_of(parent_of(run_id).info.run_id)
    assert sorted(run.info.run_name for run in children) == ["calibrate (cgan)", "evaluate (cgan)", "train (cgan)"]
    assert {run.info.status for run in children} == {"FINISHED"} and len(calls) > 1
    assert [run.data.metrics for run in children if "train" not in run.info.run_name] == 2 * [{"psnr": 1.0}]


def test_stages_of_a_training_without_a_pipeline_become_its_children(checkout: Path) -> None:
    lone = client().create_run(client().create_experiment("old"))
    log_stages(lone.info.run_id, [stage_run("evaluate")], {"x": 1.0})
    assert len(children_of(lone.info.run_id)) == 1
    assert client().get_run(lone.info.run_id).data.metrics == {"x": 1.0}


def test_a_comparison_has_a_run_for_each_candidate_below_one_for_all(checkout: Path) -> None:
    candidates = [FinishedRun(name=name, params={"kind": name}, metrics={"psnr": 1.0}, tags={}) for name in ("a", "b")]
    parent_id = log_runs("compare", FinishedRun(name="two", params={}, metrics={}, tags={}), candidates)
    assert {run.data.params["kind"] for run in children_of(parent_id)} == {"a", "b"}
    assert client().get_run(parent_id).info.status == "FINISHED"


def test_figures_are_shown_with_the_model_and_the_dataset_that_they_are_of(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    model_id = register(package, run_id=run_id).model_id
    splits = {"test": "evaluation", "val": "validation"}
    datasets = [Dataset(f"noise {split}", "da" * 32, "noise==1.0", context) for split, context in splits.items()]
    figures = {"test.psnr": 24.0, "val.psnr": 23.0, "other": 1.0}
    for _ in range(2):
        log_stages(run_id, [stage_run("evaluate", datasets=datasets)], figures, model_id)
    parent = parent_of(run_id)
    shown = {metric.key: metric for metric in client().get_logged_model(model_id).metrics}
    assert {key: (metric.value, metric.dataset_name) for key, metric in shown.items()} == {
        "test.psnr": (24.0, "noise test"),
        "val.psnr": (23.0, "noise val"),
        "other": (1.0, None),
    }
    assert {metric.run_id for metric in shown.values()} == {parent.info.run_id}
    used = {entry.dataset.name: entry.dataset.digest for entry in parent.inputs.dataset_inputs}
    assert used["noise test"] == shown["test.psnr"].dataset_digest == "da" * 18
    assert [output.model_id for output in parent.outputs.model_outputs] == [model_id]
    assert [metric.value for metric in client().get_metric_history(parent.info.run_id, "test.psnr")] == [24.0]
    (evaluation,) = (run for run in children_of(parent.info.run_id) if run.info.run_name == "evaluate (cgan)")
    inputs = client().get_run(evaluation.info.run_id).inputs  # a search leaves the models out
    assert [used.model_id for used in inputs.model_inputs] == [model_id]


def test_a_stage_that_an_earlier_version_logged_is_not_logged_again(checkout: Path) -> None:
    run_id = finished_run()
    parent = parent_of(run_id)
    tags = {"mlflow.parentRunId": parent.info.run_id, "huebands.package_sha256": "11"}
    experiment = parent.info.experiment_id
    earlier = client().create_run(experiment, run_name="cgan: evaluate", tags=tags).info.run_id
    client().set_terminated(earlier, "FINISHED")
    log_stages(run_id, [stage_run("evaluate")], {})
    assert {run.info.run_name for run in children_of(parent.info.run_id)} == {"train (cgan)", "cgan: evaluate"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("paintings unet cgan 500 epochs", None), ("paintings unet cgan 500 epochs (sunny-yak)", "sunny-yak")],
)
def test_a_pipeline_is_shown_by_the_name_of_its_experiment(checkout: Path, name: str, shown: str | None) -> None:
    run = TrainingRun.start(name, "huebands", {}, {})
    parent = parent_of(run.run_id)
    assert parent.info.run_name == (shown or name)
    assert client().get_run(run.run_id).info.run_name == f"train ({shown or name})"
    assert parent.data.tags["mlflow.note.content"] == name
