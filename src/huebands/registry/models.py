"""Versions and aliases of registered models: a model package is logged as a model, and downloaded byte for byte.

Versions that were registered before packages were models of MLflow hold the plain files of one, below a run.
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from huebands import __version__
from huebands.registry import local_store, logged_models
from huebands.registry.connection import (
    NoAnswerError,
    TrackingError,
    as_default,
    kind_of,
    open_client,
    prefixed,
    store_errors,
    store_uri,
)
from huebands.registry.runs import log_figures
from huebands.registry.time_limits import asked_once, long_answers, short_timeouts

PACKAGE_FOLDER = "artifacts/package"  # of a model's files
VERDICTS = "promotion"  # of a run's artifacts
PACKAGE_TAG = "huebands.package_sha256"
OUTCOME = "verdict.outcome"  # tag of a verdict, with the prefix `huebands.`
_SHOWN = 5  # versions that an error lists


class UnsoundVersionError(TrackingError):
    """The files of a version are not those that were registered, nothing says which these are, or one is unknown."""


@dataclass(frozen=True)
class RegisteredPackage:
    """One version of a registered model."""

    model_name: str
    version: int
    package_sha256: str | None  # None: not registered by huebands

    @property
    def uri(self) -> str:
        """Address for `download_package` and `huebands colorize --model`."""
        return f"models:/{self.model_name}/{self.version}"


@dataclass(frozen=True)
class Registration:
    """The version of a package that was registered, now or before."""

    version: RegisteredPackage
    created: bool  # False: the same package was registered before
    model_id: str | None = None  # of its logged model; None: registered before packages were models of MLflow

    def __str__(self) -> str:
        return f"{self.version.uri} ({'new' if self.created else 'registered before'})"


@store_errors("the registration of the package")
def register_package(
    package: Path,
    package_sha256: str,
    model_name: str,
    run_id: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, Any],
) -> Registration:
    """Log a package with its figures to its run and make it a model version, unless it is one already.

    Args:
        package: folder.
        package_sha256: hash of the package.
        model_name: name of the registered model, created if need be.
        run_id: ID of the training's run.
        metrics: for the run.
        tags: lineage of the registration, for run and version; their names get the prefix `huebands.`.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    client = open_client()
    try:
        client.create_registered_model(model_name, description="Colorization with conformal bands")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    query = f"name = '{model_name}' AND tags.`{PACKAGE_TAG}` = '{package_sha256}'"
    earlier = client.search_model_versions(query)
    if earlier:
        version = min(earlier, key=lambda version: int(version.version))
        model_id = logged_models.id_of(version.source)
    else:
        identity, all_tags = (PACKAGE_TAG, package_sha256), {**prefixed(tags), PACKAGE_TAG: package_sha256}
        model_id = logged_models.find_or_log(client, run_id, package, identity, prefixed(tags))
        logged_models.link_run(client, run_id, model_id)
        client.log_batch(run_id, tags=[mlflow.entities.RunTag(key, value) for key, value in all_tags.items()])
        log_figures(client, run_id, metrics)
        source = logged_models.address_of(model_id)
        with as_default(client), asked_once():
            version = client.create_model_version(model_name, source, run_id, tags=all_tags, model_id=model_id)
    registered = RegisteredPackage(model_name, int(version.version), package_sha256)
    if model_id is not None:
        logged_models.name_version(client, model_id, model_name, registered.version)
    return Registration(registered, created=not earlier, model_id=model_id)


@store_errors("the change of an alias")
def set_alias(model_name: str, alias: str, version: int) -> None:
    """Point an alias at a version; raises like `register_package`."""
    open_client().set_registered_model_alias(model_name, alias, str(version))


@store_errors("the change of a version's tags")
def tag_version(version: RegisteredPackage, tags: Mapping[str, str]) -> None:
    """Set tags of a version; their names get the prefix `huebands.`; raises like `register_package`."""
    client = open_client()
    for name, value in tags.items():
        client.set_model_version_tag(version.model_name, str(version.version), f"huebands.{name}", value)


@store_errors("the search for a version's tags")
def tags_of(version: RegisteredPackage) -> dict[str, str]:
    """The tags that huebands has set, without their prefix `huebands.`; raises like `register_package`."""
    tags = open_client().get_model_version(version.model_name, str(version.version)).tags
    return {key.removeprefix("huebands."): value for key, value in tags.items() if key.startswith("huebands.")}


@store_errors("the record of a verdict")
def log_verdict(version: RegisteredPackage, folder: Path, outcome: str, tags: Mapping[str, str]) -> None:
    """Log the files of a verdict beside the version's package, and set its tags; raises like `register_package`.

    Those of an earlier verdict go first, so that figures of two verdicts never mix; the outcome comes last.

    Args:
        version: that was judged.
        folder: of the files.
        outcome: value of the tag `OUTCOME`.
        tags: the others; their names get the prefix `huebands.verdict.`.
    """
    client, number = open_client(), str(version.version)
    registered = client.get_model_version(version.model_name, number)
    for key in registered.tags:
        if key.startswith("huebands.verdict."):
            client.delete_model_version_tag(version.model_name, number, key)
    with long_answers():
        client.log_artifacts(registered.run_id, str(folder), VERDICTS)
    tag_version(version, {**{f"verdict.{name}": value for name, value in tags.items()}, OUTCOME: outcome})


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
        The folder of the package, the same bytes that were registered; it is removed when the program ends.

    Raises:
        TrackingError: when the address is malformed, or the store does not answer, lacks the version or its files, or
            their bytes are not those that were registered.
    """
    version = _find_version(uri)
    store, registered = store_uri(), version.tags.get(PACKAGE_TAG)
    if registered is None:
        raise UnsoundVersionError(
            f"{uri}: version {version.version} in {store} has no tag {PACKAGE_TAG}, so its files cannot be checked"
            "; register the package with `dvc repro`"
        )
    folder = tempfile.mkdtemp(prefix="huebands-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with short_timeouts(), long_answers():
            location = open_client().get_model_version_download_uri(version.name, version.version)
            if logged_models.id_of(version.source) is not None:
                location = f"{location}/{PACKAGE_FOLDER}"
            package = Path(mlflow.artifacts.download_artifacts(location, tracking_uri=store, dst_path=folder))
    except (mlflow.MlflowException, OSError) as error:
        with short_timeouts():
            open_client()  # MLflow does not say whether the server has no files, or no longer answers
        is_local = local_store.folder_of(store) is not None
        remedy = f"move {local_store.ARTIFACTS}/ along with {local_store.DATABASE}" if is_local else "try again"
        raise TrackingError(
            f"{uri}: the registry {store} holds version {version.version} but not its files {version.source} ({error});"
            f" {remedy}, or restore them from the store's backup"
        ) from error
    _check_files(f"{uri}: the files of version {version.version} in {store}", package, registered)
    return package


def problem_of(error: Exception, folder: Path, name: str) -> str:
    """What is wrong with a downloaded package, without the remedy, which is meant for a folder that stays.

    Args:
        error: error that names a file or the folder, the problem and the remedy.
        folder: folder of the download, which is removed.
        name: stands in its place.
    """
    problem = str(error).rpartition("; ")[0] or str(error)
    return problem.replace(str(folder), name)


def _find_version(uri: str) -> "mlflow.entities.model_registry.ModelVersion":
    match = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))", uri)
    if match is None:
        raise TrackingError(f"{uri}: not a model address; write models:/NAME/VERSION or models:/NAME@ALIAS")
    name, number, alias = match.groups()
    store = store_uri()
    with short_timeouts():
        client = open_client(create=False)
        try:
            return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        except mlflow.MlflowException as error:
            if kind_of(error) is NoAnswerError:
                raise NoAnswerError(f"{uri}: no answer from {store}: {error.message}; try again") from error
            raise TrackingError(
                f"{uri}: not in the registry {store}: {error.message}; it holds {_holdings(client, name)}"
            ) from error


def _holdings(client: mlflow.MlflowClient, name: str) -> str:
    """The versions and aliases of a model in words, for the error about one that is missing."""
    try:
        model = client.get_registered_model(name)
        versions = sorted(int(version.version) for version in client.search_model_versions(f"name = '{name}'"))
    except mlflow.MlflowException:
        return f"no model {name!r}; register one with `dvc repro`"
    if not versions:
        return f"no version of {name!r}; register one with `dvc repro`"
    aliases = "".join(f", {alias} (={version})" for alias, version in sorted(model.aliases.items()))
    return f"version {', '.join(map(str, versions[-_SHOWN:]))} of {name!r}{aliases}"


def _check_files(subject: str, package: Path, registered: str) -> None:
    from huebands.package.hashes import hash_package  # it imports torch, which takes seconds
    from huebands.package.schema import PackageError

    try:
        downloaded = hash_package(package)
    except PackageError as error:
        raise UnsoundVersionError(
            f"{subject} are no package of huebands {__version__}: {problem_of(error, package, 'package')}; upgrade"
            " huebands, or name another version"
        ) from error
    if downloaded != registered:
        raise UnsoundVersionError(
            f"{subject} are not those that were registered: their sha256 (={downloaded!r}) must be {PACKAGE_TAG}"
            f" (={registered!r}); restore the store from its backup, or name another version"
        )
