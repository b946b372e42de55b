"""A registry in a folder, for tests of what takes models from it."""

import shutil
from pathlib import Path

from huebands.package.read import read_package
from huebands.registry import local_store
from huebands.registry.models import register_package
from huebands.registry.training_run import TrainingRun

NAME = "bands"  # of the registered model


def copy_store(empty_store: Path, folder: Path) -> str:
    """Make the folder of an empty store; gives its tracking URI."""
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return local_store.store_uri(folder)


def register(package: Path, **tags: str) -> int:
    """Register a package in the store of MLFLOW_TRACKING_URI; gives its version."""
    run = TrainingRun.start("tiny", "huebands", {}, {})
    registration = register_package(package, read_package(package).package_sha256, NAME, run.run_id, {}, tags)
    return registration.version.version
