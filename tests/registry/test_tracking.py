"""Runs and registry, against a real SQLite store in a temporary folder."""

import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huebands.package.hashes import hash_package
from huebands.package.lineage import Dataset
from huebands.photos.write import write_png
from huebands.registry import connection, local_store
from huebands.registry.connection import TrackingError
from huebands.registry.models import (
    PACKAGE_TAG,
    RegisteredPackage,
    Registration,
    champion_version,
    download_package,
    find_package,
    register_package,
    set_alias,
    tag_version,
)
from huebands.registry.restoration import find_run, restore_run
from huebands.registry.runs import FinishedRun, log_runs, log_stages
from huebands.registry.training_run import TrainingRun

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

TERMS = ("generator", "discriminator", "adversarial", "huber", "perceptual", "chroma", "val_ab_mae")
STARTED = "2026-01-02T03:04:05.678+00:00"
COMMIT = "c0ffee" + 34 * "0"
DATASET = {"name": "noise train", "digest": "da" * 32, "source": "noise==1.0", "context": "training"}
RUN = {
    "name": "cgan-paintings",
    "started_at": STARTED,
    "weights_sha256": "ab" * 32,
    "lineage": {"git_commit": "c0ffee", "data_sha256": "da7a"},
    "params": {"train.epochs": 500, "model.objective.lambda_huber": 100.0},
    "datasets": [DATASET],
}


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of its own, as the current folder."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder of files, which is all that the registry needs to know of a package."""
    folder = tmp_path / "generator"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "generator.safetensors").write_bytes(b"weights")
    return folder


class GoneClient:
    """Stands for a client whose store no longer answers."""

    tracking_uri = "http://gone"

    def __getattr__(self, name: str) -> Any:
        raise connection.mlflow.MlflowException("refused")


def history(epochs: int, first: int = 1) -> list[dict[str, float]]:
    return [
        {"epoch": epoch, "seconds": 2.5 * epoch} | {term: i + 1 / epoch for i, term in enumerate(TERMS)}
        for epoch in range(first, first + epochs)
    ]


def picture(folder: Path, epoch: int) -> Path:
    path = folder / f"epoch-{epoch:04d}.png"
    write_png(path, np.full((8, 24, 3), epoch % 256, dtype=np.uint8))
    return path


def start(run_id: str | None = None) -> TrainingRun:
    tags = {"git_commit": COMMIT}
    return TrainingRun.start("cgan", "huebands", {"train.epochs": 3}, tags, [Dataset(**DATASET)], run_id)


def points(run_id: str, term: str) -> list[tuple[int, float]]:
    found = client().get_metric_history(run_id, term)
    return [(metric.step, metric.value) for metric in sorted(found, key=lambda metric: metric.step)]


def client() -> "connection.mlflow.MlflowClient":
    store = local_store.store_uri(Path.cwd())
    return connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)


def register(package: Path, sha256: str | None = None, run_id: str | None = None) -> Registration:
    run_id, sha256 = run_id or finished_run(), sha256 or hash_package(package)
    return register_package(package, sha256, "generator", run_id, {"test/psnr": 23.0}, {"dvc_lock_sha256": "10c4"})


def finished_run() -> str:
    run = start()
    run.finish("ab" * 32)
    return run.run_id


def test_a_run_can_be_watched_while_it_runs(checkout: Path) -> None:
    run = start()
    run.log_history(history(2))
    stored = client().get_run(run.run_id)
    assert stored.info.status == "RUNNING"
    assert stored.data.params == {"train.epochs": "3"}
    assert stored.data.tags["huebands.git_commit"] == stored.data.tags["mlflow.source.git.commit"] == COMMIT
    assert points(run.run_id, "huber") == [(row["epoch"], row["huber"]) for row in history(2)]


def parent_of(run_id: str) -> "connection.mlflow.entities.Run":
    return client().get_run(client().get_run(run_id).data.tags["mlflow.parentRunId"])


def children_of(run_id: str) -> list["connection.mlflow.entities.Run"]:
    experiment = client().get_run(run_id).info.experiment_id
    return client().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")


def test_a_training_is_the_child_of_its_pipeline_and_shares_its_fate(checkout: Path) -> None:
    run = start()
    parent = parent_of(run.run_id)
    assert (parent.info.run_name, client().get_run(run.run_id).info.run_name) == ("cgan", "cgan: train")
    assert parent.data.params == {"train.epochs": "3"}
    for act, status in ((run.fail, "FAILED"), (lambda: start(run.run_id), "RUNNING")):
        act()
        assert {client().get_run(each).info.status for each in (run.run_id, parent.info.run_id)} == {status}
    run.finish("ab" * 32)
    assert parent_of(run.run_id).info.status == "FINISHED"
    assert find_run("huebands", "ab" * 32) == run.run_id, "the training's, not the pipeline's"


def test_a_run_names_the_datasets_that_it_has_used(checkout: Path) -> None:
    for run_id in (start().run_id, restore_run("huebands", RUN, history(1), [])):
        (used,) = client().get_run(run_id).inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest, used.dataset.source) == ("noise train", "da" * 18, "noise==1.0")
        assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]


def test_a_watched_run_has_system_metrics_until_it_ends(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    run = start()
    run.watch_system()
    name, deadline = "system/cpu_utilization_percentage", time.monotonic() + 20
    while not points(run.run_id, name) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.finish("ab" * 32)
    count = len(points(run.run_id, name))
    time.sleep(0.3)
    assert count == len(points(run.run_id, name)) > 0


def test_stages_stand_beside_their_training_with_the_figures_on_top(checkout: Path, tmp_path: Path) -> None:
    run_id = finished_run()
    report = picture(tmp_path, 1)
    stage = FinishedRun(
        name="evaluate",
        params={"seed": 0},
        metrics={"psnr.model": 24.0},
        tags={"git_commit": COMMIT, "package_sha256": "11" * 32},
        datasets=[Dataset("noise test", "da" * 32, "noise==1.0", "evaluation")],
        reports=[report],
    )
    log_stages(run_id, [stage], {"test.psnr": 24.0})
    parent = parent_of(run_id)
    assert parent.data.metrics == {"test.psnr": 24.0}
    names = {run.info.run_name: run for run in children_of(parent.info.run_id)}
    assert set(names) == {"cgan: train", "cgan: evaluate"}
    logged = names["cgan: evaluate"]
    assert logged.info.status == "FINISHED" and logged.data.metrics == {"psnr.model": 24.0}
    assert logged.inputs.dataset_inputs[0].dataset.name == "noise test"
    assert [item.path for item in client().list_artifacts(logged.info.run_id, "reports")] == [f"reports/{report.name}"]


def stage_run(name: str, package: str = "11", **options: Any) -> FinishedRun:
    return FinishedRun(
        name=name, params={"seed": 0}, metrics={"psnr": 1.0}, tags={"package_sha256": package}, **options
    )


def test_stages_are_logged_once_for_each_package(checkout: Path) -> None:
    run_id = finished_run()
    parent_id = parent_of(run_id).info.run_id
    for _ in range(2):
        log_stages(run_id, [stage_run("evaluate"), stage_run("calibrate")], {"x": 1.0})
    log_stages(run_id, [stage_run("calibrate", "22")], {"x": 2.0})
    names = sorted(run.info.run_name for run in children_of(parent_id))
    assert names == ["cgan: calibrate", "cgan: calibrate", "cgan: evaluate", "cgan: train"]
    assert [metric.value for metric in client().get_metric_history(parent_id, "x")] == [1.0, 2.0]


def test_the_curves_of_a_stage_are_logged_by_epoch(checkout: Path) -> None:
    run_id = finished_run()
    rows = [{"epoch": epoch, "train": 1 / epoch, "val": 2 / epoch} for epoch in range(1, 4)]
    log_stages(run_id, [stage_run("fit-density", history=rows)], {})
    logged = next(run for run in children_of(parent_of(run_id).info.run_id) if "fit-density" in run.info.run_name)
    for term in ("train", "val"):
        assert points(logged.info.run_id, term) == [(row["epoch"], row[term]) for row in rows]


def cut_off(monkeypatch: pytest.MonkeyPatch, method: str, call: int) -> None:
    """Kill the program at this call of a client's method, as far as a test can."""
    whole, calls = getattr(connection.mlflow.MlflowClient, method), []

    def cut(*arguments: Any, **options: Any) -> Any:
        calls.append(method)
        if len(calls) == call:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(connection.mlflow.MlflowClient, method, cut)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("create_run", 1),
        ("log_batch", 1),
        ("log_inputs", 1),
        ("log_artifact", 1),
        ("set_terminated", 1),
        ("create_run", 2),
    ],
)
def test_stages_that_were_cut_off_are_logged_whole(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    run_id = finished_run()
    parent_id = parent_of(run_id).info.run_id
    report = picture(tmp_path, 1)
    stages = [stage_run(name, reports=[report], datasets=[Dataset(**DATASET)]) for name in ("evaluate", "calibrate")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, method, call)
        log_stages(run_id, stages, {"x": 1.0})
    log_stages(run_id, stages, {"x": 1.0})
    runs = {run.info.run_name: run for run in children_of(parent_id)}
    assert len(children_of(parent_id)) == len(runs) == 3
    for name in ("cgan: evaluate", "cgan: calibrate"):
        assert runs[name].info.status == "FINISHED" and runs[name].data.metrics == {"psnr": 1.0}
        assert len(runs[name].inputs.dataset_inputs) == 1
        assert len(client().list_artifacts(runs[name].info.run_id, "reports")) == 1
    assert client().get_run(parent_id).data.metrics == {"x": 1.0}


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("create_run", 2), ("log_batch", 1), ("log_batch", 2), ("log_inputs", 2), ("log_batch", 6), ("log_image", 2),
        ("set_tag", 1), ("set_terminated", 1), ("set_terminated", 2),
    ],
)  # fmt: skip
def test_a_restoration_that_was_cut_off_is_completed(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    monkeypatch.setattr("huebands.registry.runs._BATCH", 25)
    restored = ("huebands", RUN, history(6), [picture(tmp_path, 1), picture(tmp_path, 6)])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, method, call)
        restore_run(*restored)
    assert find_run("huebands", RUN["weights_sha256"]) is None
    run_id = restore_run(*restored)
    experiment = client().get_experiment_by_name("huebands").experiment_id
    runs = client().search_runs([experiment])
    assert {run.info.run_id for run in runs} == {run_id, parent_of(run_id).info.run_id} and len(runs) == 2
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.params == {"train.epochs": "500", "model.objective.lambda_huber": "100.0"}
        assert len(run.inputs.dataset_inputs) == 1
    for term in TERMS:
        assert points(run_id, term) == [(row["epoch"], row[term]) for row in history(6)]
    pictures = [item for item in client().list_artifacts(run_id, "images") if item.path.endswith(".png")]
    assert len(pictures) == 2
    assert find_run("huebands", RUN["weights_sha256"]) == run_id


def test_stages_of_a_training_without_a_pipeline_become_its_children(checkout: Path) -> None:
    lone = client().create_run(client().create_experiment("old"))
    log_stages(lone.info.run_id, [stage_run("evaluate")], {"x": 1.0})
    assert len(children_of(lone.info.run_id)) == 1
    assert client().get_run(lone.info.run_id).data.metrics == {"x": 1.0}


def test_a_comparison_has_one_run_a_candidate_below_one_for_all(checkout: Path) -> None:
    candidates = [FinishedRun(name=name, params={"kind": name}, metrics={"psnr": 1.0}, tags={}) for name in ("a", "b")]
    parent_id = log_runs("compare", FinishedRun(name="two", params={}, metrics={}, tags={}), candidates)
    assert {run.data.params["kind"] for run in children_of(parent_id)} == {"a", "b"}
    assert client().get_run(parent_id).info.status == "FINISHED"


def test_an_epoch_without_validation_has_no_point(checkout: Path) -> None:
    run = start()
    run.log_history([{"epoch": 1, "seconds": 1.0, "val_ab_mae": None}, {"epoch": 2, "seconds": 2.0, "val_ab_mae": 7}])
    run.log_history([{"epoch": 3, "seconds": 3.0, "val_ab_mae": float("nan")}])
    assert points(run.run_id, "val_ab_mae") == [(2, 7.0)]


def test_a_resumed_run_goes_on_where_it_stopped_without_double_points(checkout: Path, tmp_path: Path) -> None:
    killed = start()
    killed.log_history(history(4))
    killed.log_picture(picture(tmp_path, 4), 4)
    killed.fail()
    resumed = start(run_id=killed.run_id)
    assert resumed.run_id == killed.run_id
    assert resumed.started_at == killed.started_at
    assert client().get_run(resumed.run_id).info.status == "RUNNING"
    resumed.log_picture(picture(tmp_path, 4), 4)
    resumed.log_history([row | {"seconds": row["seconds"] + 0.5} for row in history(4, first=3)])
    resumed.finish("ab" * 32)
    assert [step for step, _ in points(resumed.run_id, "huber")] == [1, 2, 3, 4, 5, 6]
    pictures = [item for item in client().list_artifacts(resumed.run_id, "images") if item.path.endswith(".png")]
    assert len(pictures) == 1
    assert client().get_run(resumed.run_id).info.status == "FINISHED"


def test_resuming_in_another_store_says_so_and_starts_anew(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = start(run_id="0" * 32)
    assert run.run_id != "0" * 32
    assert f"run {'0' * 32} is not in this store" in caplog.text
    assert client().get_run(run.run_id).data.tags["huebands.resumed_from"] == "0" * 32


def test_a_restored_run_has_every_point_at_its_time(checkout: Path, tmp_path: Path) -> None:
    rows = history(500)
    run_id = restore_run("huebands", RUN, rows, [picture(tmp_path, 1), picture(tmp_path, 500)])
    began = round(datetime.fromisoformat(STARTED).timestamp() * 1000)
    for term in TERMS:
        found = sorted(client().get_metric_history(run_id, term), key=lambda metric: metric.step)
        assert [metric.value for metric in found] == [row[term] for row in rows], term
        assert [metric.step for metric in found] == list(range(1, 501)), term
        assert [metric.timestamp for metric in found] == [began + 2500 * step for step in range(1, 501)], term
    stored = client().get_run(run_id)
    assert (stored.info.start_time, stored.info.end_time) == (began, began + 500 * 2500)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"train.epochs": "500", "model.objective.lambda_huber": "100.0"}
    assert stored.data.tags["huebands.restored"] == "True"
    steps = {Path(item.path).name.split("+")[2] for item in client().list_artifacts(run_id, "images")}
    assert steps == {"1", "500"}


def test_a_run_is_found_by_its_weights(checkout: Path) -> None:
    assert find_run("huebands", RUN["weights_sha256"]) is None
    run_id = restore_run("huebands", RUN, history(2), [])
    assert find_run("huebands", RUN["weights_sha256"]) == run_id
    assert find_run("huebands", "cd" * 32) is None


def test_a_package_is_registered_once(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    assert register(package, "11" * 32, run_id) == Registration(
        RegisteredPackage("generator", 1, "11" * 32), created=True
    )
    assert register(package, "11" * 32, run_id) == Registration(
        RegisteredPackage("generator", 1, "11" * 32), created=False
    )
    assert register(package, "22" * 32, run_id) == Registration(
        RegisteredPackage("generator", 2, "22" * 32), created=True
    )
    assert len(client().search_model_versions("name = 'generator'")) == 2
    stored = client().get_run(run_id).data
    assert stored.metrics["test/psnr"] == 23.0
    assert stored.tags["huebands.dvc_lock_sha256"] == "10c4"


def test_one_run_keeps_each_of_its_packages(checkout: Path, package: Path) -> None:
    run_id = finished_run()
    register(package, run_id=run_id)
    (package / "config.json").write_text("calibrated anew")
    register(package, run_id=run_id)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert (download_package("models:/generator/2") / "config.json").read_text() == "calibrated anew"


def test_tags_of_a_version_are_replaced(checkout: Path, package: Path) -> None:
    register(package, "11" * 32)
    version = find_package("models:/generator/1")
    for value in ("a", "b"):
        tag_version(version, {"gate.reason": value})
    assert client().get_model_version("generator", "1").tags["huebands.gate.reason"] == "b"


def test_aliases_point_at_versions(checkout: Path, package: Path) -> None:
    assert champion_version("generator") is None
    register(package, "11" * 32)
    assert champion_version("generator") is None
    set_alias("generator", "champion", 1)
    register(package, "22" * 32)
    set_alias("generator", "challenger", 2)
    found = champion_version("generator")
    assert found == RegisteredPackage("generator", 1, "11" * 32)
    assert found.uri == "models:/generator/1"
    assert client().get_model_version_by_alias("generator", "challenger").tags[PACKAGE_TAG] == "22" * 32


@pytest.mark.parametrize("address", ["models:/generator/1", "models:/generator@champion"])
def test_a_registered_package_comes_back_as_it_was(checkout: Path, package: Path, address: str) -> None:
    register(package)
    set_alias("generator", "champion", 1)
    folder = download_package(address)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "config.json": b"{}",
        "generator.safetensors": b"weights",
    }


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("models:/generator", "models:/NAME/VERSION"),
        ("models:/generator/two", "models:/NAME/VERSION"),
        ("models:/generator/7", "models:/generator/7: not in the registry"),
        ("models:/generator@best", "models:/generator@best: not in the registry"),
        ("models:/other@champion", "models:/other@champion: not in the registry"),
    ],
)
def test_a_wrong_address_is_named_with_its_reason(checkout: Path, package: Path, address: str, reason: str) -> None:
    register(package)
    with pytest.raises(TrackingError, match=reason):
        download_package(address)


def test_outside_a_checkout_no_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError, match="set MLFLOW_TRACKING_URI"):
        download_package("models:/generator@champion")
    assert not (tmp_path / "mlflow.db").exists()


def test_a_moved_checkout_keeps_its_packages_and_pictures(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = restore_run("huebands", RUN, history(2), [picture(tmp_path, 1)])
    register(package, run_id=run_id)
    moved = tmp_path / "moved"
    checkout.rename(moved)
    monkeypatch.chdir(moved)
    folder = download_package("models:/generator/1")
    assert (folder / "generator.safetensors").read_bytes() == b"weights"
    assert len(client().list_artifacts(run_id, "images")) == 2
    assert register(package, "33" * 32, finished_run()) == Registration(
        RegisteredPackage("generator", 2, "33" * 32), created=True
    )
    assert not checkout.exists()


def test_a_store_named_by_its_uri_keeps_its_artifacts_beside_it(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_store.store_uri(checkout))
    monkeypatch.chdir(tmp_path)
    register(package)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"
    assert len(list((checkout / "mlartifacts" / "huebands").glob("*/artifacts/package/*/config.json"))) == 1


def test_a_store_that_vanishes_while_a_run_is_logged_is_named(
    checkout: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, sample = start(), picture(tmp_path, 1)
    run._client = GoneClient()
    for log in (
        lambda: run.log_history(history(1)),
        lambda: run.log_picture(sample, 1),
        lambda: run.finish("ab" * 32),
    ):
        with pytest.raises(TrackingError, match=f"run {run.run_id} cannot be logged to http://gone: refused; start"):
            log()
    run.fail()
    assert "cannot be logged to http://gone" in caplog.text, "a warning, so that the reason of the failure stays"


def test_an_experiment_in_a_copy_of_dvc_is_kept_by_its_checkout(
    checkout: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = checkout / ".dvc/tmp/exps/standalone/tmp1234"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    register(package)
    shutil.rmtree(copy)
    monkeypatch.chdir(checkout)
    assert (download_package("models:/generator/1") / "config.json").read_text() == "{}"


def test_a_database_without_its_artifacts_is_a_clear_error(checkout: Path, package: Path) -> None:
    register(package)
    shutil.rmtree(checkout / "mlartifacts")
    with pytest.raises(TrackingError, match=r"models:/generator/1: .* but not its files .* move mlartifacts/"):
        download_package("models:/generator/1")


def test_a_deleted_experiment_is_named_with_the_remedy(checkout: Path) -> None:
    run = start()
    client().delete_experiment(client().get_run(run.run_id).info.experiment_id)
    with pytest.raises(TrackingError, match=r"'huebands' is deleted: `mlflow experiments restore -x 1`"):
        start()


def test_a_store_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://name:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"no answer from http://127\.0\.0\.1:9: ") as caught:
        champion_version("generator")
    assert "secret" not in str(caught.value)


def test_a_store_of_an_unknown_kind_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "carrier-pigeon://me:secret@coop")
    with pytest.raises(TrackingError, match="carrier-pigeon") as caught:
        champion_version("generator")
    assert "secret" not in str(caught.value)
