"""Runs in MLflow that are logged once their results are there: of stages, of comparisons, of benchmarks."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow

from huebands.package.lineage import Dataset
from huebands.registry.connection import experiment_id_of, open_client, prefixed, store_errors
from huebands.registry.time_limits import asked_once, long_answers

PARENT_TAG = "mlflow.parentRunId"
STAGE_TAG = "huebands.stage"
PACKAGE, DATA = "package_sha256", "data_sha256"  # the identities of runs that used a package, that made the data
_BATCH = 1000  # metrics in one request: MLflow's limit
DIGEST = 36  # characters of a dataset's digest: MLflow's limit


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that is logged once its results are there.

    Attributes:
        name: shown to readers.
        params: few, by flat name.
        metrics: final figures.
        tags: their names get the prefix `huebands.`.
        identity: name of the tag that distinguishes it from other runs of its name.
        datasets: datasets that it used.
        reports: files, logged under `reports/`.
        history: one row an epoch, with `epoch` and figures.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, Any]
    identity: str = PACKAGE
    datasets: Sequence[Dataset] = ()
    reports: Sequence[Path] = ()
    history: Sequence[Mapping[str, float]] = ()


@store_errors("the logging of the runs")
def log_runs(experiment: str, parent: FinishedRun, children: Sequence[FinishedRun]) -> str:
    """Log a run and its children, all finished.

    Returns:
        The parent's id.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    client = open_client()
    experiment_id = experiment_id_of(client, experiment)
    parent_id = log_finished(client, experiment_id, parent)
    for child in children:
        log_finished(client, experiment_id, child, parent_id)
    return parent_id


def short_name(name: str) -> str:
    """The name of a pipeline on MLflow's pages, whose columns are narrow: that of its experiment, if it has one.

    Args:
        name: of a training, such as "paintings unet cgan 500 epochs (no-chroma)"; parameters tell what is left out.
    """
    experiment = re.fullmatch(r".* \((.+)\)", name)
    return experiment[1] if experiment else name


def child_name(stage: str, pipeline: str) -> str:
    """The name of a stage's run, where the column is narrow too, so that it begins with the stage."""
    return f"{stage} ({pipeline})"


def create_run(
    client: mlflow.MlflowClient,
    experiment_id: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    datasets: Sequence[Dataset],
    parent_id: str | None = None,
    started_at: int | None = None,
) -> str:
    """Create a run, log its parameters and datasets, and give its id."""
    tags = {**tags, **({} if parent_id is None else {PARENT_TAG: parent_id})}
    with asked_once():
        run_id: str = client.create_run(experiment_id, start_time=started_at, tags=tags, run_name=name).info.run_id
    describe_run(client, run_id, params, datasets)
    return run_id


def describe_run(
    client: mlflow.MlflowClient,
    run_id: str,
    params: Mapping[str, Any],
    datasets: Sequence[Dataset],
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log parameters, datasets and tags; doing so again changes nothing."""
    client.log_batch(
        run_id,
        params=[mlflow.entities.Param(key, str(value)) for key, value in params.items()],
        tags=[mlflow.entities.RunTag(key, value) for key, value in (tags or {}).items()],
    )
    log_datasets(client, run_id, datasets)


def log_datasets(client: mlflow.MlflowClient, run_id: str, datasets: Sequence[Dataset]) -> None:
    """Log datasets that a run used; doing so again changes nothing."""
    inputs = [
        mlflow.entities.DatasetInput(
            mlflow.entities.Dataset(dataset.name, dataset.digest[:DIGEST], "local", dataset.source),
            [mlflow.entities.InputTag("mlflow.data.context", dataset.context)],
        )
        for dataset in datasets
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def log_finished(
    client: mlflow.MlflowClient,
    experiment_id: str,
    run: FinishedRun,
    parent_id: str | None = None,
    model_id: str | None = None,
) -> str:
    """Log a finished run, which used a logged model if one is named, and give its id."""
    run_id = create_run(client, experiment_id, run.name, run.params, prefixed(run.tags), run.datasets, parent_id)
    if model_id is not None:
        client.log_inputs(run_id, models=[mlflow.entities.LoggedModelInput(model_id)])
    log_epochs(client, run_id, run.history)
    log_figures(client, run_id, run.metrics)
    with long_answers():
        for report in run.reports:
            client.log_artifact(run_id, str(report), "reports")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def log_figures(client: mlflow.MlflowClient, run_id: str, figures: Mapping[str, float]) -> None:
    """Log final figures; those that the run has already are left out."""
    timestamp, logged = now_ms(), client.get_run(run_id).data.metrics
    changed = {key: float(value) for key, value in figures.items() if logged.get(key) != float(value)}
    client.log_batch(
        run_id, metrics=[mlflow.entities.Metric(key, value, timestamp, 0) for key, value in changed.items()]
    )


def log_epochs(
    client: mlflow.MlflowClient, run_id: str, rows: Iterable[Mapping[str, Any]], started: int | None = None
) -> None:
    """Log rows of `epoch` and figures; an epoch is logged completely or not at all.

    Args:
        client: client of the store.
        run_id: the run.
        rows: in order of their epochs; empty values are skipped.
        started: start of the run in milliseconds, if the rows have `seconds` since then; None: their time is now.
    """
    now, batch = now_ms(), list[mlflow.entities.Metric]()
    for row in rows:
        moment = now if started is None else started + round(float(row["seconds"]) * 1000)
        metrics = [
            mlflow.entities.Metric(key, float(value), moment, int(row["epoch"]))
            for key, value in row.items()
            if key != "epoch" and value is not None and not math.isnan(value)
        ]
        if len(batch) + len(metrics) > _BATCH:
            client.log_batch(run_id, metrics=batch)
            batch = []
        batch += metrics
    log_points(client, run_id, batch)


def log_points(client: mlflow.MlflowClient, run_id: str, points: Sequence[mlflow.entities.Metric]) -> None:
    """Log points of metrics; doing so again changes nothing."""
    for first in range(0, len(points), _BATCH):
        client.log_batch(run_id, metrics=list(points[first : first + _BATCH]))


def now_ms() -> int:
    """The time as MLflow takes it."""
    return int(datetime.now().timestamp() * 1000)
