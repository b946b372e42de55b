"""Stage register: the package, its one registration, and the gate of the registry's champion."""

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from huebands import params
from huebands.data import shards
from huebands.data.params import SPLITS
from huebands.package.generator import write_generator
from huebands.package.read import read_package
from huebands.photos.epoch_sheet import write_sheet
from huebands.photos.write import write_png
from huebands.promotion import gate
from huebands.promotion.criteria import COLOURS
from huebands.registry import connection, local_store, restoration
from huebands.registry.connection import TrackingError
from huebands.registry.models import champion_version, download_package, register_package, set_alias
from huebands.registry.reports import read_report
from huebands.registry.training_run import TrainingRun
from huebands.stages import register
from tiny_package import (
    PHOTOS,
    calibrate_tiny,
    network_of,
    tiny_config,
    write_tiny_density,
    write_uncalibrated,
)

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SIZE = 16
SETTINGS = params.load(Path(__file__).parents[2] / "params.yaml")
MODEL = SETTINGS.register.model_name


def train(bias: float, epochs: int = 3) -> None:
    """Write what train, evaluate, fit-density and calibrate would; `bias` moves all weights, and so the colours."""
    torch.manual_seed(0)
    config = tiny_config() | {"name": MODEL}
    config["lineage"] |= {"git_commit": "c0ffee", "data_sha256": shards.data_sha256(register.PREPARED), "data": "noise"}
    config["lineage"]["params"]["train"]["epochs"] = epochs
    generator = network_of(config["network"], SIZE)
    state = {name: tensor + (bias if name.endswith("weight") else 0) for name, tensor in generator.state_dict().items()}
    write_generator(register.TRAINED, state, config)
    trained = read_package(register.TRAINED)
    write_tiny_density(register.STAGES.density)
    calibrate_tiny(register.STAGES.calibration, trained, register.STAGES.density, alphas=(0.1, 0.2))
    write_json(register.STAGES.calibrate / "metrics.json", CALIBRATION)
    write_json(register.STAGES.evaluate / "metrics.json", EVALUATION)
    write_png(register.STAGES.evaluate / "sheet.png", np.zeros((4, 4, 3), np.uint8))
    run = {
        "name": "noise",
        "started_at": "2026-01-02T03:04:05+00:00",
        "weights_sha256": trained.weights_sha256,
        "lineage": {"git_commit": "c0ffee"},
        "params": {"train.epochs": epochs},
        "datasets": [],
    }
    write_json(register.TRAIN / "run.json", run)
    history = pd.DataFrame({"epoch": range(1, epochs + 1), "seconds": np.arange(epochs) / 3, "huber": 1 / 7})
    history.to_csv(register.TRAIN / "history.csv", index=False)
    register.STAGES.fit.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"epoch": [1, 2], "train": [3.5, 3.0], "val": [3.25, 3.5]}).to_csv(
        register.STAGES.fit / "history.csv", index=False
    )
    write_sheet(register.TRAIN / "pictures.png", {3: np.zeros((6, 4, 3), np.uint8)})


EVALUATION = {
    "psnr": {"model": 20.0, "low": 18.0, "high": 22.0, "grey": 19.0},
    "fid": {"model": 60.0, "low": 50.0, "high": 70.0, "grey": 80.0},
    "kid": {"model": 0.02, "low": 0.01, "high": 0.03, "grey": 0.04, "standard_error": 0.005},
    "colourfulness": {"model": 5.0, "low": 4.0, "high": 6.0, "grey": 0.0, "truth": 30.0},
    "photos": 5,
    "sources": {"BIDS/BSDS500": {"photos": 5, "ciede2000": {"model": 9.5, "grey": 11.5}}},
}


CALIBRATION = {
    "alpha": 0.1,
    "photos": {"calibration": PHOTOS, "test": 3},
    "per_channel": {"coverage": 0.91},
    "sources": {"Fotos & Bilder": {"photos": 3, "joint": {"p_holm": 0.25}}},
    "worst_stratum": {"group": "L 20 to 40, chroma 5 to 10", "coverage": 0.8},
}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


# Modules that call a function of the registry, where it is not the stage itself.
CALLERS = {"restore_run": restoration, "tag_version": gate}


class Scorer:
    """Gives each model its level, by chance more or less on each photo."""

    def __init__(self) -> None:
        self.levels = {"challenger": 9.0, "champion": 9.0, "grey": 10.0}

    def score(self, truth: np.ndarray, results: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        chance = np.random.default_rng(int(truth.sum())).normal(1, 1e-3, len(COLOURS))
        return {name: dict(zip(COLOURS, self.levels[name] * chance, strict=True)) for name in results}


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    scorer = Scorer()
    for module in (register, gate):
        monkeypatch.setattr(module, "ColourScorer", lambda: scorer)
    return scorer


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout where all stages before register have run, as the current folder."""
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    photos = np.random.default_rng(0).uniform(-20, 80, (12, 3, SIZE, SIZE)).clip(0)
    register.PREPARED.mkdir(parents=True)
    for split in SPLITS:
        shards.write_shard(register.PREPARED, split, ((photo * 100).astype("<i2") for photo in photos), 12, SIZE)
    rows = [dict.fromkeys(shards.MANIFEST_COLUMNS, "x") | {"split": split} for split in SPLITS]
    shards.write_manifest(register.PREPARED, pd.DataFrame(rows))
    train(bias=0.0)
    return tmp_path


def client() -> "connection.mlflow.MlflowClient":
    store = local_store.store_uri(Path.cwd())
    return connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)


def runs() -> list["connection.mlflow.entities.Run"]:
    return client().search_runs([client().get_experiment_by_name("huebands").experiment_id])


def alias(name: str) -> int:
    return int(client().get_model_version_by_alias(MODEL, name).version)


def decision() -> str:
    return (register.REPORT / "decision.txt").read_text()


def write_params() -> None:
    """Give the checkout its params.yaml, which a command reads."""
    Path("params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_first_package_is_challenger_and_champion_with_all_that_belongs_to_it(checkout: Path) -> None:
    register.register(SETTINGS)
    assert alias("challenger") == alias("champion") == 1
    version = client().get_model_version(MODEL, "1")
    run = client().get_run(version.run_id)
    assert [metric.value for metric in client().get_metric_history(version.run_id, "huber")] == [1 / 7] * 3
    assert run.data.metrics["test.psnr"] == 20.0
    certificate = read_report(register.STAGES.calibration / "calibration.json")["certificate"]
    for part, ending in (("curve", ""), ("grouped", ".grouped")):
        for row in certificate[part]:
            if row["alpha"] == 0.1:
                assert run.data.metrics[f"test.coverage.{row['mode']}{ending}"] == row["coverage"] > 0.8
                assert run.data.metrics[f"test.width.{row['mode']}{ending}"] == row["width"] > 0
    for criterion in COLOURS:
        assert run.data.metrics[f"val.{criterion}"] == pytest.approx(9, abs=0.01)
    for tags in (run.data.tags, version.tags):
        assert tags["huebands.register.data_sha256"] == shards.data_sha256(register.PREPARED)
        assert {
            "huebands.register.git_commit",
            "huebands.register.git_dirty",
            "huebands.package_sha256",
        } <= set(tags)
    parent = client().get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.data.metrics["test.psnr"] == 20.0
    stages = {run.info.run_name: run for run in runs() if "mlflow.parentRunId" in run.data.tags}
    assert set(stages) == {"noise: train", "noise: evaluate", "noise: fit-density", "noise: calibrate"}
    evaluation = stages["noise: evaluate"]
    assert evaluation.data.metrics["psnr.grey"] == 19.0
    assert evaluation.data.metrics["sources.BIDS/BSDS500.ciede2000.model"] == 9.5
    assert [used.dataset.name for used in evaluation.inputs.dataset_inputs] == ["paintings test"]
    logged = {item.path for item in client().list_artifacts(evaluation.info.run_id, "reports")}
    assert logged == {"reports/metrics.json", "reports/sheet.png"}
    fit = stages["noise: fit-density"]
    curve = client().get_metric_history(fit.info.run_id, "val")
    assert [(metric.step, metric.value) for metric in curve] == [(1, 3.25), (2, 3.5)]
    assert fit.data.metrics["best_val"] == 3.25 and fit.data.params == {"epochs": "1"}
    assert fit.data.tags["huebands.git_commit"] == "0" * 40
    assert {used.dataset.name for used in fit.inputs.dataset_inputs} == {"paintings train", "paintings val"}
    logged = {item.path for item in client().list_artifacts(fit.info.run_id, "reports")}
    assert logged == {"reports/history.csv", "reports/distribution.json"}
    calibration = stages["noise: calibrate"]
    assert calibration.data.metrics["worst_stratum.coverage"] == 0.8, "its group is no figure"
    assert calibration.data.metrics["sources.Fotos _ Bilder.joint.p_holm"] == 0.25, "MLflow refuses an ampersand"
    assert calibration.data.params["adaptivity"] == str(SETTINGS.calibrate.adaptivity)
    used = {used.dataset.name for used in calibration.inputs.dataset_inputs}
    assert used == {"paintings val", "paintings calibration", "paintings test"}
    logged = {item.path for item in client().list_artifacts(calibration.info.run_id, "reports")}
    assert logged == {f"reports/{name}" for name in ("metrics.json", "certificate.html", "calibration.json")}
    assert hashes(download_package(f"models:/{MODEL}@champion")) == hashes(register.GENERATOR)


def test_registering_twice_registers_once_with_the_same_bytes(checkout: Path) -> None:
    register.register(SETTINGS)
    first, record = hashes(register.GENERATOR), (register.REPORT / "registration.json").read_bytes()
    register.register(SETTINGS)
    assert hashes(register.GENERATOR) == first
    assert (register.REPORT / "registration.json").read_bytes() == record
    assert len(client().search_model_versions(f"name = '{MODEL}'")) == 1
    assert len(runs()) == 5, "the pipeline and its four stages"
    assert "it is champion: it was champion before" in decision()


def test_the_live_run_is_taken_where_the_store_has_it(checkout: Path) -> None:
    live = TrainingRun.start("noise", "huebands", {}, {})
    live.finish(read_package(register.TRAINED).weights_sha256)
    register.register(SETTINGS)
    assert client().get_model_version(MODEL, "1").run_id == live.run_id


def test_only_a_better_challenger_becomes_champion(checkout: Path, scorer: Scorer) -> None:
    register.register(SETTINGS)
    train(bias=0.01)
    scorer.levels["champion"] = 8.0
    register.register(SETTINGS)
    assert (alias("challenger"), alias("champion")) == (2, 1)
    scorer.levels["champion"] = 9.5
    register.register(SETTINGS)
    assert (alias("challenger"), alias("champion")) == (2, 2)


def test_a_model_that_is_not_better_than_grey_is_never_champion(checkout: Path, scorer: Scorer) -> None:
    scorer.levels["challenger"] = 10.0
    register.register(SETTINGS)
    assert alias("challenger") == 1
    assert champion_version(MODEL) is None
    assert "it does not become champion: not better than grey: no clear difference" in decision()


def test_differences_are_told_and_kept_as_tags_of_the_version(checkout: Path, scorer: Scorer) -> None:
    register.register(SETTINGS)
    train(bias=0.05)
    scorer.levels["champion"] = 8.0
    register.register(SETTINGS)
    tags = client().get_model_version(MODEL, "2").tags
    text = decision()
    for key, words in (("grey_lpips", "lpips"), ("in_use_bleeding", "bleeding")):
        interval = tags[f"huebands.gate.{key}"]
        assert re.fullmatch(r"[+-]\d.* \([+-].* to [+-].*\)", interval)
        line = next(line for line in text.splitlines() if interval in line)
        assert line.startswith(f"on 12 photos of val: {words} ")
    assert (tags["huebands.gate.promoted"], tags["huebands.gate.reason"]) == (
        "False",
        "not better than the one in use: clearly higher by ciede2000, lpips, colourfulness_error, bleeding",
    )
    assert tags["huebands.gate.reason"] in text
    for mode in ("per_channel", "joint"):
        assert re.search(
            rf"^on 3 photos of test: {mode} coverage 0\.\d+ of 0\.9 promised, p .* by the exact test$", text, re.M
        )
    assert client().get_model_version(MODEL, "1").tags["huebands.gate.promoted"] == "True"


def uncalibrated_champion(folder: Path) -> None:
    """Register a package that was never calibrated as champion."""
    earlier = write_uncalibrated(folder / "earlier")
    assert earlier.calibration is None
    run = TrainingRun.start("earlier", "huebands", {}, {})
    run.finish(earlier.weights_sha256)
    register_package(earlier.folder, earlier.package_sha256, MODEL, run.run_id, {}, {})
    set_alias(MODEL, "champion", 1)


def lost_champion(folder: Path) -> None:
    """Register a champion, and lose its files."""
    register.register(SETTINGS)
    shutil.rmtree(folder / "mlartifacts/huebands" / client().get_model_version(MODEL, "1").run_id / "artifacts/package")
    train(bias=0.05)


@pytest.mark.parametrize(
    ("make", "problem"), [(uncalibrated_champion, "has no calibration"), (lost_champion, "not its files")]
)
def test_a_champion_that_cannot_be_compared_stays_until_somebody_says_why(
    checkout: Path, make: Callable[[Path], None], problem: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make(checkout)
    register.register(SETTINGS)
    assert (alias("challenger"), alias("champion")) == (2, 1)
    text = decision()
    assert "does not become champion: the champion, version 1, cannot be compared: " in text and problem in text
    assert f'`python -m huebands.promotion.gate models:/{MODEL}/2 --override "WHY"` puts version 2 in its place' in text

    write_params()
    with pytest.raises(SystemExit) as left:
        gate.main([])
    assert left.value.code == 1 and "cannot be compared" in capsys.readouterr().out
    gate.main([f"models:/{MODEL}/2", "--override", "it is lost"])
    assert alias("champion") == 2
    assert "it is champion" in capsys.readouterr().out
    assert client().get_model_version(MODEL, "2").tags["huebands.gate.override"] == "it is lost"


def test_no_reason_makes_a_model_champion_that_is_not_better_than_grey(
    checkout: Path, scorer: Scorer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params()
    scorer.levels["challenger"] = 10.0
    register.register(SETTINGS)
    with pytest.raises(SystemExit) as left:
        gate.main(["--override", "I like it"])
    assert left.value.code == 1 and "not better than grey" in capsys.readouterr().out
    assert champion_version(MODEL) is None


def test_an_experiment_registers_and_never_promotes(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params()
    with monkeypatch.context() as patch:
        patch.setenv("DVC_EXP_NAME", "sunny-yak")
        register.register(SETTINGS)
    assert alias("challenger") == 1
    assert champion_version(MODEL) is None
    text = decision()
    assert "it does not become champion: better than grey" in text
    assert "but an experiment (='sunny-yak') does not become champion by itself: apply it, and run" in text
    assert f"`python -m huebands.promotion.gate models:/{MODEL}/1`" in text
    gate.main([f"models:/{MODEL}/1"])
    assert alias("champion") == 1


def test_the_gate_refuses_a_package_of_other_data_and_an_unknown_version(checkout: Path) -> None:
    register.register(SETTINGS)
    write_params()
    shards.write_manifest(register.PREPARED, shards.read_manifest(register.PREPARED).assign(name="y"))
    with pytest.raises(SystemExit, match=r"^gate: models:/huebands-generator/1: trained on the data"):
        gate.main([])
    with pytest.raises(SystemExit, match=r"^gate: models:/huebands-generator/7: not in the registry"):
        gate.main([f"models:/{MODEL}/7"])


def test_a_champion_whose_calibration_ends_above_alpha_cannot_be_compared(checkout: Path) -> None:
    register.register(SETTINGS)
    found = gate.find_champion(MODEL, 0.01)
    assert found is not None and found.colorizer is None
    assert found.problem == "its calibration supports no alpha of 0.01"


def test_a_recalibration_of_the_champion_is_decided_by_its_bands(checkout: Path, scorer: Scorer) -> None:
    register.register(SETTINGS)
    trained = read_package(register.TRAINED)
    calibrate_tiny(register.STAGES.calibration, trained, register.STAGES.density, photos=29, alphas=(0.1, 0.2))
    register.register(SETTINGS)
    assert alias("challenger") == 2
    lines = [line for line in decision().splitlines() if "bands in use" in line]
    assert len(lines) == 4, "miscoverage and width, in both modes"
    assert "colours alike, and" in decision()


def test_what_was_cut_off_is_completed_and_nothing_is_there_twice(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_report(register.TRAIN / "run.json")
    write_json(register.RELEASED / "photos/run.json", record | {"name": "photos", "weights_sha256": "ab" * 32})
    shutil.copy(register.TRAIN / "history.csv", register.RELEASED / "photos")
    for name, after in (
        ("restore_run", True), ("register_package", True), ("log_stages", True), ("set_alias", False),
        ("tag_version", True), ("restore_run", False),
    ):  # fmt: skip
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            cut_off(patch, name, after)
            register.register(SETTINGS)
    register.register(SETTINGS)
    assert (alias("challenger"), alias("champion")) == (1, 1)
    assert len(client().search_model_versions(f"name = '{MODEL}'")) == 1
    stages = ("train", "evaluate", "fit-density", "calibrate")
    expected = ["noise", *(f"noise: {stage}" for stage in stages), "photos", "photos: train"]
    assert sorted(run.info.run_name for run in runs()) == sorted(expected)
    assert {run.info.status for run in runs()} == {"FINISHED"}


def cut_off(patch: pytest.MonkeyPatch, name: str, after: bool) -> None:
    """Kill the program before or after it calls this function of the registry."""
    module = CALLERS.get(name, register)
    whole = getattr(module, name)

    def cut(*arguments: Any, **options: Any) -> None:
        if after:
            whole(*arguments, **options)
        raise KeyboardInterrupt

    patch.setattr(module, name, cut)


def test_trainings_of_released_packages_are_restored_once(checkout: Path) -> None:
    record = read_report(register.TRAIN / "run.json")
    write_json(register.RELEASED / "photos/run.json", record | {"name": "photos", "weights_sha256": "ab" * 32})
    shutil.copy(register.TRAIN / "history.csv", register.RELEASED / "photos")
    register.register(SETTINGS)
    register.register(SETTINGS)
    restored = [run for run in runs() if run.data.tags["mlflow.runName"] == "photos: train"]
    assert [run.info.status for run in restored] == ["FINISHED"]
    assert len(client().get_metric_history(restored[0].info.run_id, "huber")) == 3


def test_a_history_of_other_weights_is_refused(checkout: Path) -> None:
    record = read_report(register.TRAIN / "run.json")
    write_json(register.TRAIN / "run.json", record | {"weights_sha256": "00" * 32})
    with pytest.raises(TrackingError, match=r"run\.json: weights_sha256 \(='0000"):
        register.register(SETTINGS)


def test_a_missing_report_ends_in_one_line(checkout: Path) -> None:
    (register.STAGES.evaluate / "metrics.json").unlink()
    (checkout / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    with pytest.raises(SystemExit, match=r"^register: reports/evaluate/metrics\.json: not found; `dvc repro`"):
        register.main()


def test_a_fit_without_an_epoch_is_refused_before_anything_is_registered(checkout: Path) -> None:
    (register.STAGES.fit / "history.csv").write_text("epoch,train,val\n")
    (checkout / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    with pytest.raises(SystemExit, match=r"^register: reports/density/history\.csv: has no epoch of the fit; take the"):
        register.main()
    assert not client().search_registered_models()


def test_a_name_that_the_registry_refuses_ends_in_one_line(checkout: Path) -> None:
    write_params()
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace(f"model_name: {MODEL}", "model_name: a/b"))
    with pytest.raises(SystemExit, match=r"^register: the registration of the package failed in sqlite:///.*'a/b'.*"):
        register.main()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "mlartifacts"), r"No space left on device: 'mlartifacts'$"),
        (mlflow.MlflowException("not for you"), r"the search for the champion failed in sqlite:///.*: not for you; "),
    ],
)
def test_what_the_system_or_the_registry_refuses_ends_the_gate_in_one_line(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def refuse(*arguments: Any) -> None:
        raise error

    register.register(SETTINGS)
    write_params()
    if isinstance(error, OSError):
        monkeypatch.setattr(gate, "run_trial", refuse)
    else:
        monkeypatch.setattr(mlflow.MlflowClient, "get_model_version_by_alias", refuse)
    with pytest.raises(SystemExit, match=rf"^gate: .*{line}"):
        gate.main([f"models:/{MODEL}/1"])
