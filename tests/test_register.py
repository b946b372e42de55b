"""Stage register: the package, its one registration, and the champion's gate."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from huebands import local_store, package, params, tracking
from huebands.data import shards
from huebands.gate import judge
from huebands.images import write_png
from huebands.model_card import write_card
from huebands.stages import register
from tiny_package import (
    PHOTOS,
    network_of,
    tiny_config,
    write_calibration,
    write_earlier,
    write_tiny_distribution,
)

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SIZE = 16
SETTINGS = params.load(Path(__file__).parents[1] / "params.yaml")
MODEL = SETTINGS.register.model_name


def train(bias: float, epochs: int = 3) -> None:
    """Write what train, evaluate, distribution and calibrate would; `bias` moves all weights, and so the colours."""
    torch.manual_seed(0)
    config = tiny_config() | {"name": MODEL}
    config["lineage"] |= {"git_commit": "c0ffee", "data_sha256": "da" * 32, "data": "noise"}
    config["lineage"]["params"]["train"]["epochs"] = epochs
    generator = network_of(config["network"], SIZE)
    state = {name: tensor + (bias if name.endswith("weight") else 0) for name, tensor in generator.state_dict().items()}
    package.write_generator(register.TRAINED, state, config)
    trained = package.read_package(register.TRAINED)
    write_tiny_distribution(register.DISTRIBUTION)
    write_calibration(register.CALIBRATION, trained, register.DISTRIBUTION, alphas=(0.1, 0.2))
    write_json(register.CALIBRATE / "metrics.json", CALIBRATION)
    write_json(register.EVALUATE / "metrics.json", EVALUATION)
    write_png(register.EVALUATE / "sheet.png", np.zeros((4, 4, 3), np.uint8))
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
    (register.TRAIN / "pictures").mkdir(exist_ok=True)
    write_png(register.TRAIN / "pictures" / "epoch-0003.png", np.zeros((4, 4, 3), np.uint8))


EVALUATION = {
    "psnr": {"model": 20.0, "low": 18.0, "high": 22.0, "grey": 19.0},
    "fid": {"model": 60.0, "low": 50.0, "high": 70.0, "grey": 80.0},
    "kid": {"model": 0.02, "low": 0.01, "high": 0.03, "grey": 0.04, "standard_error": 0.005},
    "colourfulness": {"model": 5.0, "low": 4.0, "high": 6.0, "grey": 0.0, "truth": 30.0},
    "photos": 5,
}


CALIBRATION = {
    "alpha": 0.1,
    "photos": {"calibration": PHOTOS, "test": 3},
    "per_channel": {"coverage": 0.91},
    "worst_stratum": {"group": "L 20 to 40, chroma 5 to 10", "coverage": 0.8},
}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout where all stages before register have run, as the current folder."""
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    photos = np.random.default_rng(0).uniform(-20, 80, (5, 3, SIZE, SIZE)).clip(0)
    register.PREPARED.mkdir(parents=True)
    for split in params.SPLITS:
        shards.write_shard(register.PREPARED, split, ((photo * 100).astype("<i2") for photo in photos), 5, SIZE)
    rows = [dict.fromkeys(shards.MANIFEST_COLUMNS, "x") | {"split": split} for split in params.SPLITS]
    shards.write_manifest(register.PREPARED, pd.DataFrame(rows))
    train(bias=0.0)
    return tmp_path


def client() -> "tracking.mlflow.MlflowClient":
    store = local_store.store_uri(Path.cwd())
    return tracking.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)


def runs() -> list["tracking.mlflow.entities.Run"]:
    return client().search_runs([client().get_experiment_by_name("huebands").experiment_id])


def alias(name: str) -> int:
    return int(client().get_model_version_by_alias(MODEL, name).version)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_first_package_is_challenger_and_champion_with_all_that_belongs_to_it(checkout: Path) -> None:
    register.register(SETTINGS)
    assert alias("challenger") == alias("champion") == 1
    version = client().get_model_version(MODEL, "1")
    run = client().get_run(version.run_id)
    assert [metric.value for metric in client().get_metric_history(version.run_id, "huber")] == [1 / 7] * 3
    assert run.data.metrics["test.psnr"] == 20.0
    certificate = register.read_json(register.CALIBRATION / "calibration.json")["certificate"]
    for part, ending in (("curve", ""), ("grouped", ".grouped")):
        for row in certificate[part]:
            if row["alpha"] == 0.1:
                assert run.data.metrics[f"test.coverage.{row['mode']}{ending}"] == row["coverage"] > 0.8
                assert run.data.metrics[f"test.width.{row['mode']}{ending}"] == row["width"] > 0
    assert run.data.metrics["val.ciede2000"] > 0
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
    assert set(stages) == {"noise: train", "noise: evaluate", "noise: calibrate"}
    evaluation = stages["noise: evaluate"]
    assert evaluation.data.metrics["psnr.grey"] == 19.0
    assert [used.dataset.name for used in evaluation.inputs.dataset_inputs] == ["paintings test"]
    logged = {item.path for item in client().list_artifacts(evaluation.info.run_id, "reports")}
    assert logged == {"reports/metrics.json", "reports/sheet.png"}
    calibration = stages["noise: calibrate"]
    assert calibration.data.metrics["worst_stratum.coverage"] == 0.8, "its group is no figure"
    assert calibration.data.params["evenness"] == str(SETTINGS.calibrate.evenness)
    used = {used.dataset.name for used in calibration.inputs.dataset_inputs}
    assert used == {"paintings val", "paintings calibration", "paintings test"}
    logged = {item.path for item in client().list_artifacts(calibration.info.run_id, "reports")}
    assert logged == {f"reports/{name}" for name in ("metrics.json", "certificate.html", "calibration.json")}
    assert hashes(tracking.download_package(f"models:/{MODEL}@champion")) == hashes(register.GENERATOR)


def test_registering_twice_registers_once_with_the_same_bytes(checkout: Path) -> None:
    register.register(SETTINGS)
    first, record = hashes(register.GENERATOR), (register.REPORT / "registration.json").read_bytes()
    register.register(SETTINGS)
    assert hashes(register.GENERATOR) == first
    assert (register.REPORT / "registration.json").read_bytes() == record
    assert len(client().search_model_versions(f"name = '{MODEL}'")) == 1
    assert len(runs()) == 4, "the pipeline and its three stages"


def test_the_live_run_is_taken_where_the_store_has_it(checkout: Path) -> None:
    live = tracking.TrainingRun.start("noise", "huebands", {}, {})
    live.finish(package.read_package(register.TRAINED).weights_sha256)
    register.register(SETTINGS)
    assert client().get_model_version(MODEL, "1").run_id == live.run_id


@pytest.mark.parametrize(("errors", "champion"), [({1: 9.0, 2: 8.0}, 2), ({1: 8.0, 2: 9.0}, 1), ({1: 8.0, 2: 8.0}, 1)])
def test_only_a_better_challenger_becomes_champion(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, errors: dict[int, float], champion: int
) -> None:
    register.register(SETTINGS)
    old = package.read_package(register.GENERATOR).weights_sha256
    train(bias=0.01)
    monkeypatch.setattr(
        register,
        "mean_ciede2000",
        lambda colorizer, photos: errors[1 if colorizer.package.weights_sha256 == old else 2],
    )
    register.register(SETTINGS)
    assert alias("challenger") == 2
    assert alias("champion") == champion


def test_the_gate_measures_both_packages_on_the_val_split(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register.register(SETTINGS)
    train(bias=0.05)
    capsys.readouterr()
    register.register(SETTINGS)
    runs = [client().get_model_version(MODEL, version).run_id for version in ("1", "2")]
    first, second = (client().get_run(run).data.metrics["val.ciede2000"] for run in runs)
    assert first != second
    assert f"CIEDE2000 {second:.4f} against the champion's {first:.4f}" in capsys.readouterr().out
    assert alias("champion") == (2 if second < first else 1)


def test_a_champion_without_bands_of_this_version_gives_way(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = write_earlier(checkout / "earlier")
    assert earlier.calibration is None
    run = tracking.TrainingRun.start("earlier", "huebands", {}, {})
    run.finish(earlier.weights_sha256)
    tracking.register_package(earlier.folder, earlier.package_sha256, MODEL, run.run_id, {}, {})
    tracking.set_alias(MODEL, "champion", 1)
    register.register(SETTINGS)
    assert "the champion, version 1, has no bands that this version reads" in capsys.readouterr().out
    assert (alias("challenger"), alias("champion")) == (2, 2)


def test_trainings_of_released_packages_are_restored_once(checkout: Path) -> None:
    record = register.read_json(register.TRAIN / "run.json")
    write_json(register.RELEASED / "photos/run.json", record | {"name": "photos", "weights_sha256": "ab" * 32})
    shutil.copy(register.TRAIN / "history.csv", register.RELEASED / "photos")
    register.register(SETTINGS)
    register.register(SETTINGS)
    restored = [run for run in runs() if run.data.tags["mlflow.runName"] == "photos: train"]
    assert [run.info.status for run in restored] == ["FINISHED"]
    assert len(client().get_metric_history(restored[0].info.run_id, "huber")) == 3


def test_a_history_of_other_weights_is_refused(checkout: Path) -> None:
    record = register.read_json(register.TRAIN / "run.json")
    write_json(register.TRAIN / "run.json", record | {"weights_sha256": "00" * 32})
    with pytest.raises(package.PackageError, match=r"run\.json: weights_sha256 \(='0000"):
        register.register(SETTINGS)


def test_a_missing_report_ends_in_one_line(checkout: Path) -> None:
    (register.EVALUATE / "metrics.json").unlink()
    (checkout / "params.yaml").write_text((Path(__file__).parents[1] / "params.yaml").read_text())
    with pytest.raises(SystemExit, match=r"^register: reports/evaluate/metrics\.json: not found; `dvc repro`"):
        register.main()


@pytest.fixture
def certificate() -> Callable[[float], list[dict[str, object]]]:
    def entries(high: float) -> list[dict[str, object]]:
        row = {"mode": "per_channel", "alpha": 0.1, "coverage": high - 0.05, "coverage_high": high}
        return [row, row | {"mode": "joint", "coverage_high": 0.99}]

    return entries


def test_the_gate_asks_for_more_than_the_smallest_gain(certificate: Callable) -> None:
    sound = certificate(0.95)
    assert judge(10.0, 10.6, 0.5, sound, 0.1).promoted
    assert not judge(10.0, 10.5, 0.5, sound, 0.1).promoted
    assert not judge(10.0, 9.0, 0.0, sound, 0.1).promoted


def test_the_gate_refuses_coverage_that_contradicts_the_promise(certificate: Callable) -> None:
    assert judge(10.0, 11.0, 0.0, certificate(0.9), 0.1).promoted
    verdict = judge(10.0, 11.0, 0.0, certificate(0.89), 0.1)
    assert not verdict.promoted
    assert "per_channel coverage at alpha 0.1 is 0.8400" in verdict.reason
    assert "no coverage was measured at alpha 0.2" in judge(10.0, 11.0, 0.0, certificate(0.95), 0.2).reason


def test_without_a_champion_the_challenger_is_promoted_and_doubts_are_told(certificate: Callable) -> None:
    verdict = judge(10.0, None, 0.0, certificate(0.8), 0.1)
    assert verdict.promoted
    assert "there is no champion" in verdict.reason
    assert "below the 0.9 promised" in verdict.reason


def test_the_card_tells_licences_figures_and_promise(checkout: Path) -> None:
    config = package.read_package(register.TRAINED).config
    photos = [{"source": "met|1", "licence": "CC0", "split": split} for split in ("train", "train", "test")]
    calibration = register.read_json(register.CALIBRATION / "calibration.json")
    card = write_card(config, EVALUATION, calibration, photos)
    assert "| met\\|1 | CC0 | 2 | 0 | 0 | 1 |" in card
    assert "| PSNR, dB (higher is better) | 20 | 18 to 22 | 19 |  |" in card
    assert "| colourfulness | 5 | 4 to 6 | 0 | 30 |" in card
    assert "compare it with FID of 5 photos only. KID has no such bias; its standard error is 0.005." in card
    assert "| each channel's values | 0.1 | 90.0% |" in card
    assert "| each channel's values, in each group | 0.1 | 90.0% |" in card
    assert "19 photos calibrated it, so alpha starts at\n1/20." in card
    assert "the least covered at alpha 0.1 is " in card and "All of them: certificate.html." in card
    assert calibration["distribution_sha256"] in card
    assert calibration["weights_sha256"] in card
    assert "A U-Net generator (4 filters, depth 3). It works at 16x16 pixels" in card
    assert "Training took 3 epochs.\nIt learned the least mean squared error of a and b.\n" in card
    assert "The weights are an exponential moving average (decay 0.9 a step)." in card
    assert card == write_card(config, EVALUATION, calibration, photos)


def test_the_card_of_few_photos_shows_infinity_and_tells_nothing_of_sets(checkout: Path) -> None:
    config = package.read_package(register.TRAINED).config
    calibration = register.read_json(register.CALIBRATION / "calibration.json")
    few = {"psnr": {"model": None, "low": 0.0, "high": None, "grey": 19.0}, "photos": 1}
    card = write_card(config, few, calibration, [])
    assert "| PSNR, dB (higher is better) | ∞ | 0 to ∞ | 19 |  |" in card
    assert "FID" not in card
