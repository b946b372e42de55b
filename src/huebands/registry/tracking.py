"""Runs, registry and aliases: the only room that imports mlflow.

The store is MLFLOW_TRACKING_URI where that is set, else `mlflow.db` and `mlartifacts/` in the current folder,
or in the checkout whose queued experiment it is.
"""

import atexit
import logging
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from huebands.package.lineage import Dataset
from huebands.photos.read import read_photo
from huebands.registry import local_store

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read while mlflow is imported
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PACKAGE_FOLDER = "package"  # of a run's artifacts
WEIGHTS_TAG = "huebands.weights_sha256"
PACKAGE_TAG = "huebands.package_sha256"
_PARENT_TAG = "mlflow.parentRunId"
_COMMIT_TAG = "mlflow.source.git.commit"
_RESTORES = "restores"  # tag of a restored run: its weights, which also an unfinished one has
_BATCH = 1000  # metrics in one request: MLflow's limit
_DIGEST = 36  # characters of a dataset's digest: MLflow's limit
_SHOWN = 5  # versions that an error lists
# For who waits for a package; a training that lasts hours waits longer.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class TrackingError(RuntimeError):
    """The tracking store does not answer or lacks what was asked for."""

    def __init__(self, message: str) -> None:
        # A store's address can carry a name and a password; what it answers can have lines.
        super().__init__(" ".join(re.sub(r"(//)[^/@\s]*@", r"\1", message).split()))


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that is logged once its results are there.

    Attributes:
        name: for people.
        params: few, by flat name.
        metrics: final figures.
        tags: their names get the prefix `huebands.`.
        identity: of the tags the one that tells it from other runs of its name.
        datasets: that it has used.
        reports: files, logged under `reports/`.
        history: rows of `epoch` and figures, one an epoch.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, Any]
    identity: str = "package_sha256"
    datasets: Sequence[Dataset] = ()
    reports: Sequence[Path] = ()
    history: Sequence[Mapping[str, float]] = ()


class TrainingRun:
    """One MLflow run of a training, new or taken up again, and the run of the pipeline that it is a child of.

    The time of a metric is the run's start plus the row's `seconds`, so that a run restored from its history
    looks like the live one.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        run = client.get_run(run_id)
        self._parent_id: str | None = run.data.tags.get(_PARENT_TAG)  # None: trained before runs were grouped
        self._started: int = run.info.start_time  # milliseconds
        self._logged = _logged_epochs(client, run_id)
        self._monitor: SystemMetricsMonitor | None = None

    @classmethod
    def start(
        cls,
        name: str,
        experiment: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        datasets: Sequence[Dataset] = (),
        run_id: str | None = None,
        started_at: str | None = None,
    ) -> Self:
        """Start a run and its pipeline's, or take up the run `run_id`.

        Where the store no longer holds `run_id`, a warning is logged and a new run starts: pass the whole
        history to `log_history` then. `params` is flat, by dotted name; the names of `tags` get the prefix
        `huebands.`; `started_at` is an ISO time, now if left out.
        """
        client = _client()
        if run_id is not None and _holds(client, run_id):
            run = cls(client, run_id)
            for each in run._both:
                client.update_run(each, status="RUNNING")
            return run
        all_tags = _prefixed(tags)
        if run_id is not None:
            logging.getLogger(__name__).warning("run %s is not in this store: a new run takes its place", run_id)
            all_tags["huebands.resumed_from"] = run_id
        started = None if started_at is None else round(datetime.fromisoformat(started_at).timestamp() * 1000)
        experiment_id = _experiment(client, experiment)
        parent_id = _create_run(client, experiment_id, name, params, all_tags, datasets, started_at=started)
        child = f"{name}: train"
        return cls(client, _create_run(client, experiment_id, child, params, all_tags, datasets, parent_id, started))

    @property
    def _both(self) -> list[str]:
        return [self.run_id] if self._parent_id is None else [self.run_id, self._parent_id]

    def describe(self, params: Mapping[str, Any], datasets: Sequence[Dataset]) -> None:
        """Log parameters and datasets, of which a run that was cut off may lack some."""
        with self._logging():
            for run_id in self._both:
                _describe(self._client, run_id, params, datasets)

    def watch_system(self) -> None:
        """Log the use of processor, memory, disk, network and GPU every ten seconds until the run ends."""
        monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self._client.tracking_uri)
        monitor.start()
        self._monitor = monitor

    @property
    def started_at(self) -> str:
        """ISO time of the run's start, UTC."""
        return datetime.fromtimestamp(self._started / 1000, UTC).isoformat(timespec="milliseconds")

    def log_tag(self, name: str, value: str) -> None:
        """Set the tag `huebands.NAME` on the run and its pipeline's."""
        with self._logging():
            for run_id in self._both:
                self._client.set_tag(run_id, f"huebands.{name}", value)

    def log_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Log rows of `epoch`, `seconds` and figures; epochs logged before and empty values are skipped."""
        new = [row for row in rows if int(row["epoch"]) not in self._logged]
        self._logged |= {int(row["epoch"]) for row in new}
        with self._logging():
            _log_epochs(self._client, self.run_id, new, self._started)

    def log_picture(self, path: Path, epoch: int) -> None:
        """Log a sample grid as step `epoch` of the run's `samples`, unless it is there already."""
        with self._logging():
            logged = {Path(item.path).name for item in self._client.list_artifacts(self.run_id, "images")}
            if not any(name.startswith(f"samples+step+{epoch}+") for name in logged):
                self._client.log_image(self.run_id, read_photo(path), key="samples", step=epoch)

    def finish(self, weights_sha256: str, seconds: float | None = None) -> None:
        """Mark the run as finished with these weights, `seconds` after its start, now if left out."""
        ended = None if seconds is None else self._started + round(seconds * 1000)
        with self._logging():
            self._client.set_tag(self.run_id, WEIGHTS_TAG, weights_sha256)
            self._end("FINISHED", ended)

    def fail(self) -> None:
        """Mark the run as failed; where the store cannot, say so in a warning, for the failure itself is the news."""
        try:
            with self._logging():
                self._end("FAILED")
        except TrackingError as error:
            logging.getLogger(__name__).warning("%s", error)

    def _end(self, status: str, ended: int | None = None) -> None:
        if self._monitor is not None:
            self._monitor.finish()
        # The pipeline's run first: what is cut off between the two is still seen as unfinished.
        for run_id in reversed(self._both):
            self._client.set_terminated(run_id, status, end_time=ended)

    @contextmanager
    def _logging(self) -> Iterator[None]:
        try:
            yield
        except (mlflow.MlflowException, OSError) as error:
            raise TrackingError(
                f"run {self.run_id} cannot be logged to {self._client.tracking_uri}: {error};"
                " start it again when the store answers, and it goes on"
            ) from error


@dataclass(frozen=True)
class RegisteredPackage:
    """One version of a registered model."""

    model_name: str
    version: int
    package_sha256: str | None  # None: registered by other hands

    @property
    def uri(self) -> str:
        """Address for `download_package` and `huebands colorize --model`."""
        return f"models:/{self.model_name}/{self.version}"


@dataclass(frozen=True)
class Registration:
    """What `register_package` did."""

    version: int
    created: bool  # False: this very package was registered before


def find_run(experiment: str, weights_sha256: str) -> str | None:
    """Find the first finished run that made these weights."""
    client = _client()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    query = f"tags.`{WEIGHTS_TAG}` = '{weights_sha256}' AND attributes.status = 'FINISHED'"
    runs = client.search_runs([found.experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
    return runs[0].info.run_id if runs else None


def restore_run(
    experiment: str,
    run_json: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    pictures: Sequence[Path],
) -> str:
    """Write a finished run anew from its record, with the times that it had; one that was cut off is completed.

    `run_json` holds name, started_at, weights_sha256, lineage, params and datasets, as `reports/train/run.json` does;
    `history` has one row an epoch; `pictures` are sample grids called `epoch-0001.png` and so on.
    """
    weights, datasets = run_json["weights_sha256"], [Dataset(**dataset) for dataset in run_json["datasets"]]
    run = TrainingRun.start(
        run_json["name"],
        experiment,
        run_json["params"],
        {**run_json["lineage"], "restored": True, _RESTORES: weights},
        datasets,
        run_id=_cut_off(experiment, weights),
        started_at=run_json["started_at"],
    )
    run.describe(run_json["params"], datasets)
    run.log_history(history)
    for picture in pictures:
        run.log_picture(picture, epoch=int(picture.stem.removeprefix("epoch-")))
    run.finish(weights, seconds=max((float(row["seconds"]) for row in history), default=0.0))
    return run.run_id


def log_runs(experiment: str, parent: FinishedRun, children: Sequence[FinishedRun]) -> str:
    """Log a run and its children, all finished.

    Returns:
        The parent's id.
    """
    client = _client()
    experiment_id = _experiment(client, experiment)
    parent_id = _log_finished(client, experiment_id, parent)
    for child in children:
        _log_finished(client, experiment_id, child, parent_id)
    return parent_id


def log_stages(run_id: str, stages: Sequence[FinishedRun], metrics: Mapping[str, float]) -> None:
    """Log the stages that followed the training `run_id` beside it, and the pipeline's figures to the run of it all.

    What is there already stays as it is; a stage whose logging was cut off is logged anew.
    """
    client = _client()
    run = client.get_run(run_id)
    parent = client.get_run(run.data.tags.get(_PARENT_TAG, run_id))
    children = client.search_runs([run.info.experiment_id], f"tags.`{_PARENT_TAG}` = '{parent.info.run_id}'")
    for stage in stages:
        named = replace(stage, name=f"{parent.info.run_name}: {stage.name}")
        tag, identity = f"huebands.{stage.identity}", str(stage.tags[stage.identity])
        same = [of for of in children if of.info.run_name == named.name and of.data.tags.get(tag) == identity]
        for child in same:
            if child.info.status != "FINISHED":
                client.delete_run(child.info.run_id)
        if all(child.info.status != "FINISHED" for child in same):
            _log_finished(client, run.info.experiment_id, named, parent.info.run_id)
    _log_figures(client, parent.info.run_id, metrics)


def register_package(
    package: Path,
    package_sha256: str,
    model_name: str,
    run_id: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, Any],
) -> Registration:
    """Log a package with its figures to its run and make it a model version, unless it is one already.

    `tags` are the registration's lineage, for run and version; their names get the prefix `huebands.`.
    """
    client = _client()
    try:
        client.create_registered_model(model_name, description="Colorization with conformal bands")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    query = f"name = '{model_name}' AND tags.`{PACKAGE_TAG}` = '{package_sha256}'"
    same = client.search_model_versions(query)
    if same:
        return Registration(min(int(version.version) for version in same), created=False)
    # A run can carry several packages (the same weights calibrated anew): each has its own folder.
    folder = f"{PACKAGE_FOLDER}/{package_sha256[:16]}"
    client.log_artifacts(run_id, str(package), folder)
    all_tags = {**_prefixed(tags), PACKAGE_TAG: package_sha256}
    client.log_batch(run_id, tags=[mlflow.entities.RunTag(key, value) for key, value in all_tags.items()])
    _log_figures(client, run_id, metrics)
    version = client.create_model_version(model_name, f"runs:/{run_id}/{folder}", run_id, tags=all_tags)
    return Registration(int(version.version), created=True)


def champion(model_name: str) -> RegisteredPackage | None:
    """The version that the alias `champion` points at, if any."""
    try:
        version = _client().get_model_version_by_alias(model_name, "champion")
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return RegisteredPackage(model_name, int(version.version), version.tags.get(PACKAGE_TAG))


def set_alias(model_name: str, alias: str, version: int) -> None:
    """Point an alias at a version."""
    _client().set_registered_model_alias(model_name, alias, str(version))


def tag_version(version: RegisteredPackage, tags: Mapping[str, str]) -> None:
    """Tag a version; the names get the prefix `huebands.`, and what a tag held is replaced."""
    client = _client()
    for name, value in tags.items():
        client.set_model_version_tag(version.model_name, str(version.version), f"huebands.{name}", value)


def find_package(uri: str) -> RegisteredPackage:
    """Find the version that `models:/NAME/VERSION` or `models:/NAME@ALIAS` names now.

    Raises:
        TrackingError: when the address is malformed, or the store does not answer or lacks the version.
    """
    version = _find_version(uri)
    return RegisteredPackage(version.name, int(version.version), version.tags.get(PACKAGE_TAG))


def download_package(uri: str) -> Path:
    """Copy the package behind `models:/NAME/VERSION` or `models:/NAME@ALIAS` from the registry.

    Returns:
        The folder of the package, which is removed when the program ends. It is what was registered, to the byte.

    Raises:
        TrackingError: when the address is malformed, or the store does not answer, lacks the version or its files, or
            holds others than were registered.
    """
    version = _find_version(uri)
    store, registered = _store(), version.tags.get(PACKAGE_TAG)
    if registered is None:
        raise TrackingError(
            f"{uri}: version {version.version} in {store} has no tag {PACKAGE_TAG}, so nothing says which files belong"
            " to it; register the package with `dvc repro`"
        )
    folder = tempfile.mkdtemp(prefix="huebands-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with _impatient():
            package = Path(mlflow.artifacts.download_artifacts(version.source, tracking_uri=store, dst_path=folder))
    except (mlflow.MlflowException, OSError) as error:
        raise TrackingError(
            f"{uri}: the registry {store} holds version {version.version} but not its files"
            f" {version.source} ({error}); move {local_store.ARTIFACTS}/ along with {local_store.DATABASE}"
        ) from error
    _check_files(f"{uri}: the files of version {version.version} in {store}", package, registered)
    return package


def _find_version(uri: str) -> "mlflow.entities.model_registry.ModelVersion":
    parts = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))", uri)
    if parts is None:
        raise TrackingError(f"{uri}: not a model address; write models:/NAME/VERSION or models:/NAME@ALIAS")
    name, number, alias = parts.groups()
    store = _store()
    home = local_store.folder_of(store)
    if home is not None and not (home / local_store.DATABASE).exists():
        raise TrackingError(
            f"{uri}: no {local_store.DATABASE} in {home}; run in the checkout, set MLFLOW_TRACKING_URI,"
            " or make it with `dvc repro --force --single-item register`"
        )
    with _impatient():
        client = _client()
        try:
            return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        except mlflow.MlflowException as error:
            raise TrackingError(
                f"{uri}: not in the registry {store}: {error.message}; it holds {_holdings(client, name)}"
            ) from error


def _holdings(client: mlflow.MlflowClient, name: str) -> str:
    """What a registry has under a name, for one who asked for something else."""
    try:
        model = client.get_registered_model(name)
        versions = sorted(int(version.version) for version in client.search_model_versions(f"name = '{name}'"))
    except mlflow.MlflowException:
        return f"no model {name!r}"
    if not versions:
        return f"no version of {name!r}; register one with `dvc repro`"
    aliases = "".join(f", {alias} (={version})" for alias, version in sorted(model.aliases.items()))
    return f"version {', '.join(map(str, versions[-_SHOWN:]))} of {name!r}{aliases}"


def _check_files(what: str, package: Path, registered: str) -> None:
    from huebands.package.hashes import hash_package  # it imports torch, which takes seconds

    found = hash_package(package)
    if found != registered:
        raise TrackingError(
            f"{what} are not those that were registered: their sha256 (={found!r}) must be {PACKAGE_TAG}"
            f" (={registered!r}); restore the store from its backup, or name another version"
        )


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a store after seconds, unless the environment says otherwise; MLflow tries for minutes."""
    given = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)


def _store() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store.store_uri(local_store.home(Path.cwd()))


def _client() -> mlflow.MlflowClient:
    store = _store()
    folder = local_store.folder_of(store)
    if folder is not None:
        local_store.rehome(folder)
    try:
        client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
        client.search_experiments(max_results=1)
    except mlflow.MlflowException as error:
        raise TrackingError(
            f"no answer from {store}: {error.message}; start it, or name another store in MLFLOW_TRACKING_URI"
        ) from error
    return client


def _experiment(client: mlflow.MlflowClient, name: str) -> str:
    """Find or create an experiment."""
    found = client.get_experiment_by_name(name)
    if found is None:
        folder = local_store.folder_of(client.tracking_uri)
        place = None if folder is None else local_store.artifact_location(folder, name)
        # The page then opens on training runs, not on traces of language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location=place, tags=kind))
    if found.lifecycle_stage != "active":
        raise TrackingError(f"experiment {name!r} is deleted: `mlflow experiments restore -x {found.experiment_id}`")
    return str(found.experiment_id)


def _create_run(
    client: mlflow.MlflowClient,
    experiment_id: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    datasets: Sequence[Dataset],
    parent_id: str | None = None,
    started_at: int | None = None,
) -> str:
    """Create a run and log what is known of it beforehand; gives its id."""
    tags = {**tags, **({} if parent_id is None else {_PARENT_TAG: parent_id})}
    run_id: str = client.create_run(experiment_id, start_time=started_at, tags=tags, run_name=name).info.run_id
    _describe(client, run_id, params, datasets)
    return run_id


def _describe(client: mlflow.MlflowClient, run_id: str, params: Mapping[str, Any], datasets: Sequence[Dataset]) -> None:
    """Log parameters and datasets; doing so again changes nothing."""
    client.log_batch(run_id, params=[mlflow.entities.Param(key, str(value)) for key, value in params.items()])
    inputs = [
        mlflow.entities.DatasetInput(
            mlflow.entities.Dataset(dataset.name, dataset.digest[:_DIGEST], "local", dataset.source),
            [mlflow.entities.InputTag("mlflow.data.context", dataset.context)],
        )
        for dataset in datasets
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def _log_finished(
    client: mlflow.MlflowClient, experiment_id: str, run: FinishedRun, parent_id: str | None = None
) -> str:
    run_id = _create_run(client, experiment_id, run.name, run.params, _prefixed(run.tags), run.datasets, parent_id)
    _log_epochs(client, run_id, run.history)
    _log_figures(client, run_id, run.metrics)
    for report in run.reports:
        client.log_artifact(run_id, str(report), "reports")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _log_figures(client: mlflow.MlflowClient, run_id: str, figures: Mapping[str, float]) -> None:
    """Log final figures, unless they stand there already."""
    now, held = _now(), client.get_run(run_id).data.metrics
    new = {key: float(value) for key, value in figures.items() if held.get(key) != float(value)}
    client.log_batch(run_id, metrics=[mlflow.entities.Metric(key, value, now, 0) for key, value in new.items()])


def _log_epochs(
    client: mlflow.MlflowClient, run_id: str, rows: Iterable[Mapping[str, Any]], started: int | None = None
) -> None:
    """Log rows of `epoch` and figures; an epoch is there as a whole or not at all.

    Args:
        client: of the store.
        run_id: the run.
        rows: in order of their epochs; empty values are skipped.
        started: when the run started, milliseconds, if rows hold `seconds` since then; None: all of them are of now.
    """
    now, batch = _now(), list[mlflow.entities.Metric]()
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
    if batch:
        client.log_batch(run_id, metrics=batch)


def _now() -> int:
    return int(datetime.now().timestamp() * 1000)


def _cut_off(experiment: str, weights_sha256: str) -> str | None:
    """Find a restoration that was cut off; where it came no further than the pipeline's run, that is deleted."""
    client = _client()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    query = f"tags.`huebands.{_RESTORES}` = '{weights_sha256}' AND attributes.status != 'FINISHED'"
    runs = client.search_runs([found.experiment_id], query)
    parents = {run.data.tags[_PARENT_TAG]: run.info.run_id for run in runs if _PARENT_TAG in run.data.tags}
    for run in runs:
        if _PARENT_TAG not in run.data.tags and run.info.run_id not in parents:
            client.delete_run(run.info.run_id)
    return next(iter(parents.values()), None)


def _holds(client: mlflow.MlflowClient, run_id: str) -> bool:
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _logged_epochs(client: mlflow.MlflowClient, run_id: str) -> set[int]:
    return {metric.step for metric in client.get_metric_history(run_id, "seconds")}


def _prefixed(tags: Mapping[str, Any]) -> dict[str, str]:
    prefixed = {f"huebands.{key}": str(value) for key, value in tags.items() if not isinstance(value, Mapping)}
    commit = re.match("[0-9a-f]{40}", str(tags.get("git_commit")))
    # The page links what it finds under MLflow's own name.
    return prefixed | ({_COMMIT_TAG: commit[0]} if commit else {})
