"""Training on a machine that has torch, torchvision, numpy and safetensors alone, and the import of its results."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from composition import composed
from huebands import params
from huebands.data import shards
from huebands.models.networks import unet
from huebands.models.objectives import cgan
from huebands.package.read import read_package
from huebands.photos.epoch_sheet import read_sheet
from huebands.registry import local_store
from huebands.training import __main__ as training
from tiny_photos import tiny_photo, write_prepared

COMMIT = "c0ffee" + "0" * 34
SETTINGS = params.load(Path(__file__).parents[2] / "params.yaml")
MODEL = replace(
    SETTINGS.model, image_size=16, network=unet.Params(name="unet", filters=4, depth=3, dropout=0.5, norm="batch"),
    objective=replace(
        SETTINGS.model.objective, lambda_perceptual=0.0,
        discriminator=cgan.DiscriminatorParams(filters=4, layers=1, norm="batch"),
    ),
)  # fmt: skip
TRAIN = replace(SETTINGS.train, precision="float32", epochs=30, batch_size=2, checkpoint_every=1, picture_every=10)
SMALL = replace(SETTINGS, model=MODEL, train=TRAIN)

# Only huebands, torch, torchvision, numpy, safetensors and what they need can be imported after this.
BARE_MACHINE = """
import runpy, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

INSTALLED = {"huebands", "torch", "torchgen", "functorch", "torchvision", "numpy", "safetensors", "PIL", "sympy",
             "typing_extensions", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "setuptools"}

class BareMachine:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in INSTALLED | sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return PathFinder.find_spec(name, path, target) if known else None

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, BareMachine]
"""
TRAINING = """
runpy.run_module("huebands.training", run_name="__main__", alter_sys=True)
"""
NETWORKS = """
from huebands.models.encoders.encoder import ENCODERS, Encoder
from huebands.models.parts.vgg import RELU3_3, vgg_layers
from huebands.models.registry import network_class, network_names, objective_class, objective_names

print(*(len(Encoder(name).channels) for name in ENCODERS), len(vgg_layers(RELU3_3)))
for name in network_names():
    network_class(name)
for name in objective_names():
    objective_class(name)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an exported job carries: params.json and two shards of the dataset; `whole` is the dataset itself."""
    folder = tmp_path_factory.mktemp("machine")
    photos = {"train": [tiny_photo(seed, 18) for seed in range(5)], "val": [tiny_photo(99, 18)]}
    write_prepared(folder / "whole", photos, size=18)
    (folder / "data").mkdir()
    for name in ("train.npy", "val.npy"):
        shutil.copy(folder / "whole" / name, folder / "data")
    (folder / "params.json").write_text(json.dumps(asdict(SMALL)))
    return folder


def options(machine: Path, **changed: Path | str | None) -> list[str]:
    given: dict[str, Path | str | None] = {
        "params": machine / "params.json",
        "data": machine / "data",
        "out": machine / "out",
        "git-commit": COMMIT,
        "device": "cpu",
    }
    given |= {name.replace("_", "-"): value for name, value in changed.items()}
    if "data-sha256" not in given:
        given["data-sha256"] = shards.data_sha256(machine / "whole")
    return [part for name, value in given.items() if value is not None for part in (f"--{name}", str(value))]


def start(machine: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BARE_MACHINE + TRAINING, *options(machine)]
    return subprocess.Popen(command, cwd=machine, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(machine: Path) -> list[str]:
    """Start, and wait for the end; the lines that were printed."""
    printed, errors = start(machine).communicate(timeout=120)
    assert errors == ""
    return printed.splitlines()


@pytest.fixture(scope="module")
def lines(machine: Path) -> list[str]:
    """What was printed when a killed training was started again, and ended."""
    with start(machine) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "starting in float32\n", first.communicate()[1]
        assert first.stdout.readline().startswith("epoch 1  seconds ")
        first.kill()
    return finish(machine)


@pytest.fixture
def out(machine: Path, lines: list[str]) -> Path:
    """What the training left behind."""
    return machine / "out"


def test_every_network_is_built_there() -> None:
    done = subprocess.run([sys.executable, "-c", BARE_MACHINE + NETWORKS], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("5 5 5 5 4 5 16\n", "")


def test_a_killed_training_goes_on_after_its_last_epoch(lines: list[str]) -> None:
    first, *epochs, last = lines
    done = int(first.removeprefix("going on after epoch ").removesuffix(" in float32"))
    assert [line.split("  ")[0] for line in epochs] == [f"epoch {epoch}" for epoch in range(done + 1, 31)]
    assert last.startswith("30 epochs, weights ")


def test_a_finished_training_started_again_ends_at_once_with_the_same(machine: Path, out: Path) -> None:
    def contents() -> dict[Path, bytes]:
        paths = (path for folder in ("models", "reports") for path in (out / folder).rglob("*"))
        return {path: path.read_bytes() for path in paths if path.is_file()}

    before = contents()
    first, *epochs, last = finish(machine)
    assert first == "going on after epoch 30 in float32" and not epochs and last.startswith("30 epochs, weights ")
    assert contents() == before


def test_the_package_is_read_in_the_checkout(machine: Path, out: Path) -> None:
    package = read_package(out / "models/trained")
    assert package.config["lineage"]["git_commit"] == COMMIT
    assert package.config["lineage"]["data_sha256"] == shards.data_sha256(machine / "whole")
    assert package.config["lineage"]["params"]["train"]["epochs"] == 30
    assert package.config["lineage"]["precision"] == "float32"
    ab_unit = package.generator(torch.zeros(1, 1, 16, 16))
    assert ab_unit.shape == (1, 2, 16, 16) and ab_unit.isfinite().all()


def test_the_report_is_that_of_the_stage_train(out: Path) -> None:
    report = out / "reports/train"
    assert sorted(path.name for path in report.iterdir()) == ["history.csv", "pictures.png", "run.json"]
    assert sorted(read_sheet(report / "pictures.png")) == [1, 10, 20, 30]
    with (report / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == [str(epoch) for epoch in range(1, 31)]
    seconds = [float(row["seconds"]) for row in history]
    assert seconds == sorted(seconds), "the clock goes on where it stopped"
    run = json.loads((report / "run.json").read_text())
    assert run["weights_sha256"] == read_package(out / "models/trained").weights_sha256
    assert run["lineage"]["git_commit"] == COMMIT
    assert [dataset["name"] for dataset in run["datasets"]] == ["paintings train", "paintings val"]


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own use of SQLAlchemy
def test_the_run_of_an_imported_training_is_restored(
    out: Path, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huebands.registry import connection
    from huebands.registry.restoration import find_or_restore_run, find_run
    from huebands.stages import register

    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(out / "reports/train", register.TRAIN)
    weights_sha256 = read_package(out / "models/trained").weights_sha256
    run_id, origin = find_or_restore_run("huebands", weights_sha256, register.TRAIN)
    assert origin == "trained it, restored from reports/train: 30 epochs, 4 pictures"
    assert find_run("huebands", weights_sha256) == run_id
    store = local_store.store_uri(Path.cwd())
    client = connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.network.filters"] == "4"
    assert run.data.tags["mlflow.source.git.commit"] == COMMIT
    assert [metric.step for metric in client.get_metric_history(run_id, "val_delta_e76")] == list(range(1, 31))


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line that a refusal prints."""
    with pytest.raises(SystemExit) as ended:
        training.main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_missing_file_is_named(machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(machine / "data", tmp_path / "data")
    line = refused(capsys, options(machine, data=data, data_sha256=None))
    assert line.startswith(f"huebands.training: {data / 'manifest.parquet'}: not found")
    (data / "val.npy").unlink()
    assert f"{data / 'val.npy'}: not found" in refused(capsys, options(machine, data=data))
    assert "none.json" in refused(capsys, options(machine, params=tmp_path / "none.json"))


def test_an_empty_split_is_named(machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_prepared(tmp_path / "data", {"train": [tiny_photo(0, 18)]}, size=18)
    assert "the split val is empty" in refused(capsys, options(machine, data=tmp_path / "data"))


@pytest.fixture
def without_yaml(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "yaml", None)
    yield


def test_yaml_where_it_cannot_be_read_is_asked_for_as_json(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], without_yaml: None
) -> None:
    (tmp_path / "params.yaml").write_text("train: {}\n")
    line = refused(capsys, options(machine, params=tmp_path / "params.yaml"))
    assert "params.yaml: reading YAML needs PyYAML; give the same parameters as a .json file" in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not JSON"), ('{"train": {}}', "data is missing"), ("[]", "params (=[]) must be a mapping")],
)
def test_params_that_cannot_be_used_are_named(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    (tmp_path / "params.json").write_text(text)
    assert reason in refused(capsys, options(machine, params=tmp_path / "params.json"))


def test_a_checkpoint_of_other_parameters_is_left_alone(
    machine: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(out, tmp_path / "out")
    (tmp_path / "params.json").write_text(json.dumps(asdict(replace(SMALL, train=replace(TRAIN, seed=7)))))
    line = refused(capsys, options(machine, out=other, params=tmp_path / "params.json"))
    assert "checkpoint.pt belongs to a run with other parameters or data" in line
    assert (other / "checkpoint.pt").read_bytes() == (out / "checkpoint.pt").read_bytes()


@pytest.mark.parametrize("name", ["photos", "photos-500", "photos-500-encoder"])
def test_the_configurations_for_photos_train_at_small_size(name: str, tmp_path: Path) -> None:
    """One epoch of each stage, few filters; precision, weights, losses and schedule as configured."""
    settings = params.from_mapping(composed(f"experiment={name}"))
    model, train = settings.model, settings.train
    shape = {"filters": 4, "depth": 5} if isinstance(model.network, unet.Params) else {"filters": 4}
    supervised = min(model.objective.pretrain_epochs, 1)
    discriminator = replace(model.objective.discriminator, filters=4)
    small = replace(
        settings,
        model=replace(
            model, image_size=64, network=replace(model.network, **shape),
            objective=replace(model.objective, pretrain_epochs=supervised, discriminator=discriminator),
        ),
        train=replace(train, epochs=supervised + 1, batch_size=2),
    )  # fmt: skip
    photos = {"train": [tiny_photo(seed, 72) for seed in range(4)], "val": [tiny_photo(9, 72)]}
    data = write_prepared(tmp_path / "data", photos, size=72)
    (tmp_path / "params.json").write_text(json.dumps(asdict(small)))
    training.main(options(tmp_path, data_sha256=shards.data_sha256(data)))
    package = read_package(tmp_path / "out/models/trained")
    assert package.generator(torch.zeros(1, 1, 64, 64)).isfinite().all()
    with (tmp_path / "out/reports/train/history.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["adversarial"]) > 0 and float(last["perceptual"]) > 0
