"""Stage train: the conditional GAN, followed in the terminal and in MLflow.

Writes models/trained/ (weights and config.json) and reports/train/ (history.csv, run.json, pictures/). What lets a
killed run go on lies in models/checkpoints/, which DVC leaves alone, until the run is done.
"""

import csv
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from huebands import package, params, tracking
from huebands.color import AB_SCALE
from huebands.data import shards
from huebands.images import write_png
from huebands.lineage import Dataset, dataset, flat, git_commit
from huebands.params import TrainParams
from huebands.pypi import FetchError
from huebands.tracking import TrackingError
from huebands.training.checkpoint import CheckpointError
from huebands.training.data import Photos, load_photos
from huebands.training.loop import Row, Trained, train
from huebands.training.step import NonFiniteLossError

PREPARED, TRAINED, REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/train")
UNFINISHED = Path("models/checkpoints")
CHECKPOINT, RUN_ID, PICTURES = UNFINISHED / "last.pt", UNFINISHED / "mlflow_run", UNFINISHED / "pictures"
NOT_LOGGED = ("checkpoint_every", "picture_every")  # they change nothing that runs are compared by


class Follower:
    """Shows the progress, keeps the pictures, and hands rows on to MLflow when they are safe in a checkpoint."""

    def __init__(self, settings: TrainParams, photos: int, run: tracking.TrainingRun) -> None:
        self._run, self._photos = run, photos
        self._bar = tqdm(total=settings.epochs * photos, unit="images", smoothing=0.05, mininterval=1.0)

    def started(self, history: list[Row]) -> None:
        """Say where a resumed run goes on, and give MLflow the rows that it may lack."""
        if history:
            tqdm.write(f"going on after epoch {len(history)} from {CHECKPOINT}")
            self._run.log_history(history)
            self._bar.update(len(history) * self._photos)
            self._bar.unpause()

    def step_done(self, epoch: int, photos: int) -> None:
        """Move the bar."""
        self._bar.set_description(f"epoch {epoch}", refresh=False)
        self._bar.update(photos)

    def rows_kept(self, rows: list[Row]) -> None:
        """Log to MLflow."""
        self._run.log_history(rows)
        self._bar.set_postfix({name: f"{rows[-1][name]:.3g}" for name in ("generator", "val_delta_e76")}, refresh=False)

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        """Write and log a sample grid."""
        path = PICTURES / f"epoch-{epoch:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, grid)
        self._run.log_picture(path, epoch)

    def close(self) -> None:
        """Leave the bar where it stands."""
        self._bar.close()


def main() -> None:
    """Train with the parameters of params.yaml on data/prepared."""
    known = (params.ParamsError, shards.ShardError, FetchError, CheckpointError, NonFiniteLossError, TrackingError)
    try:
        run_training(params.load())
    except known as error:
        raise SystemExit(f"train: {error}") from error


def run_training(settings: params.Params) -> None:
    """Train, follow, and write what came of it."""
    data_sha256 = shards.data_sha256(PREPARED)
    config = describe(settings, data_sha256)
    photos = read_split("train", round(settings.train.image_size * (1 + settings.train.jitter)))
    validation = read_split("val", settings.train.image_size)
    datasets = [
        dataset(settings.data, data_sha256, "train", "training"),
        dataset(settings.data, data_sha256, "val", "validation"),
    ]
    run = start_run(settings.register.experiment, config, datasets)
    follower = Follower(settings.train, len(photos.ids), run)
    try:
        trained = train(settings.train, photos, validation, CHECKPOINT, data_sha256, follower)
    except BaseException:
        run.fail()
        raise
    finally:
        follower.close()
    package.write_generator(TRAINED, trained.state, config)
    weights_sha256 = package.read_package(TRAINED).weights_sha256
    write_report(trained, run.started_at, weights_sha256, config, datasets)
    run.finish(weights_sha256)
    shutil.rmtree(UNFINISHED)
    print(f"train: {len(trained.history)} epochs, weights {weights_sha256[:12]} in {TRAINED}")


def describe(settings: params.Params, data_sha256: str) -> dict[str, Any]:
    """The package's config.json: network, preprocessing and lineage."""
    return {
        "format": package.FORMAT,
        "name": settings.data.name,
        "network": asdict(settings.train.generator),
        "preprocessing": {
            "image_size": settings.train.image_size,
            "lightness": package.LIGHTNESS,
            "resize": package.RESIZE,
            "ab_scale": AB_SCALE,
            "upsampling": asdict(settings.train.upsampling),
        },
        "lineage": {
            "git_commit": git_commit(),
            "data_sha256": data_sha256,
            "data": settings.data.name,
            "params": asdict(settings.train),
        },
    }


def read_split(split: str, size: int) -> Photos:
    """Read a prepared split at the given side."""
    manifest = shards.read_manifest(PREPARED)
    ids = manifest[manifest["split"] == split].sort_values("row")["id"].tolist()
    if not ids:
        raise shards.ShardError(f"{PREPARED}: the split {split} is empty; add photos or change prepare.fractions")
    return load_photos(shards.open_shard(PREPARED, split), ids, size)


def start_run(experiment: str, config: dict[str, Any], datasets: Sequence[Dataset]) -> tracking.TrainingRun:
    """Start the MLflow run, or take up that of the checkpoint."""
    if not CHECKPOINT.exists():
        shutil.rmtree(UNFINISHED, ignore_errors=True)
    run_id = RUN_ID.read_text(encoding="utf-8") if RUN_ID.exists() else None
    run = tracking.TrainingRun.start(**record_of(config), experiment=experiment, datasets=datasets, run_id=run_id)
    RUN_ID.parent.mkdir(parents=True, exist_ok=True)
    RUN_ID.write_text(run.run_id, encoding="utf-8")
    run.watch_system()
    return run


def record_of(config: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run in MLflow: its name, its flat parameters and its tags."""
    lineage = config["lineage"]
    params = {key: value for key, value in flat(lineage["params"]).items() if key not in NOT_LOGGED}
    experiment = os.environ.get("DVC_EXP_NAME")  # the name by which `dvc exp show` lists it
    return {
        "name": f"{lineage['data']} {lineage['params']['epochs']} epochs" + (f" ({experiment})" if experiment else ""),
        "params": {"data": lineage["data"], **params},
        "tags": {key: lineage[key] for key in ("git_commit", "data_sha256", "data")},
    }


def write_report(
    trained: Trained, started_at: str, weights_sha256: str, config: dict[str, Any], datasets: Sequence[Dataset]
) -> None:
    """Write the history, and what the run can be restored from."""
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    shutil.copytree(PICTURES, REPORT / "pictures")
    with (REPORT / "history.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(trained.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(trained.history)
    run = record_of(config)
    record = {
        "name": run["name"],
        "started_at": started_at,
        "weights_sha256": weights_sha256,
        "lineage": run["tags"],
        "params": run["params"],
        "datasets": [asdict(used) for used in datasets],
    }
    (REPORT / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
