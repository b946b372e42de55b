"""Stage register: the package, and its one registration, as challenger."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from huebands.data import shards
from huebands.data.params import SPLITS
from huebands.package.read import read_package
from huebands.promotion.criteria import COLOURS
from huebands.registry import restoration
from huebands.registry.champion import champion_version
from huebands.registry.connection import TrackingError
from huebands.registry.models import download_package, find_package
from huebands.registry.reports import read_report
from huebands.registry.training_photos import read_photos
from huebands.registry.training_run import TrainingRun
from huebands.stages import register
from pipeline_checkout import MODEL, SETTINGS, alias, client, runs, train, write_json

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

BESIDE = ("ingest", "prepare", "validate", "fit-density", "evaluate", "calibrate")  # stages logged beside the training
# Modules that call a function of the registry, where it is not the stage itself.
CALLERS = {"restore_run": restoration}


def told() -> str:
    return (register.REPORT / "registration.txt").read_text()


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_package_becomes_challenger_with_all_that_belongs_to_it(checkout: Path) -> None:
    register.register(SETTINGS)
    assert alias("challenger") == 1
    assert champion_version(MODEL) is None, "promotion is a step of its own"
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
    assert set(stages) == {f"{stage} (noise)" for stage in ("train", *BESIDE)}
    counted = {name: stages[f"{name} (noise)"].data for name in ("ingest", "prepare", "validate")}
    assert counted["ingest"].metrics == {"photos": 50, "left_out": 1}
    index_sha256 = hashlib.sha256((register.STAGES.raw / "index.parquet").read_bytes()).hexdigest()
    assert counted["ingest"].tags["huebands.index_sha256"] == index_sha256
    assert counted["prepare"].metrics["photos.calibration"] == 12 and counted["prepare"].metrics["set_aside"] == 0
    assert counted["prepare"].params["fractions.train"] == str(SETTINGS.prepare.fractions["train"])
    assert counted["validate"].metrics["expectations"] == counted["validate"].metrics["expectations_met"] == 6
    assert {data.tags["huebands.data_sha256"] for data in counted.values()} == {shards.data_sha256(register.PREPARED)}
    evaluation = stages["evaluate (noise)"]
    assert evaluation.data.metrics["psnr.grey"] == 19.0
    assert evaluation.data.metrics["sources.BIDS/BSDS500.ciede2000.model"] == 9.5
    assert [used.dataset.name for used in evaluation.inputs.dataset_inputs] == ["paintings test"]
    logged = {item.path for item in client().list_artifacts(evaluation.info.run_id, "reports")}
    assert logged == {"reports/metrics.json", "reports/sheet.png"}
    fit = stages["fit-density (noise)"]
    curve = client().get_metric_history(fit.info.run_id, "val")
    assert [(metric.step, metric.value) for metric in curve] == [(1, 3.25), (2, 3.5)]
    assert fit.data.metrics["best_val"] == 3.25 and fit.data.params == {"epochs": "1"}
    assert fit.data.tags["huebands.git_commit"] == "0" * 40
    assert {used.dataset.name for used in fit.inputs.dataset_inputs} == {"paintings train", "paintings val"}
    logged = {item.path for item in client().list_artifacts(fit.info.run_id, "reports")}
    assert logged == {"reports/history.csv", "reports/distribution.json"}
    calibration = stages["calibrate (noise)"]
    assert calibration.data.metrics["worst_stratum.coverage"] == 0.8, "its group is no figure"
    assert calibration.data.metrics["sources.Fotos _ Bilder.joint.p_holm"] == 0.25, "MLflow refuses an ampersand"
    assert calibration.data.params["adaptivity"] == str(SETTINGS.calibrate.adaptivity)
    used = {used.dataset.name for used in calibration.inputs.dataset_inputs}
    assert used == {"paintings val", "paintings calibration", "paintings test"}
    logged = {item.path for item in client().list_artifacts(calibration.info.run_id, "reports")}
    assert logged == {f"reports/{name}" for name in ("metrics.json", "certificate.html", "calibration.json")}
    assert hashes(download_package(f"models:/{MODEL}@challenger")) == hashes(register.GENERATOR)
    seen = read_photos(find_package(f"models:/{MODEL}/1"))
    assert seen is not None and set(seen["split"]) == set(SPLITS), "the photos of the data that it was trained on"
    assert "`huebands lineage` knows the 48 photos of models:/huebands-generator/1" in told()


def test_registering_twice_registers_once_with_the_same_bytes(checkout: Path) -> None:
    register.register(SETTINGS)
    first, record = hashes(register.GENERATOR), (register.REPORT / "registration.json").read_bytes()
    register.register(SETTINGS)
    assert hashes(register.GENERATOR) == first
    assert (register.REPORT / "registration.json").read_bytes() == record
    assert len(client().search_model_versions(f"name = '{MODEL}'")) == 1
    assert len(runs()) == 2 + len(BESIDE), "the pipeline, the training and the other stages"
    assert f"models:/{MODEL}/1 (registered before) is the challenger" in told()


def test_the_live_run_is_taken_where_the_store_has_it(checkout: Path) -> None:
    live = TrainingRun.start("noise", "huebands", {}, {})
    live.finish(read_package(register.TRAINED).weights_sha256)
    register.register(SETTINGS)
    assert client().get_model_version(MODEL, "1").run_id == live.run_id


def test_what_was_cut_off_is_completed_and_nothing_is_there_twice(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_report(register.TRAIN / "run.json")
    write_json(register.RELEASED / "photos/run.json", record | {"name": "photos", "weights_sha256": "ab" * 32})
    shutil.copy(register.TRAIN / "history.csv", register.RELEASED / "photos")
    for name, after in (
        ("restore_run", True), ("register_package", True), ("log_stages", True), ("set_alias", False),
        ("restore_run", False),
    ):  # fmt: skip
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            cut_off(patch, name, after)
            register.register(SETTINGS)
    register.register(SETTINGS)
    assert alias("challenger") == 1
    assert len(client().search_model_versions(f"name = '{MODEL}'")) == 1
    expected = ["noise", *(f"{stage} (noise)" for stage in ("train", *BESIDE)), "photos", "train (photos)"]
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
    restored = [run for run in runs() if run.data.tags["mlflow.runName"] == "train (photos)"]
    assert [run.info.status for run in restored] == ["FINISHED"]
    assert len(client().get_metric_history(restored[0].info.run_id, "huber")) == 3


def test_a_history_of_other_weights_is_refused(checkout: Path) -> None:
    record = read_report(register.TRAIN / "run.json")
    write_json(register.TRAIN / "run.json", record | {"weights_sha256": "00" * 32})
    with pytest.raises(TrackingError, match=r"run\.json: weights_sha256 \(='0000"):
        register.register(SETTINGS)


def test_a_missing_report_ends_in_one_line(checkout: Path) -> None:
    (register.STAGES.evaluate / "metrics.json").unlink()
    with pytest.raises(SystemExit, match=r"^register: reports/evaluate/metrics\.json: not found; `dvc repro`"):
        register.main()


def test_a_fit_without_an_epoch_is_refused_before_anything_is_registered(checkout: Path) -> None:
    (register.STAGES.fit / "history.csv").write_text("epoch,train,val\n")
    with pytest.raises(SystemExit, match=r"^register: reports/density/history\.csv: has no epoch of the fit; take the"):
        register.main()
    assert not client().search_registered_models()


def test_a_name_that_the_registry_refuses_ends_in_one_line(checkout: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace(f"model_name: {MODEL}", "model_name: a/b"))
    with pytest.raises(SystemExit, match=r"^register: the registration of the package failed in sqlite:///.*'a/b'.*"):
        register.main()


def test_the_stage_promotes_where_the_parameters_say_so(checkout: Path, levels: dict[str, float]) -> None:
    automatic = replace(SETTINGS, promote=replace(SETTINGS.promote, automatic=True))
    register.register(automatic)
    assert alias("champion") == 1
    assert "is champion: there was no champion; better than grey: clearly lower by" in told()
    train(bias=0.05)
    levels["champion"] = 8.0
    register.register(automatic)
    assert (alias("challenger"), alias("champion")) == (2, 1)
    assert "is not champion: not better than the one in use" in told()
