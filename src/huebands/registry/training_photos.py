"""The photos that a registered version has seen: a table among its run's artifacts, named by tags of the version."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pandas as pd

from huebands.data.shards import read_manifest
from huebands.files import atomic
from huebands.package.read import ModelPackage
from huebands.registry.connection import NoStoreError, TrackingError, open_client, store_errors, store_uri
from huebands.registry.models import PACKAGE_TAG, RegisteredPackage, tag_version
from huebands.registry.time_limits import long_answers, short_timeouts

COLUMNS = ["sha256", "phash", "group", "split", "source"]
_FOLDER = "photos"  # of a run's artifacts
_FILE, _SHA256 = "photos", "photos_sha256"  # tags of a version, with the prefix `huebands.`


@store_errors("the logging of the version's photos")
def log_photos(version: RegisteredPackage, prepared: Path, data_sha256: str, package: ModelPackage) -> str:
    """Keep the photos of the data set that a version was trained, calibrated and tested on; once is enough.

    Args:
        version: registered version.
        prepared: folder of the prepared data set.
        data_sha256: hash of that data set.
        package: package of the version; its lineage names the data set that it was made from.

    Returns:
        What was done, in words.

    Raises:
        ShardError: when the data set has no manifest.
        TrackingError: when the store does not answer, or refuses something.
    """
    trained_on = package.config["lineage"]["data_sha256"]
    if trained_on != data_sha256:
        return f"the photos of {version.uri} stay unknown: trained on data {trained_on[:12]}, not {data_sha256[:12]}"
    client, photos = open_client(), read_manifest(prepared)[COLUMNS]
    registered = client.get_model_version(version.model_name, str(version.version))
    if f"huebands.{_SHA256}" not in registered.tags:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{data_sha256[:16]}.parquet"
            with atomic.writing(path) as file:
                photos.to_parquet(file, index=False)
            with long_answers():
                client.log_artifact(registered.run_id, str(path), _FOLDER)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        # The hash comes last: with it, the list is complete.
        tag_version(version, {_FILE: f"{_FOLDER}/{path.name}", _SHA256: sha256})
    return f"`huebands lineage` knows the {len(photos)} photos of {version.uri}"


def read_photos(version: RegisteredPackage) -> pd.DataFrame | None:
    """Read the photos that a version has seen: `COLUMNS`, one row a photo.

    `sha256` is that of the file's bytes, `phash` the perceptual hash as 16 hexadecimal digits, `split` one of train,
    val, calibration and test.

    Returns:
        None where the version keeps no list: it was registered before versions did, or not by huebands.

    Raises:
        TrackingError: when the store does not answer, lacks the version or the list, or the list's bytes are not those
            that were logged.
    """
    with store_errors(f"the search for the photos of {version.uri}"), short_timeouts():
        registered = open_client().get_model_version(version.model_name, str(version.version))
    name, logged = (registered.tags.get(f"huebands.{tag}") for tag in (_FILE, _SHA256))
    if name is None or logged is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            with short_timeouts(), long_answers():
                path = Path(
                    mlflow.artifacts.download_artifacts(
                        run_id=registered.run_id, artifact_path=name, tracking_uri=store_uri(), dst_path=folder
                    )
                )
        except (mlflow.MlflowException, OSError) as error:
            with short_timeouts():
                open_client()  # as in `models.download_package`
            raise TrackingError(
                f"{version.uri}: the list of its photos, {name}, is missing ({error}); restore the store from its"
                " backup"
            ) from error
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != logged:
            raise TrackingError(
                f"{version.uri}: the list of its photos, {name}, is not the one that was logged: its sha256"
                f" (={sha256!r}) must be {logged!r}; restore the store from its backup"
            )
        return pd.read_parquet(path)


@store_errors("the search for registered versions")
def list_versions() -> list[tuple[RegisteredPackage, list[str]]]:
    """List all versions that huebands has registered, with their aliases, by model and from the newest on.

    Raises:
        TrackingError: when the store does not answer.
    """
    with short_timeouts():
        try:
            client = open_client(create=False)
        except NoStoreError:
            return []
        found = [
            RegisteredPackage(version.name, int(version.version), version.tags[PACKAGE_TAG])
            for version in client.search_model_versions()
            if PACKAGE_TAG in version.tags
        ]
        names = {version.model_name for version in found}
        aliases = {name: client.get_registered_model(name).aliases for name in names}
    found.sort(key=lambda version: (version.model_name, -version.version))
    return [(version, _aliases_of(version, aliases[version.model_name])) for version in found]


def _aliases_of(version: RegisteredPackage, aliases: Mapping[str, str]) -> list[str]:
    return sorted(alias for alias, number in aliases.items() if int(number) == version.version)
