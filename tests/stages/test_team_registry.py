"""The registry of a team: a real PostgreSQL, a real S3 server, and MLflow's server as deploy/registry starts it."""

import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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

import small_line
from huebands.cli import main
from huebands.colorize.colorizer import Colorizer
from huebands.package.read import read_package
from huebands.photos.write import encode_png, write_png
from huebands.registry import live_run
from huebands.stages import register
from mlflow_server import Server
from mlflow_store import begin, history, picture
from pipeline_checkout import MODEL, SETTINGS, make_checkout, train
from postgresql_server import PostgreSql, find_programs
from small_line import EPOCHS, PHOTOS, copy_tree, draw_photos

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
    run = begin(print, print)
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
    run = begin(said.append, ids.append)
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


class Pipeline:
    """The pipeline at small size in a copy of the tree, on this registry, under names of its own."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.registry, self.line = registry, copy_tree(folder)
        draw_photos(folder / "data/photos", range(PHOTOS))
        self.line.environment |= {
            "MLFLOW_TRACKING_URI": registry.server.address,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        }
        self.client = mlflow.MlflowClient(registry.server.address)
        choices = ("-S", "register.model_name=team", "-S", "register.experiment=team")
        self.begin = ("dvc", "exp", "run", *small_line.SETTINGS, *choices)

    def without_registry(self, *command: str, seen: Callable[[], object], back: bool = False) -> tuple[int, str]:
        """Run a command, and kill the server of the registry when something is seen; gives exit code and output.

        Args:
            command: of the pipeline.
            seen: asked until it is true.
            back: whether the server starts again at once; else when the command has ended.
        """
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, cwd=self.line.folder, env=self.line.environment, stdout=output, stderr=subprocess.STDOUT
            )
            while not seen() and process.poll() is None:
                time.sleep(0.02)
            was_running = process.poll() is None
            self.registry.server.stop()
            if back:
                self.registry.server.start()
            code = process.wait()
            if not back:
                self.registry.server.start()
            output.seek(0)
            text = output.read()
        assert was_running, f"it ended before the registry went away\n{text}"
        return code, text

    def stored(self, part: str) -> Callable[[], bool]:
        """Whether a file whose name has a part has come into the bucket since now."""
        before = {item.key for item in self.registry.bucket.objects.all()}
        return lambda: any(part in item.key and item.key not in before for item in self.registry.bucket.objects.all())

    def runs(self) -> dict[str, list[mlflow.entities.Run]]:
        """The runs by their stage; "" are those of no stage."""
        experiment = self.client.get_experiment_by_name("team")
        runs = self.client.search_runs([experiment.experiment_id])
        return {
            stage: [run for run in runs if run.data.tags.get("huebands.stage", "") == stage]
            for stage in {run.data.tags.get("huebands.stage", "") for run in runs}
        }


def test_the_pipeline_is_completed_when_the_registry_is_killed_in_each_stage(
    registry: Registry, tmp_path: Path
) -> None:
    pipeline = Pipeline(tmp_path / "huebands", registry)
    checkpoint = pipeline.line.folder / "models/checkpoints/last.pt"
    code, said = pipeline.without_registry(*pipeline.begin, "train", seen=checkpoint.exists, back=True)
    assert code == 0, said
    assert said.count("goes on without its registry") == said.count("answers again") == 1

    code, said = pipeline.without_registry("dvc", "repro", seen=pipeline.stored("/package/"))
    assert code != 0 and "`dvc repro` completes the registration" in said
    said = pipeline.line.run("dvc", "repro")
    assert "models:/team/1" in said and "Running stage 'train'" not in said

    code, said = pipeline.without_registry("huebands", "promote", seen=pipeline.stored("/suite/"))
    assert code == 2 and "run it again, which completes it" in said
    assert "models:/team/1 is champion" in pipeline.line.run("huebands", "promote")

    (version,) = pipeline.client.search_model_versions("name = 'team'")
    aliases = pipeline.client.get_registered_model("team").aliases
    assert aliases == {"challenger": version.version, "champion": version.version}
    runs = pipeline.runs()
    assert {stage: len(found) for stage, found in runs.items()} == {
        **dict.fromkeys(("ingest", "prepare", "validate", "train", "fit-density", "evaluate", "calibrate"), 1),
        "": 2,  # the pipeline, and the suite
    }
    assert {run.info.status for found in runs.values() for run in found} == {"FINISHED"}
    (training,) = runs["train"]
    for term in ("generator", "val_delta_e76"):
        points = pipeline.client.get_metric_history(training.info.run_id, term)
        assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1)), term
    images = pipeline.client.list_artifacts(training.info.run_id, "images")
    assert len([image for image in images if image.path.endswith(".png")]) == EPOCHS
    written = Path(pipeline.line.folder / "models/generator/generator.safetensors").read_bytes()
    packages = [name for name in registry.objects() if version.source.removeprefix("models:/") in name]
    assert [registry.objects()[name] for name in packages if name.endswith("/generator.safetensors")] == [written]
