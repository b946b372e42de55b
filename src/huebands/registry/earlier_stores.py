"""Stores that an earlier version of huebands has made, which name their artifacts by absolute paths.

MLflow has no call that changes where an experiment keeps its artifacts. So the tables of such a store are changed once,
after it was moved or copied: from then on its locations are those of `local_store`. Stores of this version name no
absolute path, and their tables are never touched.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import mlflow
from mlflow.entities import Experiment, ViewType

from huebands.registry import local_store, store_schema

# Every column that starts with the location of an experiment.
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def rehome(folder: Path, client: mlflow.MlflowClient) -> list[str]:
    """Make the absolute locations of a store that was moved into a folder independent of it.

    A location is changed only where `mlartifacts/` of the folder holds what it names, so that artifacts elsewhere stay
    there. A copy of the database is kept.

    Args:
        folder: folder of the store, whose lock is held.
        client: client of the store.

    Returns:
        The names of the experiments that were changed.

    Raises:
        sqlite3.Error: when the database cannot be changed.
        OSError: when there is no room for the copy.
    """
    path, moved = folder / local_store.DATABASE, list(_moved(folder, client.search_experiments(view_type=ViewType.ALL)))
    if moved:
        with store_schema.connected(path) as database:
            database.execute("BEGIN IMMEDIATE")
            backup = store_schema.keep_copy(path, database.serialize(), "move")
            for experiment in moved:
                old, new = experiment.artifact_location, _location_of(experiment)
                for table, column in _COLUMNS:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                        f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
            database.execute("COMMIT")
        logging.getLogger(__name__).warning(
            "%s: its artifacts are looked for beside it from now on; %s holds it as it was", path, backup.name
        )
    return [experiment.name for experiment in moved]


def _moved(folder: Path, experiments: Iterable[Experiment]) -> Iterable[Experiment]:
    """The experiments with an absolute location outside the folder whose artifacts lie in the folder."""
    artifacts = (folder / local_store.ARTIFACTS).resolve()
    for experiment in experiments:
        location = Path(experiment.artifact_location)
        if (
            location.is_absolute()
            and location.parent.name == artifacts.name
            and location.parent != artifacts
            and (artifacts / location.name).is_dir()
            and _has_all(artifacts / location.name, location)
        ):
            yield experiment


def _has_all(here: Path, old: Path) -> bool:
    """Whether the old location is gone, or has artifacts and all of them are here too: a checkout that was copied."""
    try:
        names = {path.name for path in old.iterdir()}
    except OSError:  # there is none, or it cannot be read
        return True
    return bool(names) and names <= {path.name for path in here.iterdir()}


def _location_of(experiment: Experiment) -> str:
    return local_store.artifact_location(Path(experiment.artifact_location).name)
