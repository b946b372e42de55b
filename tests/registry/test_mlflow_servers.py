"""MLflow's own servers on a checkout's store: `mlflow models serve` colorizes, `mlflow server` serves the artifacts."""

import base64
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.photos.write import encode_png
from huebands.registry import local_store
from huebands.registry.models import download_package, set_alias
from mlflow_store import register

# MLflow's own use of SQLAlchemy.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]

ROOT = Path(__file__).parents[2]
PHOTO = encode_png(np.add.outer(np.arange(20), 9 * np.arange(24)).astype(np.uint8))


@contextmanager
def served(folder: Path, path: str, *arguments: str, **variables: str) -> Iterator[str]:
    """Start a server of MLflow in a folder, and give its address.

    Args:
        folder: the current folder of the server.
        path: that answers when the server is ready.
        arguments: of `mlflow`.
        variables: of the environment, beside this one's.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end, address = time.monotonic() + 180, f"http://127.0.0.1:{port}"
        while time.monotonic() < end and server.poll() is None:
            try:
                if httpx.get(f"{address}{path}").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        else:
            pytest.fail(f"the server is not ready:\n{(folder / 'log').read_text()[-3000:]}")
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=60)


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that find huebands as if this version of it were installed."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    folder = tmp_path / "site/huebands-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: huebands\nVersion: 0\n")
    lines = [f"[{group}]\n{name} = {place}" for group, values in entry_points.items() for name, place in values.items()]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": os.pathsep.join((str(folder.parent), str(ROOT / "src")))}


def test_mlflow_serves_colours_and_bands_from_the_store_of_a_moved_checkout(
    checkout: Path, tiny_package: Path, tmp_path: Path, installed: dict[str, str]
) -> None:
    register(tiny_package)
    set_alias("generator", "champion", 1)
    moved = tmp_path / "moved"
    checkout.rename(moved)
    variables = {"MLFLOW_TRACKING_URI": local_store.store_uri(moved), **installed}
    arguments = ("models", "serve", "--model-uri", "models:/generator@champion", "--env-manager", "local")
    photo = base64.b64encode(PHOTO).decode()
    with served(tmp_path, "/ping", *arguments, **variables) as address:
        content = {"dataframe_records": [{"image": photo}], "params": {"alpha": 0.2, "mode": "joint"}}
        answer = httpx.post(f"{address}/invocations", json=content, timeout=120)
        assert answer.status_code == 200, answer.text
        refusal = httpx.post(f"{address}/invocations", json={**content, "params": {"alpha": 0.001}}, timeout=120)
    assert refusal.status_code == 400 and "alpha (=0.001) must be in [0.05, 1)" in refusal.json()["message"]
    (row,) = answer.json()["predictions"]
    expected = Colorizer.load(tiny_package).colorize(PHOTO, alpha=0.2, mode="joint")
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(row["colorized"])))) == expected.rgb).all()
    with np.load(io.BytesIO(base64.b64decode(row["bands"]))) as bands:
        for name in "RGB":
            assert (bands[name] == expected.bands[name]).all()


def test_a_server_and_the_programs_of_its_machine_share_a_store(
    checkout: Path, tiny_package: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tiny_package)
    arguments = ("server", "--backend-store-uri", "sqlite:///mlflow.db", "--workers", "1")
    with served(checkout, "/health", *arguments, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        shutil.copytree(download_package("models:/generator/1"), checkout / "downloaded")
        registration = register(package)
        assert registration.created and registration.version.version == 2
        assert register(package).created is False
        assert (download_package("models:/generator/2") / "generator.safetensors").read_bytes() == b"weights"
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    expected = {path.name: path.read_bytes() for path in tiny_package.iterdir()}
    assert {path.name: path.read_bytes() for path in (checkout / "downloaded").iterdir()} == expected
    assert (download_package("models:/generator/2") / "generator.safetensors").read_bytes() == b"weights"
