"""The MLflow store of a checkout: `mlflow.db` and `mlartifacts/` beside each other, free to move together.

MLflow keeps an experiment's artifact location as an absolute path, so a moved or copied checkout would lose
its artifacts. `rehome` points such locations at the checkout's own folder.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

DATABASE = Path("mlflow.db")
ARTIFACTS = Path("mlartifacts")


def store_uri(folder: Path) -> str:
    """Tracking URI of the store in this folder."""
    return f"sqlite:///{(folder / DATABASE).resolve().as_posix()}"


def home(folder: Path) -> Path:
    """The checkout whose store has the runs of this folder: the folder itself, or the checkout that DVC copied to it.

    Experiments of `dvc exp run --queue` and `--temp` run below `.dvc/tmp/exps`, in copies that DVC removes.
    """
    for copies in folder.resolve().parents:
        if copies.parts[-3:] == (".dvc", "tmp", "exps"):
            return copies.parents[2]
    return folder


def folder_of(store: str) -> Path | None:
    """The folder that a tracking URI names, or None where it names another kind of store."""
    path = Path(store.removeprefix("sqlite:///"))
    return path.resolve().parent if store.startswith("sqlite:///") and path.name == DATABASE.name else None


def artifact_location(folder: Path, experiment: str) -> str:
    """Where the artifacts of an experiment belong, as an absolute path."""
    return (folder / ARTIFACTS / experiment).resolve().as_posix()


def rehome(folder: Path) -> int:
    """Point the artifact locations of a moved store at the folder that it now lies in.

    A location is changed only where `mlartifacts/` of this folder holds what the location names, so that
    stores elsewhere keep theirs.

    Returns:
        The number of experiments that were changed.
    """
    if not (folder / DATABASE).exists():
        return 0
    changed = 0
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not {"experiments", "runs"} <= tables:
            return 0
        for experiment_id, old_location in database.execute(
            "SELECT experiment_id, artifact_location FROM experiments"
        ).fetchall():
            location = _present_location(folder, old_location)
            if location is None or location == old_location:
                continue
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (location, experiment_id)
            )
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?)"
                " WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (location, len(old_location) + 1, experiment_id, len(old_location) + 1, f"{old_location}/"),
            )
            changed += 1
    return changed


def _present_location(folder: Path, location: str | None) -> str | None:
    """The same experiment's folder in this checkout, or None where there is none."""
    if not location or not location.startswith("/") or Path(location).parent.name != ARTIFACTS.name:
        return None
    present = artifact_location(folder, Path(location).name)
    return present if Path(present).is_dir() else None


if __name__ == "__main__":
    rehome(Path.cwd())
