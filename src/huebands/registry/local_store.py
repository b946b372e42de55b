"""The MLflow store of a checkout: `mlflow.db` and `mlartifacts/` beside each other, free to move together.

An experiment keeps its artifacts at `mlflow-artifacts:/NAME`, which names no folder of this machine. A server of MLflow
resolves such a location in its artifact folder, by default `mlartifacts/` of the current folder. Without a server it is
resolved beside the database, see `local_artifacts`.
"""

from pathlib import Path
from urllib.parse import quote

DATABASE = Path("mlflow.db")
ARTIFACTS = Path("mlartifacts")
SCHEME = "mlflow-artifacts"
_SQLITE = "sqlite:///"


def store_uri(folder: Path) -> str:
    """Tracking URI of the store in this folder."""
    return f"{_SQLITE}{(folder / DATABASE).resolve().as_posix()}"


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
    path = Path(store.removeprefix(_SQLITE))
    return path.resolve().parent if store.startswith(_SQLITE) and path.name == DATABASE.name else None


def artifact_location(experiment: str) -> str:
    """Where the artifacts of an experiment belong, wherever the store lies."""
    return f"{SCHEME}:/{quote(experiment)}"
