"""The precision of a training: chosen by the device, recorded, and kept to the end."""

import dataclasses
import json
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import MODEL, PARAMS, Recorder, figures, random_photos

from huebands import params
from huebands.data.shards import data_sha256
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.registry import connection
from huebands.registry.restoration import find_run
from huebands.stages import train as stage
from huebands.training import __main__ as training
from huebands.training.checkpoint import CheckpointError
from huebands.training.learner import set_up
from huebands.training.loop import Trained, train
from huebands.training.offsite.import_job import import_job
from huebands.training.params import TrainParams
from huebands.training.precision import (
    Precision,
    choose_precision,
    computes_in_bfloat16,
    possible_precisions,
    precision_of,
    warning_of,
)
from tiny_photos import tiny_photo, write_prepared

CPU = torch.device("cpu")
AUTO = dataclasses.replace(PARAMS, precision="auto")
SETTINGS = dataclasses.replace(params.load(Path(__file__).parents[2] / "params.yaml"), model=MODEL, train=AUTO)


def computes(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """Let the processor compute in bfloat16, or not."""
    monkeypatch.setattr("huebands.training.precision.computes_in_bfloat16", lambda device: native)


def asking(precision: Any) -> TrainParams:
    return dataclasses.replace(PARAMS, precision=precision)


def run(settings: TrainParams, folder: Path, observer: Recorder | None = None) -> Trained:
    photos = random_photos(20), random_photos(16, seed=1)
    return train(MODEL, settings, *photos, folder / "last.pt", "data", observer or Recorder())


def begin(settings: TrainParams, folder: Path) -> None:
    """Train until the third of six epochs, and be killed."""
    with pytest.raises(KeyboardInterrupt):
        run(settings, folder, Recorder(stop_in_epoch=3))


@pytest.mark.parametrize(
    ("machine", "onednn", "avx512_bf16", "native"),
    [
        ("x86_64", True, True, True),
        ("x86_64", True, False, False),  # AVX-512 alone: oneDNN accepts bfloat16, and imitates it
        ("x86_64", False, False, False),  # AVX2 alone
        ("AMD64", True, False, False),
        ("aarch64", True, False, True),
        ("aarch64", False, False, False),
    ],
)
def test_a_processor_computes_in_bfloat16_where_it_has_instructions_for_it(
    machine: str, onednn: bool, avx512_bf16: bool, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert computes_in_bfloat16(CPU) == native


@pytest.mark.parametrize(("native", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_the_device_chooses_where_the_parameters_do_not(
    native: bool, chosen: Precision, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computes(monkeypatch, native)
    assert run(AUTO, tmp_path).precision == chosen
    for asked in ("float32", "bfloat16"):
        assert choose_precision(asking(asked), training.World(0, 1, CPU)) == asking(asked)


@pytest.mark.parametrize("native", [True, False])
def test_auto_trains_what_the_chosen_precision_trains(
    native: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computes(monkeypatch, native)
    auto = run(AUTO, tmp_path / "auto")
    explicit = run(asking(auto.precision), tmp_path / "explicit")
    assert figures(auto.history) == figures(explicit.history)
    assert all(torch.equal(auto.state[name], tensor) for name, tensor in explicit.state.items())


def test_a_choice_that_is_still_open_is_no_precision() -> None:
    assert [precision_of(settings) for settings in possible_precisions(AUTO)] == ["float32", "bfloat16"]
    with pytest.raises(ValueError, match=r"train\.precision \(='auto'\) is not yet chosen"):
        precision_of(AUTO)
    with pytest.raises(ValueError, match="is not yet chosen"):
        set_up(MODEL, AUTO)


@pytest.mark.parametrize("native", [True, False])
def test_a_run_goes_on_in_its_precision_on_another_kind_of_processor(
    native: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computes(monkeypatch, native)
    uninterrupted = run(AUTO, tmp_path / "whole")
    begin(AUTO, tmp_path / "moved")
    computes(monkeypatch, not native)
    observer = Recorder()
    moved = run(AUTO, tmp_path / "moved", observer)
    assert len(observer.history) == 2 and moved.precision == uninterrupted.precision
    assert figures(moved.history) == figures(uninterrupted.history)


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_auto_goes_on_from_a_checkpoint_whose_precision_was_asked_for(
    asked: Precision, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(asking(asked), tmp_path)
    computes(monkeypatch, asked != "bfloat16")
    assert run(AUTO, tmp_path).precision == asked


def test_a_checkpoint_in_another_precision_than_asked_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computes(monkeypatch, True)
    begin(AUTO, tmp_path)
    with pytest.raises(CheckpointError, match="other parameters or data"):
        run(asking("float32"), tmp_path)
    assert run(asking("bfloat16"), tmp_path).precision == "bfloat16"


def test_imitated_bfloat16_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    computes(monkeypatch, False)
    assert warning_of("float32", CPU) is None
    warning = warning_of("bfloat16", CPU)
    assert warning is not None and "bfloat16, which the cpu only imitates, slowly" in warning
    computes(monkeypatch, True)
    assert warning_of("bfloat16", CPU) is None


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a prepared dataset and an empty registry."""
    photos = {"train": [tiny_photo(seed, 24) for seed in range(5)], "val": [tiny_photo(9, 24)]}
    write_prepared(tmp_path / "data/prepared", photos, 24)
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own use of SQLAlchemy
@pytest.mark.parametrize(("native", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_package_report_and_run_tell_the_precision(
    native: bool, chosen: Precision, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    computes(monkeypatch, native)
    stage.run_training(SETTINGS)
    assert f"train: computes in {chosen}" in capsys.readouterr().out
    package = read_package(stage.TRAINED)
    lineage = package.config["lineage"]
    assert (lineage["params"]["train"]["precision"], lineage["precision"]) == ("auto", chosen)
    record = json.loads((stage.REPORT / "run.json").read_text())
    assert (record["params"]["train.precision"], record["lineage"]["precision"]) == ("auto", chosen)
    run_id = find_run("huebands", package.weights_sha256)
    assert run_id is not None
    store = f"sqlite:///{checkout / 'mlflow.db'}"
    client = connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    trained = client.get_run(run_id).data
    parent = client.get_run(trained.tags["mlflow.parentRunId"]).data
    for data in (trained, parent):
        assert (data.params["train.precision"], data.tags["huebands.precision"]) == ("auto", chosen)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own use of SQLAlchemy
def test_package_report_and_run_tell_a_collapse(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huebands.training.collapse.SURE_LOSS", 100.0)  # every loss is that of a sure discriminator
    stage.run_training(SETTINGS)
    assert capsys.readouterr().out.count("train: the discriminator collapsed: from epoch 2 to 4 ") == 1
    package = read_package(stage.TRAINED)
    collapse = package.config["lineage"]["collapse"]
    assert collapse.startswith("collapsed: from epoch 2 to 6 it told real from made-up colours nearly always")
    assert json.loads((stage.REPORT / "run.json").read_text())["lineage"]["collapse"] == collapse
    run_id = find_run("huebands", package.weights_sha256)
    assert run_id is not None
    store = f"sqlite:///{checkout / 'mlflow.db'}"
    client = connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    assert client.get_run(run_id).data.tags["huebands.collapse"] == collapse


def train_elsewhere(checkout: Path, settings: params.Params) -> Path:
    (checkout / "params.json").write_text(json.dumps(dataclasses.asdict(settings)))
    prepared, out = checkout / "data/prepared", checkout / "out"
    known = ["--data-sha256", data_sha256(prepared), "--git-commit", "c0ffee", "--device", "cpu"]
    training.main(["--params", str(checkout / "params.json"), "--data", str(prepared), "--out", str(out), *known])
    return out


def test_a_training_in_bfloat16_is_brought_home_to_a_processor_without(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computes(monkeypatch, True)
    out = train_elsewhere(checkout, SETTINGS)
    computes(monkeypatch, False)
    for asked in ("auto", "bfloat16"):
        import_job(out, dataclasses.replace(SETTINGS, train=asking(asked)))
        assert read_package(stage.TRAINED).config["lineage"]["precision"] == "bfloat16"
    with pytest.raises(PackageError, match=r"other parameters than params\.yaml has: train\.precision$"):
        import_job(out, dataclasses.replace(SETTINGS, train=asking("float32")))
    with pytest.raises(PackageError, match=r"other parameters than params\.yaml has: train\.seed$"):
        import_job(out, dataclasses.replace(SETTINGS, train=dataclasses.replace(AUTO, seed=7)))


def test_a_run_that_goes_on_in_imitated_bfloat16_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    computes(monkeypatch, True)
    train_elsewhere(checkout, SETTINGS)
    first = capsys.readouterr()
    assert "starting in bfloat16" in first.out and "bfloat16" not in first.err
    computes(monkeypatch, False)
    train_elsewhere(checkout, SETTINGS)
    again = capsys.readouterr()
    assert "going on after epoch 6 in bfloat16" in again.out
    assert "which the cpu only imitates" in again.err
