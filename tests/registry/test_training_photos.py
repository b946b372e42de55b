"""The photos that a registered version has seen: logged once, read back, and checked."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from huebands.data.shards import MANIFEST_COLUMNS, write_manifest
from huebands.registry.connection import NoAnswerError, TrackingError
from huebands.registry.models import RegisteredPackage, set_alias
from huebands.registry.training_photos import COLUMNS, list_versions, log_photos, read_photos
from mlflow_server import Server
from mlflow_store import client, cut_off, register

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A data set of three photos; what is read of it is its manifest."""
    rows = [
        dict.fromkeys(MANIFEST_COLUMNS, "x") | {"sha256": f"{number:064x}", "phash": f"{number:016x}", "split": split}
        for number, split in enumerate(("train", "train", "test"))
    ]
    folder = tmp_path / "prepared"
    folder.mkdir()
    write_manifest(folder, pd.DataFrame(rows))
    return folder


DATA = "da7a" * 16


def log(version: RegisteredPackage, prepared: Path, trained_on: str = DATA) -> str:
    package = SimpleNamespace(config={"lineage": {"data_sha256": trained_on}})
    return log_photos(version, prepared, DATA, package)  # type: ignore[arg-type]


def test_photos_are_read_as_they_were_logged(checkout: Path, package: Path, prepared: Path) -> None:
    version = register(package).version
    assert read_photos(version) is None, "unknown before"
    assert log(version, prepared) == "`huebands lineage` knows the 3 photos of models:/generator/1"
    photos = read_photos(version)
    assert photos is not None and list(photos.columns) == COLUMNS
    assert photos["split"].tolist() == ["train", "train", "test"]
    assert photos["sha256"].tolist() == [f"{number:064x}" for number in range(3)]
    assert photos["phash"].tolist() == [f"{number:016x}" for number in range(3)]


def test_a_list_is_logged_once_and_a_cut_off_one_is_completed(
    checkout: Path, package: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(package).version
    for method in ("log_artifact", "set_model_version_tag"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            cut_off(patch, method, 1)
            log(version, prepared)
        assert read_photos(version) is None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, "set_model_version_tag", 2)
        log(version, prepared)
    assert read_photos(version) is None, "half a list is none"
    log(version, prepared)
    assert len(read_photos(version)) == 3  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        cut_off(patch, "log_artifact", 1)
        log(version, prepared)


def test_a_version_of_other_data_stays_unknown(checkout: Path, package: Path, prepared: Path) -> None:
    version = register(package).version
    said = log(version, prepared, trained_on="ab" * 32)
    assert said == "the photos of models:/generator/1 stay unknown: trained on data abababababab, not da7ada7ada7a"
    assert read_photos(version) is None


def test_a_list_that_was_changed_or_lost_is_refused(checkout: Path, package: Path, prepared: Path) -> None:
    version = register(package).version
    log(version, prepared)
    (path,) = checkout.glob("mlartifacts/**/photos/*.parquet")
    photos = pd.read_parquet(path)
    photos.assign(split="test").to_parquet(path, index=False)
    with pytest.raises(
        TrackingError, match=r"models:/generator/1: the list of its photos, photos/da7a.*parquet, is not"
    ):
        read_photos(version)
    path.unlink()
    with pytest.raises(
        TrackingError, match=r"models:/generator/1: the list of its photos, photos/da7a.*parquet, is missing"
    ):
        read_photos(version)


def test_a_server_that_has_lost_a_list_is_not_taken_for_one_that_is_away(
    package: Path, prepared: Path, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    version = register(package).version
    log(version, prepared)
    (path,) = (mlflow_server.folder / "artifacts").rglob("photos/*.parquet")
    path.unlink()
    with pytest.raises(TrackingError, match=r"photos/da7a.*parquet, is missing") as caught:
        read_photos(version)
    assert not isinstance(caught.value, NoAnswerError)
    mlflow_server.stop()
    with pytest.raises(NoAnswerError):
        read_photos(version)
    mlflow_server.start()


def test_versions_are_listed_with_their_aliases(checkout: Path, package: Path) -> None:
    register(package)
    (package / "config.json").write_text('{"other": 1}')
    second = register(package).version
    set_alias("generator", "champion", 2)
    set_alias("generator", "challenger", 2)
    client().create_registered_model("foreign")
    client().create_model_version("foreign", "runs:/x/y")
    listed = list_versions()
    assert [(version.version, aliases) for version, aliases in listed] == [(2, ["challenger", "champion"]), (1, [])]
    assert listed[0][0] == second


def test_no_store_is_made_to_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert list_versions() == []
    assert list(tmp_path.iterdir()) == []
