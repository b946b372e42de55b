"""The store of a checkout moves with it, and is used by the copies that DVC makes of it."""

import shutil
import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path

import mlflow
import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from huebands.registry import earlier_stores, local_artifacts, local_store
from huebands.registry.connection import TrackingError, experiment_id_of, open_client
from huebands.registry.models import (
    RegisteredPackage,
    download_package,
)
from huebands.registry.restoration import restore_run
from mlflow_store import RUN, client, finished_run, history, picture, register, register_files

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_moved_checkout_keeps_its_packages_and_pictures_and_its_tables_are_left_alone(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError("the tables belong to MLflow")

    monkeypatch.setattr(earlier_stores.store_schema, "connected", refuse)
    run_id = restore_run("huebands", RUN, history(2), {1: picture(1)})
    register(package, run_id=run_id)
    moved = tmp_path / "moved"
    checkout.rename(moved)
    monkeypatch.chdir(moved)
    folder = download_package("models:/generator/1")
    assert (folder / "generator.safetensors").read_bytes() == b"weights"
    assert len(client().list_artifacts(run_id, "images")) == 2
    assert register(package, "33" * 32, finished_run()).version == RegisteredPackage("generator", 2, "33" * 32)
    assert not checkout.exists()


def earlier_store(checkout: Path, package: Path, folder: Path, register_package: Callable[..., object]) -> str:
    """Make a store as earlier versions of huebands did, whose experiment has an absolute location; gives a run's ID."""
    location = (checkout / "mlartifacts/huebands").as_posix()
    client().create_experiment("huebands", artifact_location=location)
    client().create_experiment("elsewhere", artifact_location=(folder / "elsewhere/mlartifacts/other").as_posix())
    run_id = restore_run("huebands", RUN, history(2), {1: picture(1)})
    register_package(package, run_id=run_id)
    return run_id


@pytest.mark.parametrize("register_package", [register, register_files])
def test_a_store_of_an_earlier_version_is_changed_once_after_its_move(
    checkout: Path,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    register_package: Callable[..., object],
) -> None:
    run_id = earlier_store(checkout, package, tmp_path, register_package)
    assert client().get_experiment_by_name("huebands").artifact_location.startswith("/"), "it is not moved yet"
    for moved in (tmp_path / "moved", tmp_path / "again"):
        Path.cwd().rename(moved)
        monkeypatch.chdir(moved)
        folder = download_package("models:/generator/1")
        assert (folder / "generator.safetensors").read_bytes() == b"weights"
        assert len(client().list_artifacts(run_id, "images")) == 2
        assert client().get_experiment_by_name("huebands").artifact_location == "mlflow-artifacts:/huebands"
        assert client().get_experiment_by_name("elsewhere").artifact_location.startswith("/")
        monkeypatch.setattr(earlier_stores.store_schema, "connected", None)  # the next move needs it no more
    with closing(sqlite3.connect("mlflow.db.before-move")) as copy:
        locations = {location for (location,) in copy.execute("SELECT artifact_location FROM experiments")}
    assert f"{checkout}/mlartifacts/huebands" in locations, "the store as it was before its first move"
    (version,) = client().search_model_versions("name = 'generator'")
    assert not checkout.exists() and str(checkout) not in (version.source + client().get_run(run_id).info.artifact_uri)
    assert register(package, "33" * 32, finished_run()).version.version == 2


def test_a_location_elsewhere_that_still_exists_is_kept_unless_all_of_it_is_here_too(
    checkout: Path, tmp_path: Path
) -> None:
    elsewhere, here = tmp_path / "elsewhere/mlartifacts/huebands", checkout / "mlartifacts/huebands"
    for folder in (elsewhere / "run", here / "another"):
        folder.mkdir(parents=True)
    client().create_experiment("huebands", artifact_location=elsewhere.as_posix())
    assert open_client().get_experiment_by_name("huebands").artifact_location == elsewhere.as_posix()
    assert not list(checkout.glob("mlflow.db.*"))
    (here / "run").mkdir()  # as in a copy of the checkout
    assert open_client().get_experiment_by_name("huebands").artifact_location == "mlflow-artifacts:/huebands"


@pytest.mark.parametrize("name", ["huebands", "100% grün #1?", "a/b"])
def test_artifacts_are_found_beside_the_database_whatever_the_names(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "50% #2 é"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_store.store_uri(folder))
    store = open_client()
    run = store.create_run(experiment_id_of(store, name))
    store.log_text(run.info.run_id, "kept", "note.txt")
    assert (folder / "mlartifacts" / name / run.info.run_id / "artifacts/note.txt").read_text() == "kept"
    assert [item.path for item in store.list_artifacts(run.info.run_id)] == ["note.txt"]


def test_artifacts_of_a_server_are_those_of_mlflow(checkout: Path) -> None:
    open_client()
    for location, store in (
        ("mlflow-artifacts:/a", "http://127.0.0.1:9"),
        ("mlflow-artifacts://127.0.0.1:9/a", local_store.store_uri(checkout)),
    ):
        if store.startswith("http"):
            repository = get_artifact_repository(location, store)
            assert isinstance(repository, MlflowArtifactsRepository)
        else:
            with pytest.raises(mlflow.MlflowException, match="must be a valid http or https URI"):
                get_artifact_repository(location, store)


def test_mlflow_is_told_of_the_repository_where_huebands_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    ((scheme, place),) = project["entry-points"]["mlflow.artifact_repository"].items()
    assert scheme == local_store.SCHEME
    assert EntryPoint(scheme, place, "mlflow.artifact_repository").load() is local_artifacts.repository


def test_a_store_named_by_its_uri_keeps_its_artifacts_beside_it(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_store.store_uri(checkout))
    monkeypatch.chdir(tmp_path)
    register(package)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert len(list((checkout / "mlartifacts" / "huebands").glob("models/*/artifacts/artifacts/package"))) == 1


def test_an_experiment_in_a_copy_of_dvc_logs_to_the_store_of_its_checkout(
    checkout: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = checkout / ".dvc/tmp/exps/standalone/tmp1234"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    register(package)
    shutil.rmtree(copy)
    monkeypatch.chdir(checkout)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"


def test_a_database_without_its_artifacts_is_a_clear_error(checkout: Path, package: Path) -> None:
    register(package)
    shutil.rmtree(checkout / "mlartifacts")
    with pytest.raises(TrackingError, match=r"models:/generator/1: .* but not its files .* move mlartifacts/"):
        download_package("models:/generator/1")
