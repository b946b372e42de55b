"""Registered packages: versions, aliases, tags and downloads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from huebands.registry.champion import champion_version
from huebands.registry.connection import TrackingError
from huebands.registry.models import (
    PACKAGE_TAG,
    RegisteredPackage,
    download_package,
    find_package,
    set_alias,
    tag_version,
)
from mlflow_store import client, cut_off, finished_run, register, register_files

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def test_a_package_is_registered_once(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    first = register(package, "11" * 32, run_id)
    assert first.version == RegisteredPackage("generator", 1, "11" * 32) and first.created
    assert register(package, "11" * 32, run_id) == replace(first, created=False)
    second = register(package, "22" * 32, run_id)
    assert second.version == RegisteredPackage("generator", 2, "22" * 32) and second.created
    assert len(client().search_model_versions("name = 'generator'")) == 2
    stored = client().get_run(run_id).data
    assert stored.metrics["test/psnr"] == 23.0
    assert stored.tags["huebands.dvc_lock_sha256"] == "10c4"


def test_one_run_keeps_each_of_its_packages(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    register(package, run_id=run_id)
    (package / "config.json").write_text("calibrated anew")
    register(package, run_id=run_id)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert (download_package("models:/generator/2") / "config.json").read_text() == "calibrated anew"


def test_tags_of_a_version_are_replaced(checkout: Path, package: Path) -> None:
    register(package, "11" * 32)
    version = find_package("models:/generator/1")
    for value in ("a", "b"):
        tag_version(version, {"gate.reason": value})
    assert client().get_model_version("generator", "1").tags["huebands.gate.reason"] == "b"


def test_aliases_point_at_versions(checkout: Path, package: Path) -> None:
    assert champion_version("generator") is None
    register(package, "11" * 32)
    assert champion_version("generator") is None
    set_alias("generator", "champion", 1)
    register(package, "22" * 32)
    set_alias("generator", "challenger", 2)
    version = champion_version("generator")
    assert version == RegisteredPackage("generator", 1, "11" * 32)
    assert version.uri == "models:/generator/1"
    assert client().get_model_version_by_alias("generator", "challenger").tags[PACKAGE_TAG] == "22" * 32


@pytest.mark.parametrize("address", ["models:/generator/1", "models:/generator@champion"])
def test_a_registered_package_is_downloaded_byte_for_byte(checkout: Path, package: Path, address: str) -> None:
    register(package)
    set_alias("generator", "champion", 1)
    folder = download_package(address)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "config.json": b"{}",
        "generator.safetensors": b"weights",
    }


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("models:/generator", "models:/NAME/VERSION"),
        ("models:/generator/two", "models:/NAME/VERSION"),
        ("models:/generator/7", "models:/generator/7: not in the registry"),
        ("models:/generator@best", "models:/generator@best: not in the registry"),
        ("models:/other@champion", "models:/other@champion: not in the registry"),
    ],
)
def test_a_wrong_address_is_named_with_its_reason(checkout: Path, package: Path, address: str, reason: str) -> None:
    register(package)
    with pytest.raises(TrackingError, match=reason):
        download_package(address)


def test_a_version_of_plain_files_stays_what_it_is(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    register_files(package, run_id)
    assert (download_package("models:/generator/1") / "generator.safetensors").read_bytes() == b"weights"
    again = register(package, run_id=run_id)
    assert (again.version.version, again.created, again.model_id) == (1, False, None)
    (package / "config.json").write_text("calibrated anew")
    assert register(package, run_id=run_id).version.version == 2
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert (download_package("models:/generator/2") / "config.json").read_text() == "calibrated anew"


@pytest.mark.parametrize(
    "method",
    [
        "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs", "log_batch",
        "create_model_version", "set_logged_model_tags",
    ],
)  # fmt: skip
def test_a_registration_that_was_cut_off_is_completed(
    checkout: Path, package: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    run_id = finished_run()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, method, 1)
        register(package, run_id=run_id)
    for _ in range(2):
        registration = register(package, run_id=run_id)
    assert registration.version.version == 1
    (model,) = client().search_logged_models([client().get_run(run_id).info.experiment_id])
    assert model.model_id == registration.model_id and model.status == "READY"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "generator", "version": 1}]
    run = client().get_run(run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert run.data.metrics == {"test/psnr": 23.0}
    assert (download_package("models:/generator/1") / "generator.safetensors").read_bytes() == b"weights"
