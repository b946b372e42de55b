"""A store and a package for each test of the registry."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of its own, as the current folder."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder of files: the registry reads no more of a package."""
    folder = tmp_path / "generator"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "generator.safetensors").write_bytes(b"weights")
    return folder
