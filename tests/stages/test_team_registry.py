"""The registry of a team: a real PostgreSQL, a real S3 server, and MLflow's server as deploy/registry starts it."""

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import boto3
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from moto.server import ThreadedMotoServer

from huebands.cli import main
from huebands.colorize.colorizer import Colorizer
from huebands.package.read import read_package
from huebands.photos.write import encode_png, write_png
from huebands.registry import live_run
from huebands.registry.live_run import LiveRun
from huebands.stages import register
from mlflow_server import Server
from mlflow_store import history, picture
from pipeline_checkout import MODEL, SETTINGS, make_checkout, train
from postgresql_server import PostgreSql, find_programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # MLflow's own use of SQLAlchemy
    pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed (Debian's package postgresql)"),
    pytest.mark.skipif(importlib.util.find_spec("psycopg2") is None, reason="psycopg2-binary is not installed"),
]

SERVICES = yaml.safe_load((Path(__file__).parents[2] / "deploy/registry/compose.yaml").read_text())["services"]
SECRETS = {name: f"{name}-nobody-may-read-this" for name in ("POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY")}
PHOTO = encode_png(np.add.outer(np.arange(20), 9 * np.arange(24)).astype(np.uint8))


@dataclass(frozen=True)
class Registry:
    """The three servers, and a client of the S3 store."""

    server: Server
    database: PostgreSql
    bucket: "boto3.resources.base.ServiceResource"

    def objects(self) -> dict[str, bytes]:
        """Every file in the bucket, by its name."""
        return {item.key: item.get()["Body"].read() for item in self.bucket.objects.all()}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The servers, with the commands and variables of the compose file, at addresses of this machine."""
    folder = tmp_path_factory.mktemp("registry")
    stack = ExitStack()
    database = PostgreSql(SECRETS["POSTGRES_PASSWORD"])
    stack.callback(database.remove)
    files = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    files.start()
    stack.callback(files.stop)
    with stack:
        host, port = files.get_host_and_port()
        store = f"http://{host}:{port}"
        environment = {
            name: str(value).replace("http://files:9000", store)
            for name, value in SERVICES["server"]["environment"].items()
        }
        environment |= {"AWS_ACCESS_KEY_ID": "keeper", "AWS_SECRET_ACCESS_KEY": SECRETS["AWS_SECRET_ACCESS_KEY"]}
        environment |= {"PGPASSWORD": SECRETS["POSTGRES_PASSWORD"]}
        changed = {
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=5000": "--port=PORT",
            "--workers=2": "--workers=1",
            "--backend-store-uri=postgresql+psycopg2://mlflow@database:5432/mlflow": (
                f"--backend-store-uri=postgresql+psycopg2://mlflow@127.0.0.1:{database.port}/mlflow"
            ),
            f"--allowed-hosts={SERVICES['server']['command'][-1].partition('=')[2]}": "--allowed-hosts=127.0.0.1:*",
        }
        assert changed.keys() <= set(SERVICES["server"]["command"])
        program, *arguments = (changed.get(word, word) for word in SERVICES["server"]["command"])
        assert program == "mlflow"
        make_bucket = [word.replace("http://files:9000", store) for word in SERVICES["bucket"]["command"]]
        for _ in range(2):  # as with every start of the containers
            subprocess.run([sys.executable, *make_bucket[1:]], env=os.environ | environment, check=True)
        resource = boto3.resource(
            "s3",
            endpoint_url=store,
            region_name="us-east-1",
            aws_access_key_id="keeper",
            aws_secret_access_key=SECRETS["AWS_SECRET_ACCESS_KEY"],
        )
        server = Server(folder, arguments, environment)
        stack.callback(server.stop)
        yield Registry(server, database, resource.Bucket("mlflow"))


@pytest.fixture
def checkout(
    tmp_path: Path,
    empty_store: Path,
    registry: Registry,
    levels: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A checkout where all stages before register have run, whose programs know the server's address alone."""
    monkeypatch.chdir(tmp_path)
    make_checkout(tmp_path, empty_store)
    (tmp_path / "mlflow.db").unlink()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MLFLOW_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.server.address)
    return tmp_path


def train_live(folder: Path, epochs: int) -> None:
    """Log a training of the present weights as the stage train does."""
    write_png(folder / "grid.png", picture(1))
    run = LiveRun.start("noise", "huebands", {"train.epochs": 3}, {}, [], None, live_run.now(), print, print)
    run.log_history(history(epochs))
    run.log_picture(folder / "grid.png", 1)
    run.log_tag("precision", "float32")
    run.finish(read_package(register.TRAINED).weights_sha256)


def test_every_stage_and_command_uses_it(
    checkout: Path,
    registry: Registry,
    levels: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    train_live(checkout, 400)
    for _ in range(2):
        register.register(SETTINGS)
    out = capfd.readouterr().out
    assert "trained it\n" in out and f"models:/{MODEL}/1 (registered before) is the challenger" in out
    assert main(["promote"]) == 0
    train(bias=0.01)
    register.register(SETTINGS)
    assert ", restored from reports/train: 3 epochs" in capfd.readouterr().out
    levels["champion"] = 9.5
    assert main(["promote"]) == 0 and main(["rollback", "--reason", "green"]) == 0
    assert main(["registry", "list"]) == 0
    newest, oldest = (line.split() for line in capfd.readouterr().out.splitlines()[-2:])
    assert (newest[0], newest[-1]) == ("2", "challenger") and (oldest[0], oldest[-1]) == ("1", "champion")

    client = mlflow.MlflowClient(registry.server.address)
    assert client.get_registered_model(MODEL).aliases == {"challenger": "2", "champion": "1"}
    first = client.get_model_version(MODEL, "1")
    curve = client.get_metric_history(first.run_id, "huber")
    assert sorted(point.step for point in curve) == list(range(1, 401))
    runs = client.search_runs([client.get_experiment_by_name("huebands").experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}

    # The model as its users load it, and the bytes in the bucket.
    colorizer = Colorizer.load(f"models:/{MODEL}@champion")
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    (colorized,) = model.predict(pd.DataFrame({"image": [PHOTO]}), params={"alpha": 0.2})["bands"]
    with np.load(io.BytesIO(colorized)) as bands:
        assert (bands["R"] == colorizer.colorize(PHOTO, alpha=0.2).bands["R"]).all()
    objects = registry.objects()
    packages = [name for name in objects if name.endswith("package/generator.safetensors")]
    assert len(packages) == 2, "one of each version"
    assert (register.GENERATOR / "generator.safetensors").read_bytes() in {objects[name] for name in packages}
    for part in ("/suite/", "/promotion/version-2.html", "/photos/", "/images/", "/reports/"):
        assert any(part in name for name in objects), part
    assert not list(checkout.glob("ml*")), "nothing of MLflow on the client's disk"

    # Secrets of the servers are theirs alone.
    everything = b"\n".join([*objects.values(), registry.database.dump().encode()])
    everything += (registry.server.folder / "log").read_bytes() + "".join(capfd.readouterr()).encode()
    everything += b"\n".join(path.read_bytes() for path in checkout.rglob("*") if path.is_file())
    for name, secret in SECRETS.items():
        assert secret.encode() not in everything, name


def test_a_database_that_is_killed_loses_nothing_of_a_training(
    checkout: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(live_run, "_AGAIN", 0.2)
    said, ids = list[str](), list[str]()
    run = LiveRun.start("killed", "huebands", {}, {}, [], None, live_run.now(), said.append, ids.append)
    run.log_history(history(3))
    registry.database.stop()
    try:
        run.log_history(history(3, first=4))
        deadline = live_run.time.monotonic() + 60
        while not said and live_run.time.monotonic() < deadline:
            live_run.time.sleep(0.1)
    finally:
        registry.database.start()
    run.finish("cd" * 32)
    assert len(said) == 2 and "goes on without its registry" in said[0] and "answers again" in said[1]
    client = mlflow.MlflowClient(registry.server.address)
    assert sorted(point.step for point in client.get_metric_history(ids[0], "huber")) == [1, 2, 3, 4, 5, 6]
    assert client.get_run(ids[0]).info.status == "FINISHED"
