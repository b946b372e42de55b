"""The connection to MLflow: which store is used, and the error when it does not answer.

The store is MLFLOW_TRACKING_URI where that is set, else `mlflow.db` and `mlartifacts/` in the current folder, or in the
checkout whose queued experiment the current folder is.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow

from huebands.registry import local_artifacts, local_store

_COMMIT_TAG = "mlflow.source.git.commit"
# MLflow retries for minutes. That suits a training of hours, but not a user who waits for a package.
_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class TrackingError(RuntimeError):
    """The tracking store does not answer or lacks what was asked for."""

    def __init__(self, message: str) -> None:
        # The address of a store can carry a name and a password, and its answer can have several lines.
        super().__init__(" ".join(re.sub(r"(//)[^/@\s]*@", r"\1", message).split()))


def store_uri() -> str:
    """The tracking URI of the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store.store_uri(local_store.home(Path.cwd()))


def open_client() -> mlflow.MlflowClient:
    """Connect to the store; that of a checkout is first brought to the installed MLflow and to its present folder.

    Raises:
        TrackingError: when it does not answer, or its tables are of another MLflow.
    """
    store = store_uri()
    folder = local_store.folder_of(store)
    local_artifacts.install()
    try:
        if folder is not None:
            return _open_store(folder, store)
        client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
        client.search_experiments(max_results=1)
        return client
    except mlflow.MlflowException as error:
        remedy = "start it, or name another store in MLFLOW_TRACKING_URI"
        if "out-of-date database schema" in error.message:
            remedy = "upgrade it, or install the MLflow that it was used with"
        raise TrackingError(f"no answer from {store}: {error.message}; {remedy}") from error


def _open_store(folder: Path, store: str) -> mlflow.MlflowClient:
    """Open the store of a checkout."""
    # They need SQLAlchemy, which a service that only asks a server for its versions lacks.
    from huebands.registry import earlier_stores, store_schema

    try:
        store_schema.upgrade(folder)
    except store_schema.SchemaError as error:
        raise TrackingError(str(error)) from error
    client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    earlier_stores.rehome(folder, client)
    return client


@contextmanager
def store_errors(work: str) -> Iterator[None]:
    """Say what failed where the store refuses something or no longer answers; also a decorator.

    Args:
        work: what is done, for the error.

    Raises:
        TrackingError: instead of MLflow's errors and the system's.
    """
    try:
        yield
    except (mlflow.MlflowException, OSError) as error:
        raise TrackingError(
            f"{work} failed in {store_uri()}: {error}; start again when the store answers, or change what it refuses"
        ) from error


def experiment_id_of(client: mlflow.MlflowClient, name: str) -> str:
    """Find or create an experiment.

    Raises:
        TrackingError: when it was deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        is_local = local_store.folder_of(client.tracking_uri) is not None
        location = local_store.artifact_location(name) if is_local else None
        # With this kind MLflow's page opens on training runs, not on traces of language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} is deleted: `mlflow experiments restore -x {experiment.experiment_id}`"
        )
    return str(experiment.experiment_id)


@contextmanager
def short_timeouts() -> Iterator[None]:
    """Give up on a store after seconds; what the environment sets stays."""
    timeouts = {name: value for name, value in _TIMEOUTS.items() if name not in os.environ}
    os.environ.update(timeouts)
    try:
        yield
    finally:
        for name in timeouts:
            os.environ.pop(name, None)


@contextmanager
def as_default(client: mlflow.MlflowClient) -> Iterator[None]:
    """Make the store of a client the one that MLflow takes where none is named, as its registry does inside."""
    name, earlier = "MLFLOW_TRACKING_URI", os.environ.get("MLFLOW_TRACKING_URI")
    os.environ[name] = client.tracking_uri
    try:
        yield
    finally:
        if earlier is None:
            del os.environ[name]
        else:
            os.environ[name] = earlier


def prefixed(tags: Mapping[str, Any]) -> dict[str, str]:
    """Write tags as MLflow takes them, with the prefix `huebands.`; mappings are left out."""
    texts = {f"huebands.{key}": str(value) for key, value in tags.items() if not isinstance(value, Mapping)}
    commit = re.match("[0-9a-f]{40}", str(tags.get("git_commit")))
    # MLflow's page links the commit under its own tag.
    return texts | ({_COMMIT_TAG: commit[0]} if commit else {})


if __name__ == "__main__":
    try:
        open_client()
    except TrackingError as problem:
        raise SystemExit(str(problem)) from problem
