"""The connection to MLflow: which store is used, and the error when it does not answer.

The store is MLFLOW_TRACKING_URI where that is set, else `mlflow.db` and `mlartifacts/` in the current folder, or in the
checkout whose queued experiment the current folder is. A name and a password in the address of a server become
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, so that MLflow has no address to print them with.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
import requests

from huebands.fetch.secrets import without_secrets
from huebands.files import atomic
from huebands.registry import local_artifacts, local_store
from huebands.registry.time_limits import a_minute

try:
    from sqlalchemy.exc import ArgumentError, OperationalError
except ImportError:  # beside `mlflow-skinny`, which reaches servers and no databases
    _DATABASE_AWAY: tuple[type[Exception], ...] = ()
    _NO_ADDRESS: tuple[type[Exception], ...] = (ValueError,)
else:
    _DATABASE_AWAY, _NO_ADDRESS = (OperationalError,), (ArgumentError, ValueError)

_COMMIT_TAG = "mlflow.source.git.commit"
_STORE, _USER, _PASSWORD = "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_AWAY: tuple[type[Exception], ...] = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.RetryError,
    *_DATABASE_AWAY,
)


class TrackingError(RuntimeError):
    """The tracking store does not answer or lacks what was asked for."""

    def __init__(self, message: str) -> None:
        # The address of a store can carry a name and a password, and its answer can have several lines.
        super().__init__(" ".join(without_secrets(message).split()))


class NoAnswerError(TrackingError):
    """The tracking store does not answer at all, so that it may answer later."""


class NoStoreError(TrackingError):
    """The current folder has no store, and none was to be made."""


def store_uri() -> str:
    """The tracking URI of the store, from which name and password were taken.

    Raises:
        TrackingError: when an address has a name and no password, or is none.
    """
    address = os.environ.get(_STORE, "")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise TrackingError(f"{_STORE}: no address: {error}; write signs in a name or a password as %XX") from error
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        sign_in, _, host = parts.netloc.rpartition("@")
        user, _, password = sign_in.partition(":")
        if not user or not password:
            raise TrackingError(
                f"{_STORE}: {parts.scheme}://{host} must have a name and a password, or neither; MLFLOW_TRACKING_TOKEN"
                " holds a token"
            )
        os.environ.update(
            {_USER: unquote(user), _PASSWORD: unquote(password), _STORE: parts._replace(netloc=host).geturl()}
        )
    return os.environ.get(_STORE) or local_store.store_uri(local_store.home(Path.cwd()))


def open_client(create: bool = True) -> mlflow.MlflowClient:
    """Connect to the store; that of a checkout is first brought to the installed MLflow and to its present folder.

    Args:
        create: whether a folder without a store gets one.

    Raises:
        NoAnswerError: when it does not answer.
        NoStoreError: when there is none and none may be made.
        TrackingError: when it refuses, or its tables are of another MLflow.
    """
    store = store_uri()
    folder = local_store.folder_of(store)
    local_artifacts.install()
    _keep_secrets_out_of_logs()
    try:
        if folder is not None:
            return _open_file(folder, store, create)
        client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
        client.search_experiments(max_results=1)
    except mlflow.MlflowException as error:
        remedy = "start it, or name another store in MLFLOW_TRACKING_URI"
        if "out-of-date database schema" in error.message:
            remedy = "upgrade it, or install the MLflow that it was used with"
        raise kind_of(error)(f"no answer from {store}: {error.message}; {remedy}") from error
    except _DATABASE_AWAY as error:
        raise kind_of(error)(f"no answer from {store}: {error}; start it, or name another store") from error
    except ImportError as error:
        raise TrackingError(f"{store}: {error}; install it, or name an MLflow server in {_STORE}") from error
    except _NO_ADDRESS as error:
        raise TrackingError(f"{store}: no address of a store: {error}; change {_STORE}") from error
    return client


def _open_file(folder: Path, store: str, create: bool) -> mlflow.MlflowClient:
    database = folder / local_store.DATABASE
    if not create and not database.is_file():
        raise NoStoreError(
            f"no {database.name} in {folder}; run in the checkout, set {_STORE}, or make it with `dvc repro --force"
            " --single-item register`"
        )
    from huebands.registry import earlier_stores, store_schema  # these need all of MLflow, and its database's library

    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Another process would make the same tables at the first contact, or upgrade half of them.
        with atomic.locked(folder), store_schema.database_errors(database):
            store_schema.upgrade(folder)
            client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
            earlier_stores.rehome(folder, client)
    except (store_schema.SchemaError, OSError) as error:
        raise TrackingError(str(error)) from error
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
        raise kind_of(error)(
            f"{work} failed in {store_uri()}: {error}; start again when the store answers, or change what it refuses"
        ) from error


@contextmanager
def waiting(remedy: str) -> Iterator[None]:
    """Wait a minute for a store that does not answer, then say what completes the work; also a decorator.

    Raises:
        NoAnswerError: with the remedy.
    """
    try:
        with a_minute():
            yield
    except NoAnswerError as error:
        raise NoAnswerError(f"{error}; {remedy}") from error


def kind_of(error: BaseException) -> type[TrackingError]:
    """The error to raise instead of another one: whether the store does not answer, or refuses something.

    What goes wrong with a file of this machine is not mended by waiting, and counts as refused.
    """
    cause: BaseException | None = error
    while cause is not None:
        away = isinstance(cause, _AWAY) and not isinstance(cause, requests.exceptions.SSLError)
        if away and local_store.folder_of(store_uri()) is None:
            return NoAnswerError
        cause = cause.__cause__ or cause.__context__
    return TrackingError


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
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=tags))
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another program was faster, or the answer to an earlier request was lost.
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} is deleted: `mlflow experiments restore -x {experiment.experiment_id}`"
        )
    return str(experiment.experiment_id)


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


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's text."""
        record.msg, record.args = without_secrets(record.getMessage()), ()
        return True


_FILTER = _WithoutSecrets()


def _keep_secrets_out_of_logs() -> None:
    """Let no message of MLflow and its libraries have a password, whoever prints it."""
    for name in ("mlflow", "alembic", "sqlalchemy"):
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(_FILTER)  # twice is once


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
