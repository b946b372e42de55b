"""What several test modules share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from served import served
from tiny_package import write_tiny_package

if TYPE_CHECKING:
    from huebands.metrics.report import PhotoScorer

pytest_plugins = ("browser",)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A created store, to be copied: its creation takes seconds."""
    from huebands import local_store, tracking

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert tracking.find_run("huebands", "none") is None
    return folder / local_store.DATABASE


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model package called `tiny`, to be read or copied, never changed."""
    folder = tmp_path_factory.mktemp("packages") / "tiny"
    write_tiny_package(folder)
    return folder


@pytest.fixture(scope="session")
def url(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service that serves `tiny_package`."""
    with served(tiny_package, tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture(scope="session")
def photo_scorer() -> "PhotoScorer":
    """Scores photos; loading its networks takes seconds."""
    from huebands.metrics.report import PhotoScorer

    return PhotoScorer()
