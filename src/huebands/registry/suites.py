"""The suite of photos that belongs to a registered model: logged as files of a run, named by tags of the model.

The tag `huebands.suite.1` names the run and the hash of the first suite; a later suite has the next number. Of programs
that give a model a suite at once, one does (`announcement`).
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow

from huebands.registry.announcement import announced
from huebands.registry.connection import (
    NoStoreError,
    TrackingError,
    experiment_id_of,
    open_client,
    store_errors,
    store_uri,
)
from huebands.registry.time_limits import asked_once, long_answers, short_timeouts

_TAG, _FOLDER = "huebands.suite.", "suite"
_SHA256 = "huebands.suite_sha256"  # tag of a suite's run


@dataclass(frozen=True)
class StoredSuite:
    """A suite in the registry.

    Attributes:
        number: from 1; the highest is in use.
        run_id: of the run that has its files.
        sha256: that its description must have.
    """

    number: int
    run_id: str
    sha256: str


@store_errors("the search for the model's suite of photos")
def find_suite(model_name: str) -> StoredSuite | None:
    """The suite in use of a registered model; None where it has none, or does not exist.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    try:
        tags = open_client(create=False).get_registered_model(model_name).tags
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return max(_suites_in(tags), key=lambda suite: suite.number, default=None)


@store_errors("the search for the suites of photos")
def list_suites() -> list[tuple[str, StoredSuite, bool]]:
    """List the suites whose files lie in the registry, by model and from the newest on.

    A suite whose run was removed for good is left out.

    Returns:
        The name of its model, the suite, and whether it is in use.

    Raises:
        TrackingError: like `find_suite`.
    """
    with short_timeouts():
        try:
            client = open_client(create=False)
        except NoStoreError:
            return []
        return [
            (model.name, suite, suite == suites[0])
            for model in sorted(client.search_registered_models(max_results=1000), key=lambda model: model.name)
            for suites in [sorted(_suites_in(model.tags), key=lambda suite: -suite.number)]
            for suite in suites
            if _has_run(client, suite)
        ]


def _suites_in(tags: Mapping[str, str]) -> list[StoredSuite]:
    """The suites that the tags of a registered model name."""
    return [
        StoredSuite(int(match[1]), *value.split())
        for key, value in tags.items()
        if (match := re.fullmatch(re.escape(_TAG) + r"(\d+)", key))
    ]


def _has_run(client: mlflow.MlflowClient, suite: StoredSuite) -> bool:
    try:
        client.get_run(suite.run_id)
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


@store_errors("the storing of the model's suite of photos")
def store_suite(
    model_name: str, experiment: str, folder: Path, sha256: str, earlier: StoredSuite | None
) -> StoredSuite:
    """Give a registered model a suite: its files become those of a run.

    Args:
        model_name: of the registered model, which exists.
        experiment: name of the MLflow experiment, for the run.
        folder: with the suite's files.
        sha256: of the suite.
        earlier: the suite whose place it takes; None: there is none.

    Returns:
        The suite in use: that of another program, where it was faster.

    Raises:
        TrackingError: like `find_suite`, and when another program changes the model at this time.
    """
    client, number = open_client(), 1 if earlier is None else earlier.number + 1
    run_id = _find_unnamed_run(client, model_name, experiment_id_of(client, experiment), sha256)
    if run_id is None:
        with asked_once():
            run_id = client.create_run(
                experiment_id_of(client, experiment), tags={_SHA256: sha256}, run_name=f"suite {number}"
            ).info.run_id
    with long_answers():
        client.log_artifacts(run_id, str(folder), _FOLDER)
    client.set_terminated(run_id, "FINISHED")
    with announced(model_name, f"suite {number}") as change:
        in_use = find_suite(model_name)
        if in_use is not None and in_use != earlier:
            return in_use
        with change.step() as client:
            client.set_registered_model_tag(model_name, f"{_TAG}{number}", f"{run_id} {sha256}")
    return StoredSuite(number, run_id, sha256)


def _find_unnamed_run(client: mlflow.MlflowClient, model_name: str, experiment_id: str, sha256: str) -> str | None:
    """The run of a suite whose storing was cut off before a tag of the model named it."""
    named = {
        value.split()[0] for key, value in client.get_registered_model(model_name).tags.items() if key.startswith(_TAG)
    }
    runs = client.search_runs([experiment_id], f"tags.`{_SHA256}` = '{sha256}'")
    return next((str(run.info.run_id) for run in runs if run.info.run_id not in named), None)


def download_suite(suite: StoredSuite, file: str = "") -> Path:
    """Copy a suite's files from the registry.

    Args:
        suite: in the registry.
        file: name of the one that is copied; all are when left out.

    Returns:
        The folder, which is removed when the program ends.

    Raises:
        TrackingError: when the store does not answer or lacks the files.
    """
    folder = tempfile.mkdtemp(prefix="huebands-suite-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with short_timeouts(), long_answers():
            path = mlflow.artifacts.download_artifacts(
                run_id=suite.run_id,
                artifact_path=f"{_FOLDER}/{file}".rstrip("/"),
                dst_path=folder,
                tracking_uri=store_uri(),
            )
        return Path(path).parent if file else Path(path)
    except (mlflow.MlflowException, OSError) as error:
        with short_timeouts():
            open_client()  # as in `models.download_package`
        raise TrackingError(f"suite {suite.number} of run {suite.run_id}: its files are missing ({error})") from error
