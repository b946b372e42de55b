"""Stage train: a family's network learns its objective, followed in the terminal and in MLflow.

Writes models/trained/ (weights and config.json) and reports/train/ (history.csv, run.json, pictures/). What lets a
killed run go on lies in models/checkpoints/, which DVC leaves alone, until the run is done.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from huebands import params
from huebands.data import shards
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.generator import write_generator
from huebands.package.lineage import Dataset, git_commit
from huebands.package.schema import PackageError
from huebands.params import TrainParams
from huebands.photos.write import write_png
from huebands.registry.connection import TrackingError
from huebands.registry.training_run import TrainingRun
from huebands.training.augment import Photos, load_photos
from huebands.training.checkpoint import CheckpointError
from huebands.training.distributed import World
from huebands.training.loop import NonFiniteLossError, Row, train
from huebands.training.precision import Precision, warning_of
from huebands.training.report import datasets_of, describe, record_of, with_precision, write_report

PREPARED, TRAINED, REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/train")
UNFINISHED = Path("models/checkpoints")
CHECKPOINT, RUN_ID, PICTURES = UNFINISHED / "last.pt", UNFINISHED / "mlflow_run", UNFINISHED / "pictures"


class Follower:
    """Shows the progress, keeps the pictures, and hands rows on to MLflow when they are safe in a checkpoint."""

    def __init__(self, settings: TrainParams, photos: int, run: TrainingRun, device: torch.device) -> None:
        self._run, self._photos, self._device = run, photos, device
        self._bar = tqdm(total=settings.epochs * photos, unit="images", smoothing=0.05, mininterval=1.0)

    def started(self, history: list[Row], precision: Precision) -> None:
        """Say how the run computes and where a resumed one goes on, and give MLflow what it may lack."""
        tqdm.write(f"train: computes in {precision}")
        if warning := warning_of(precision, self._device):
            tqdm.write(f"train: {warning}")
        self._run.log_tag("precision", precision)
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
    if "RANK" in os.environ:
        raise SystemExit("train: the stage is one process; torchrun goes with `python -m huebands.training`")
    try:
        run_training(params.load())
    except (*known, PackageError) as error:
        raise SystemExit(f"train: {error}") from error


def run_training(settings: params.Params) -> None:
    """Train, follow, and write what came of it."""
    data_sha256 = shards.data_sha256(PREPARED)
    config = describe(settings.data, settings.model, settings.train, data_sha256, git_commit())
    photos = read_split("train", settings.train.load_size(settings.model.image_size))
    validation = read_split("val", settings.model.image_size)
    datasets = datasets_of(settings.data, data_sha256)
    world = World.join()
    run = start_run(settings.register.experiment, config, datasets)
    follower = Follower(settings.train, len(photos.ids), run, world.device)
    try:
        trained = train(settings.model, settings.train, photos, validation, CHECKPOINT, data_sha256, follower, world)
    except BaseException:
        run.fail()
        raise
    finally:
        follower.close()
    config = with_precision(config, trained.precision)
    weights_sha256 = write_generator(TRAINED, trained.state, config)
    write_report(REPORT, PICTURES, trained, run.started_at, weights_sha256, config, datasets)
    run.finish(weights_sha256)
    shutil.rmtree(UNFINISHED)
    print(f"train: {len(trained.history)} epochs, weights {weights_sha256[:12]} in {TRAINED}")


def read_split(split: str, size: int) -> Photos:
    """Read a prepared split at the given side."""
    manifest = shards.read_manifest(PREPARED)
    ids = manifest[manifest["split"] == split].sort_values("row")["id"].tolist()
    if not ids:
        raise shards.ShardError(f"{PREPARED}: the split {split} is empty; add photos or change prepare.fractions")
    return load_photos(shards.open_shard(PREPARED, split), ids, size)


def start_run(experiment: str, config: dict[str, Any], datasets: Sequence[Dataset]) -> TrainingRun:
    """Start the MLflow run, or take up that of the checkpoint."""
    if not CHECKPOINT.exists():
        shutil.rmtree(UNFINISHED, ignore_errors=True)
    run_id = RUN_ID.read_text(encoding="utf-8") if RUN_ID.exists() else None
    run = TrainingRun.start(**record_of(config), experiment=experiment, datasets=datasets, run_id=run_id)
    RUN_ID.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(RUN_ID, run.run_id)
    run.watch_system()
    return run


if __name__ == "__main__":
    main()
