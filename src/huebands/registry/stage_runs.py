"""The stages beside the training as MLflow runs, made of what the stages reported."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import pyarrow.parquet as pq
from mlflow.entities import Run

from huebands.colorize.params import CalibrateParams
from huebands.data.params import DataParams
from huebands.models.parameters import flatten
from huebands.package.lineage import Dataset, dataset, git_commit
from huebands.package.schema import CALIBRATION, CERTIFICATE, DENSITY, HINTS_CALIBRATION
from huebands.params import EvaluateParams, Params
from huebands.registry import logged_models
from huebands.registry.connection import TrackingError, open_client, store_errors
from huebands.registry.reports import HISTORY, METRICS, StageFolders, count_rows, read_history, read_report
from huebands.registry.runs import (
    DATA,
    PACKAGE,
    PARENT_TAG,
    STAGE_TAG,
    FinishedRun,
    child_name,
    log_datasets,
    log_figures,
    log_finished,
)

INDEX, SUMMARY = "index.parquet", "summary.json"  # of data/raw and of reports/validate


def runs_of_stages(
    settings: Params, folders: StageFolders, data_sha256: str, package_sha256: str, distribution_sha256: str
) -> list[FinishedRun]:
    """What made the data, the fit of the colour density, the evaluation and the calibration of a package.

    Args:
        settings: settings of the pipeline.
        folders: folders of the stages.
        data_sha256: hash of the prepared dataset.
        package_sha256: hash of the package.
        distribution_sha256: hash of its density.

    Raises:
        FileNotFoundError: when a report is missing.
        TrackingError: when the fit's history has no epoch.
    """
    tags = {"git_commit": git_commit(), DATA: data_sha256, PACKAGE: package_sha256}
    evaluated = [dataset(settings.data, data_sha256, "test", "evaluation")]
    calibrated = [
        dataset(settings.data, data_sha256, split, context)
        for split, context in (("val", "validation"), ("calibration", "calibration"), ("test", "evaluation"))
    ]
    names = (CERTIFICATE, CALIBRATION[1], HINTS_CALIBRATION[1])
    certificate = [folders.calibration / name for name in names if (folders.calibration / name).exists()]
    return [
        *data_runs(settings, folders, data_sha256),
        _density_run(settings.data, folders, distribution_sha256),
        _reported_run("evaluate", settings.evaluate, folders.evaluate, tags, evaluated),
        _reported_run("calibrate", settings.calibrate, folders.calibrate, tags, calibrated, certificate),
    ]


@store_errors("the logging of the stages")
def log_stages(
    run_id: str, stages: Sequence[FinishedRun], metrics: Mapping[str, float], model_id: str | None = None
) -> None:
    """Log the stages beside a training, each as a child of the training's pipeline run.

    A stage that is logged stays as it is; one whose logging was cut off is logged again.

    Args:
        run_id: ID of the training's run.
        stages: stages that made what it used, or that used its weights.
        metrics: of the pipeline, for its run and for the model; "test.psnr" is of the dataset of the split test.
        model_id: ID of the logged model of the package that they led to; None: there is none.

    Raises:
        TrackingError: like `log_runs`.
    """
    client = open_client()
    run = client.get_run(run_id)
    parent = client.get_run(run.data.tags.get(PARENT_TAG, run_id))
    for stage in stages:
        _log_once(client, parent, stage, model_id if stage.identity == PACKAGE else None)
    datasets = list({dataset.name: dataset for stage in stages for dataset in stage.datasets}.values())
    log_datasets(client, parent.info.run_id, datasets)
    if model_id is not None:
        logged_models.link_run(client, parent.info.run_id, model_id)
        logged_models.link_figures(client, parent.info.run_id, model_id, metrics, datasets)
    log_figures(client, parent.info.run_id, metrics)


def _log_once(client: mlflow.MlflowClient, parent: Run, stage: FinishedRun, model_id: str | None) -> None:
    """Log a stage below its pipeline, unless it is there already.

    Another registration may do the same at this moment. So a run is deleted only where a finished one stands for it. A
    registration that loses its run goes on with that one. Of several finished ones all registrations keep the first.
    """
    pipeline = parent.info.run_name
    named = replace(stage, name=child_name(stage.name, pipeline), tags={**stage.tags, "stage": stage.name})
    if not _finished(_runs_of(client, parent, stage)):
        try:
            log_finished(client, parent.info.experiment_id, named, parent.info.run_id, model_id)
        except mlflow.MlflowException:
            if not _finished(_runs_of(client, parent, stage)):
                raise
    runs = _runs_of(client, parent, stage)
    if finished := _finished(runs):
        for other in runs:
            if other.info.run_id != finished[0].info.run_id:
                client.delete_run(other.info.run_id)


def _runs_of(client: mlflow.MlflowClient, parent: Run, stage: FinishedRun) -> list[Run]:
    """The runs of a stage and its identity below a pipeline, in an order that is the same for everybody."""
    query = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
    children = client.search_runs([parent.info.experiment_id], query, order_by=["attributes.start_time ASC"])
    tag, identity = f"huebands.{stage.identity}", str(stage.tags[stage.identity])
    return [
        child
        for child in children
        if _stage_of(child, parent.info.run_name) == stage.name and child.data.tags.get(tag) == identity
    ]


def _finished(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.info.status == "FINISHED"]


def _stage_of(run: Run, pipeline: str) -> str:
    """The stage whose run it is; earlier versions wrote it into the name alone."""
    stage: str = run.data.tags.get(STAGE_TAG, run.info.run_name.removeprefix(f"{pipeline}: "))
    return stage


def final_figures(
    evaluation: Mapping[str, Any], certificate: Mapping[str, Any], validation: Mapping[str, float], alpha: float
) -> dict[str, float]:
    """The figures of a pipeline's run.

    Args:
        evaluation: metrics.json of the evaluation: {metric: {"model": value, ...}}.
        certificate: certificate of the calibration. Figures of the bands that keep the promise in each group of pixels
            end in ".grouped".
        validation: means on the validation split.
        alpha: alpha of the bands.
    """
    figures = {
        f"test.{key}": float(metric["model"])
        for key, metric in evaluation.items()
        if isinstance(metric, dict) and metric.get("model") is not None
    }
    for section, ending in (("curve", ""), ("grouped", ".grouped")):
        for row in certificate.get(section, []):
            if abs(row["alpha"] - alpha) < 1e-9:
                figures |= {f"test.{key}.{row['mode']}{ending}": float(row[key]) for key in ("coverage", "width")}
    return figures | {f"val.{key}": value for key, value in validation.items()}


def data_runs(settings: Params, folders: StageFolders, data_sha256: str) -> list[FinishedRun]:
    """The stages ingest, prepare and validate, with their counts; raises like `runs_of_stages`."""
    index, summary = folders.raw / INDEX, folders.validate / SUMMARY
    if not index.is_file():
        raise FileNotFoundError(f"{index}: not found; `dvc repro` makes it")
    found = read_report(summary)
    photos = {("photos" if split == "all" else f"photos.{split}"): count for split, count in found["photos"].items()}
    suites = found["suites"].values()
    tags = {"git_commit": git_commit(), DATA: data_sha256}
    rejected, aside = folders.raw / "rejected.csv", folders.prepared / "set_aside.csv"
    return [
        FinishedRun(
            name="ingest",
            params={"data": settings.data.name, "sources": dataset(settings.data, "", "", "").source},
            metrics={"photos": pq.read_metadata(index).num_rows, "left_out": count_rows(rejected)},
            tags=tags | {"index_sha256": hashlib.sha256(index.read_bytes()).hexdigest()},
            identity=DATA,
            reports=[rejected],
        ),
        FinishedRun(
            name="prepare",
            params=flatten(asdict(settings.prepare)),
            metrics={**photos, "groups": found["groups"], "set_aside": count_rows(aside)},
            tags=tags,
            identity=DATA,
            reports=[aside],
        ),
        FinishedRun(
            name="validate",
            params=flatten(asdict(settings.validate)),
            metrics={
                "expectations": sum(suite["evaluated"] for suite in suites),
                "expectations_met": sum(suite["successful"] for suite in suites),
                "L_mean": found["L_mean"]["mean"],
                "chroma_mean": found["chroma_mean"]["mean"],
            },
            tags=tags,
            identity=DATA,
            reports=[summary],
        ),
    ]


def _density_run(data: DataParams, folders: StageFolders, distribution_sha256: str) -> FinishedRun:
    """The fit, which has a lineage of its own: one fit serves many packages."""
    description = folders.density / DENSITY[1]
    lineage, history = read_report(description)["lineage"], read_history(folders.fit)
    if not history:
        raise TrackingError(
            f"{folders.fit / HISTORY}: has no epoch of the fit; take the file from where the density was fitted, or fit"
            " anew with `dvc repro --force fit-density`"
        )
    return FinishedRun(
        name="fit-density",
        params=flatten(lineage["params"]),
        metrics={"best_val": min(row["val"] for row in history)},
        tags={
            "git_commit": lineage["git_commit"],
            DATA: lineage["data_sha256"],
            "distribution_sha256": distribution_sha256,
        },
        identity="distribution_sha256",
        datasets=[
            dataset(data, lineage["data_sha256"], split, context)
            for split, context in (("train", "training"), ("val", "validation"))
        ],
        reports=[folders.fit / HISTORY, description],
        history=history,
    )


def _reported_run(
    name: str,
    params: EvaluateParams | CalibrateParams,
    report: Path,
    tags: Mapping[str, str],
    datasets: Sequence[Dataset],
    further_files: Sequence[Path] = (),
) -> FinishedRun:
    """A stage whose folder holds metrics.json and other files."""
    metrics = flatten(read_report(report / METRICS))
    return FinishedRun(
        name=name,
        params=asdict(params),
        # A source may be a folder of any name, and MLflow allows some characters only.
        metrics={
            re.sub(r"[^\w./ -]", "_", key): float(value)
            for key, value in metrics.items()
            if isinstance(value, int | float)
        },
        tags=tags,
        datasets=datasets,
        reports=[*(path for path in sorted(report.iterdir()) if path.is_file()), *further_files],
    )
