"""Helpers for tests of the registry: a client of the store, and small runs, histories and packages."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from huebands.package.hashes import hash_package
from huebands.package.lineage import Dataset
from huebands.registry import connection, live_run, local_store
from huebands.registry.live_run import LiveRun
from huebands.registry.models import (
    PACKAGE_TAG,
    Registration,
    register_package,
)
from huebands.registry.runs import FinishedRun
from huebands.registry.training_run import TrainingRun

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


def history(epochs: int, first: int = 1) -> list[dict[str, float]]:
    return [
        {"epoch": epoch, "seconds": 2.5 * epoch} | {term: i + 1 / epoch for i, term in enumerate(TERMS)}
        for epoch in range(first, first + epochs)
    ]


def picture(epoch: int) -> NDArray[np.uint8]:
    return np.full((8, 24, 3), epoch % 256, dtype=np.uint8)


def start(run_id: str | None = None) -> TrainingRun:
    tags = {"git_commit": COMMIT}
    return TrainingRun.start("cgan", "huebands", {"train.epochs": 3}, tags, [Dataset(**DATASET)], run_id)


def begin(say: Callable[[str], None], keep_id: Callable[[str], None]) -> LiveRun:
    """A training's run that is logged beside it, begun now."""
    now = live_run.now()
    return LiveRun.start(partial(TrainingRun.start, "cgan", "huebands", {}, {}, started_at=now), now, say, keep_id)


def points(run_id: str, term: str) -> list[tuple[int, float]]:
    history = client().get_metric_history(run_id, term)
    return [(metric.step, metric.value) for metric in sorted(history, key=lambda metric: metric.step)]


def client() -> "connection.mlflow.MlflowClient":
    store = local_store.store_uri(Path.cwd())
    return connection.mlflow.MlflowClient(tracking_uri=store, registry_uri=store)


def register(package: Path, sha256: str | None = None, run_id: str | None = None) -> Registration:
    run_id, sha256 = run_id or finished_run(), sha256 or hash_package(package)
    return register_package(package, sha256, "generator", run_id, {"test/psnr": 23.0}, {"dvc_lock_sha256": "10c4"})


def register_files(package: Path, run_id: str) -> None:
    """Register a package as earlier versions of huebands did, as plain files below a run."""
    sha256 = hash_package(package)
    folder = f"package/{sha256[:16]}"
    client().create_registered_model("generator")
    client().log_artifacts(run_id, str(package), folder)
    client().create_model_version("generator", f"runs:/{run_id}/{folder}", run_id, tags={PACKAGE_TAG: sha256})


def finished_run() -> str:
    run = start()
    run.finish("ab" * 32)
    return run.run_id


def parent_of(run_id: str) -> "connection.mlflow.entities.Run":
    return client().get_run(client().get_run(run_id).data.tags["mlflow.parentRunId"])


def children_of(run_id: str) -> list["connection.mlflow.entities.Run"]:
    experiment = client().get_run(run_id).info.experiment_id
    return client().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")


def stage_run(name: str, package: str = "11", **options: Any) -> FinishedRun:
    return FinishedRun(
        name=name, params={"seed": 0}, metrics={"psnr": 1.0}, tags={"package_sha256": package}, **options
    )


def cut_off(monkeypatch: pytest.MonkeyPatch, method: str, call: int) -> None:
    """Interrupt the program at this call of a client's method, as if it were killed."""
    original, calls = getattr(connection.mlflow.MlflowClient, method), []

    def cut(*arguments: Any, **options: Any) -> Any:
        calls.append(method)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(connection.mlflow.MlflowClient, method, cut)
