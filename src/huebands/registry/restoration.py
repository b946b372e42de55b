"""Finds the MLflow run that trained given weights, or restores it from the report of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Run
from numpy.typing import NDArray

from huebands.package.lineage import Dataset
from huebands.photos.epoch_sheet import read_sheet
from huebands.registry.connection import TrackingError, open_client, store_errors
from huebands.registry.reports import PICTURES, RUN, read_history, read_report
from huebands.registry.training_run import RESTORES_TAG, WEIGHTS_TAG, TrainingRun


@store_errors("the search for the training's run")
def find_run(experiment: str, weights_sha256: str) -> str | None:
    """Find the first finished run that made these weights.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    client = open_client()
    query = f"tags.`{WEIGHTS_TAG}` = '{weights_sha256}' AND attributes.status = 'FINISHED'"
    runs = _search(client, experiment, query)
    return runs[0].info.run_id if runs else None


def find_or_restore_run(experiment: str, weights_sha256: str, report: Path) -> tuple[str, str]:
    """Find the run that trained the weights, or restore it from its report.

    A run that the training could not complete, because the store did not answer, is completed.

    Args:
        experiment: name of the MLflow experiment.
        weights_sha256: hash of generator.safetensors.
        report: folder with run.json, history.csv and pictures.png, as the stage train fills it; a released training's
            report has no pictures.

    Returns:
        The id of the run, and its origin in words.

    Raises:
        TrackingError: when the report is of another training or its pictures cannot be read, or like `find_run`.
        FileNotFoundError: when the report is incomplete.
    """
    run_id = find_run(experiment, weights_sha256)
    if run_id is not None:
        return run_id, "trained it"
    record = read_report(report / RUN)
    if record["weights_sha256"] != weights_sha256:
        raise TrackingError(
            f"{report / RUN}: weights_sha256 (={record['weights_sha256']!r}) must be {weights_sha256!r}, that of the"
            " trained package; take both from one training, or train with `dvc repro --force train`"
        )
    history = read_history(report)
    pictures = _read_pictures(report / PICTURES)
    run_id = restore_run(experiment, record, history, pictures)
    return run_id, f"trained it, restored from {report}: {len(history)} epochs, {len(pictures)} pictures"


def restore_released_runs(experiment: str, folder: Path) -> list[str]:
    """Restore the trainings of released packages; gives a line for each, with its run.

    Args:
        experiment: name of the MLflow experiment.
        folder: with a training's report for each released package.
    """
    lines = []
    for record in sorted(folder.glob(f"*/{RUN}")):
        run_id, _ = find_or_restore_run(experiment, read_report(record)["weights_sha256"], record.parent)
        lines.append(f"run {run_id} trained the released {record.parent.name}")
    return lines


def restore_run(
    experiment: str,
    record: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    pictures: Mapping[int, NDArray[np.uint8]],
) -> str:
    """Write a finished run again from its record, with its times.

    A run of the same start that did not finish is completed: of a restoration that was cut off, or of the training.

    Args:
        experiment: name of the MLflow experiment.
        record: name, started_at, weights_sha256, lineage, params and datasets, as in run.json.
        history: one row an epoch.
        pictures: sample grids by epoch, uint8 (H, W, 3).

    Returns:
        The id of the run.
    """
    weights_sha256, datasets = record["weights_sha256"], [Dataset(**values) for values in record["datasets"]]
    run = TrainingRun.start(
        record["name"],
        experiment,
        record["params"],
        {**record["lineage"], "restored": True, RESTORES_TAG.removeprefix("huebands."): weights_sha256},
        datasets,
        started_at=record["started_at"],
    )
    # A live run gets some of its tags while it runs.
    run.describe(record["params"], datasets, record["lineage"])
    run.log_history(history)
    for epoch, picture in pictures.items():
        run.log_picture(picture, epoch)
    run.finish(weights_sha256, seconds=max((float(row["seconds"]) for row in history), default=0.0))
    return run.run_id


def _read_pictures(sheet: Path) -> dict[int, NDArray[np.uint8]]:
    try:
        return read_sheet(sheet) if sheet.exists() else {}
    except ValueError as error:
        raise TrackingError(str(error)) from error


def _search(client: mlflow.MlflowClient, experiment: str, query: str) -> list[Run]:
    """Search the runs of an experiment, the oldest first; none where there is no such experiment."""
    entity = client.get_experiment_by_name(experiment)
    if entity is None:
        return []
    return list(client.search_runs([entity.experiment_id], query, order_by=["attributes.start_time ASC"]))
