"""The store of a checkout moves with it, and is used by the copies that DVC makes of it."""

import shutil
from pathlib import Path

import pytest

from huebands.registry import local_store
from huebands.registry.connection import TrackingError
from huebands.registry.models import (
    RegisteredPackage,
    Registration,
    download_package,
)
from huebands.registry.restoration import restore_run
from mlflow_store import RUN, client, finished_run, history, picture, register

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_moved_checkout_keeps_its_packages_and_pictures(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = restore_run("huebands", RUN, history(2), {1: picture(1)})
    register(package, run_id=run_id)
    moved = tmp_path / "moved"
    checkout.rename(moved)
    monkeypatch.chdir(moved)
    folder = download_package("models:/generator/1")
    assert (folder / "generator.safetensors").read_bytes() == b"weights"
    assert len(client().list_artifacts(run_id, "images")) == 2
    assert register(package, "33" * 32, finished_run()) == Registration(
        RegisteredPackage("generator", 2, "33" * 32), created=True
    )
    assert not checkout.exists()


def test_a_store_named_by_its_uri_keeps_its_artifacts_beside_it(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_store.store_uri(checkout))
    monkeypatch.chdir(tmp_path)
    register(package)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert len(list((checkout / "mlartifacts" / "huebands").glob("*/artifacts/package/*/config.json"))) == 1


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
