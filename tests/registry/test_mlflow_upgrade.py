"""A store that the earliest allowed MLflow has made, installed from PyPI, is used on with the present one."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from huebands.package.hashes import hash_package
from huebands.registry.models import download_package, find_package
from huebands.registry.restoration import find_run
from mlflow_store import client, finished_run, register

# MLflow's own use of SQLAlchemy.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
# What an earlier version of huebands did with the store: absolute locations, and a package as plain files of a run.
MAKE = """
import sys
from pathlib import Path
from mlflow import MlflowClient

folder, package, sha256 = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db", registry_uri=f"sqlite:///{folder}/mlflow.db")
experiment = client.create_experiment("huebands", artifact_location=f"{folder}/mlartifacts/huebands")
run = client.create_run(experiment, tags={"huebands.weights_sha256": "ab" * 32}).info.run_id
for step in range(3):
    client.log_metric(run, "huber", 1 / (step + 1), step=step)
client.log_artifacts(run, package, "package/first")
client.set_terminated(run, "FINISHED")
client.create_registered_model("generator")
tags = {"huebands.package_sha256": sha256}
version = client.create_model_version("generator", f"runs:/{run}/package/first", run, tags=tags)
client.set_registered_model_alias("generator", "champion", version.version)
print(run)
"""


@pytest.fixture(scope="module")
def earliest_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the earliest MLflow that pyproject.toml allows."""
    dependencies = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (bound,) = (match[1] for line in dependencies if (match := re.fullmatch(r"mlflow>=([\d.]+)", line)))
    folder = tmp_path_factory.mktemp("earliest")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python, release = folder / "bin/python", bound + ".0" * (2 - bound.count("."))
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"mlflow=={release}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mlflow=={release} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return python


def test_a_store_of_the_earliest_mlflow_survives_the_upgrade_and_a_move(
    earliest_mlflow: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, moved = tmp_path / "first", tmp_path / "moved"
    first.mkdir()
    command = [earliest_mlflow, "-c", MAKE, str(first), str(package), hash_package(package)]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    first.rename(moved)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(moved)
    assert find_run("huebands", "ab" * 32) == run_id
    assert len(list(moved.glob("mlflow.db.before-mlflow-*"))) == 1
    assert [metric.value for metric in client().get_metric_history(run_id, "huber")] == [1, 1 / 2, 1 / 3]
    assert find_package("models:/generator@champion").version == 1
    assert (download_package("models:/generator@champion") / "generator.safetensors").read_bytes() == b"weights"
    assert register(package, run_id=run_id).created is False
    (package / "config.json").write_text("calibrated anew")
    assert register(package, run_id=finished_run()).version.version == 2
    assert (download_package("models:/generator/2") / "config.json").read_text() == "calibrated anew"
