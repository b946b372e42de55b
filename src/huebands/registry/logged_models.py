"""Logged models: a package as MLflow shows it among the models of an experiment, with figures and their datasets."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from huebands.files import atomic
from huebands.package.lineage import Dataset
from huebands.registry.runs import DIGEST, PARENT_TAG, now_ms
from huebands.registry.time_limits import asked_once, long_answers

_SCHEME = "models:/"


def address_of(model_id: str) -> str:
    """The address by which a version names its logged model."""
    return f"{_SCHEME}{model_id}"


def id_of(source: str) -> str | None:
    """The logged model that a version names as its source; None where it names the files of a run."""
    return source.removeprefix(_SCHEME) if source.startswith(_SCHEME) else None


def find_or_log(
    client: mlflow.MlflowClient,
    run_id: str,
    package: Path,
    identity: tuple[str, str],
    tags: Mapping[str, str],
) -> str:
    """Find the logged model of a package, or log it; one whose logging was cut off is logged anew.

    Args:
        client: client of the store.
        run_id: ID of the training's run, whose parameters the model has too; it has the name of the pipeline's run.
        package: folder.
        identity: name of the tag that distinguishes it from other models of its experiment, and its value: the hash of
            the package.
        tags: of the model.

    Returns:
        The ID of the model.
    """
    run = client.get_run(run_id)
    experiment_id, (tag, package_sha256) = run.info.experiment_id, identity
    for model in client.search_logged_models([experiment_id], f"tags.`{tag}` = '{package_sha256}'"):
        if model.status == LoggedModelStatus.READY:
            return str(model.model_id)
        client.delete_logged_model(model.model_id)
    all_tags = {**tags, tag: package_sha256}
    pipeline = client.get_run(run.data.tags.get(PARENT_TAG, run_id))
    name = re.sub(r"[^\w +-]", "_", pipeline.info.run_name)  # MLflow allows some characters only
    with asked_once():
        model = client.create_logged_model(experiment_id, name, run_id, all_tags, run.data.params, "colorizer")
    _log_files(client, model, package, package_sha256)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _log_files(client: mlflow.MlflowClient, model: LoggedModel, package: Path, package_sha256: str) -> None:
    from huebands.registry import pyfunc  # MLflow's part of it takes seconds to import

    entry = Model(
        artifact_path=model.artifact_location,
        run_id=model.source_run_id,
        model_uuid=model.model_id,
        model_id=model.model_id,
    )
    with tempfile.TemporaryDirectory(prefix="huebands-") as folder:
        named = Path(folder) / "package"  # MLflow keeps the name of the folder
        atomic.copy_folder(package, named)
        pyfunc.save(named, package_sha256, Path(folder) / "model", entry)
        with long_answers():
            client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))


def link_figures(
    client: mlflow.MlflowClient, run_id: str, model_id: str, figures: Mapping[str, float], datasets: Sequence[Dataset]
) -> None:
    """Log final figures of a run as those of a model too, each with its dataset; those that it has are left out.

    Args:
        client: client of the store.
        run_id: the run.
        model_id: the model.
        figures: "test.psnr" is of the dataset of the split test, if there is one.
        datasets: datasets that the run used.
    """
    by_split = {dataset.split: dataset for dataset in datasets}
    logged = {(metric.key, metric.value) for metric in client.get_logged_model(model_id).metrics or ()}
    metrics = []
    for key, value in figures.items():
        dataset = by_split.get(key.partition(".")[0])
        if (key, float(value)) not in logged:
            named = {} if dataset is None else {"dataset_name": dataset.name, "dataset_digest": dataset.digest[:DIGEST]}
            metrics.append(Metric(key, float(value), now_ms(), 0, model_id=model_id, run_id=run_id, **named))
    client.log_batch(run_id, metrics=metrics)


def link_run(client: mlflow.MlflowClient, run_id: str, model_id: str) -> None:
    """Show a model on the page of a run that made it; doing so again changes nothing."""
    outputs = client.get_run(run_id).outputs
    if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
        with asked_once():  # MLflow refuses the same output a second time
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def name_version(client: mlflow.MlflowClient, model_id: str, name: str, version: int) -> None:
    """Show on a model's page that it is this version of a registered model; doing so again changes nothing."""
    known = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if not any((entry["name"], int(entry["version"])) == (name, version) for entry in known):
        tag = json.dumps([*known, {"name": name, "version": version}])
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: tag})
