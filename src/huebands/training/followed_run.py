"""A training that is followed in the terminal and in MLflow, and that a later start continues after a kill."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from huebands.files import atomic
from huebands.package.lineage import Dataset
from huebands.photos.write import write_png
from huebands.registry import live_run
from huebands.registry.live_run import LiveRun
from huebands.registry.training_run import TrainingRun
from huebands.training.loop import Row
from huebands.training.precision import Precision, warning_of
from huebands.training.report import record_of


class UnfinishedTraining:
    """The folder of what a training needs to continue after a kill.

    Attributes:
        folder: is removed when the training is done.
        checkpoint: file of the last checkpoint.
        pictures: folder of the sample grids so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint, self.pictures = folder / "last.pt", folder / "pictures"
        self._run_id, self._started_at = folder / "mlflow_run", folder / "started_at"

    def start_run(self, experiment: str, config: dict[str, Any], datasets: Sequence[Dataset]) -> LiveRun:
        """Start the MLflow run, or resume that of the checkpoint; without a checkpoint the folder starts empty.

        Raises:
            TrackingError: when the store answers and refuses the run. One that does not answer gets it later.
        """
        if not self.checkpoint.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._started_at.exists():
            atomic.write_text(self._started_at, live_run.now())
        started_at = self._started_at.read_text(encoding="utf-8")
        start = partial(
            TrainingRun.start,
            **record_of(config),
            experiment=experiment,
            datasets=datasets,
            run_id=self._run_id.read_text(encoding="utf-8") if self._run_id.exists() else None,
            started_at=started_at,
        )
        run = LiveRun.start(
            start,
            started_at,
            say=lambda line: tqdm.write(f"train: {line}"),
            keep_id=lambda run_id: atomic.write_text(self._run_id, run_id),
        )
        run.watch_system()
        return run

    def remove(self) -> None:
        """Remove the folder: the training is done."""
        shutil.rmtree(self.folder)


class Follower:
    """Shows the progress, writes the pictures, and hands rows on to MLflow when they are safe in a checkpoint.

    Args:
        unfinished: where the pictures go.
        run: in MLflow.
        device: that the training computes on.
        epochs: of the whole training.
        photos: of an epoch.
    """

    def __init__(
        self, unfinished: UnfinishedTraining, run: LiveRun, device: torch.device, epochs: int, photos: int
    ) -> None:
        self._unfinished, self._run, self._device, self._photos = unfinished, run, device, photos
        self._bar = tqdm(total=epochs * photos, unit="images", smoothing=0.05, mininterval=1.0)

    def started(self, history: list[Row], precision: Precision) -> None:
        """Say how the run computes and where a resumed one goes on, and give MLflow what it may lack."""
        tqdm.write(f"train: computes in {precision}")
        if warning := warning_of(precision, self._device):
            tqdm.write(f"train: {warning}")
        self._run.log_tag("precision", precision)
        if history:
            tqdm.write(f"going on after epoch {len(history)} from {self._unfinished.checkpoint}")
            self._run.log_history(history)
            for path in self._unfinished.pictures.glob("epoch-*.png"):
                self._run.log_picture(path, int(path.stem.removeprefix("epoch-")))
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
        path = self._unfinished.pictures / f"epoch-{epoch:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, grid)
        self._run.log_picture(path, epoch)

    def noticed(self, warning: str) -> None:
        """Warn."""
        tqdm.write(f"train: {warning}")

    def close(self) -> None:
        """End the bar, and leave it on the screen."""
        self._bar.close()
