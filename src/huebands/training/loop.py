"""The training loop: from photos to a generator and its history, resumable at every checkpoint."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from huebands.color import to_units
from huebands.models.interface import Condition
from huebands.models.params import ModelParams
from huebands.training.augment import Photos, Views, augment, draw_views
from huebands.training.checkpoint import load_checkpoint, save_checkpoint
from huebands.training.collapse import find_collapse
from huebands.training.distributed import ALONE, World
from huebands.training.ema import ExponentialMovingAverage
from huebands.training.learner import set_up
from huebands.training.params import TrainParams
from huebands.training.precision import Precision, choose_precision, possible_precisions, precision_of
from huebands.training.schedule import learning_rate
from huebands.training.stored_views import StoredViews, known_features
from huebands.training.validation import sample_grid, validate

Row = dict[str, float]
# None of these decides the weights.
_NOT_DECIDING = ("checkpoint_every", "picture_every", "resize", "views", "upsampling", "feature_gib")
_BATCH = 16  # photos that `Objective.prepare` gets at a time


class Observer(Protocol):
    """Who follows a run. Rows come when they are safe in a checkpoint, each once, also across restarts."""

    def started(self, history: list[Row], precision: Precision) -> None:
        """Training begins in this precision, after the epochs of `history`."""

    def step_done(self, epoch: int, photos: int) -> None:
        """That many more photos were handed to the device."""

    def rows_kept(self, rows: list[Row]) -> None:
        """These epochs are in the checkpoint."""

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        """A sample grid, uint8 (H, W, 3)."""

    def noticed(self, warning: str) -> None:
        """Something that the user should know, once."""


@dataclass(frozen=True)
class Trained:
    """The result.

    Attributes:
        state: the generator's weights.
        history: one row an epoch.
        precision: what the convolutions were computed in.
        collapse: of the discriminator, in words; "" where it did not collapse.
    """

    state: dict[str, Tensor]
    history: list[Row]
    precision: Precision
    collapse: str = ""


class NonFiniteLossError(RuntimeError):
    """A loss or gradient is not a finite number; the weights were not changed by it."""

    def __init__(self, step: int, terms: Sequence[str], ids: Sequence[str]) -> None:
        super().__init__(
            f"step {step}: {', '.join(terms)} not finite, on photos {', '.join(ids)}; weights and checkpoint are as "
            "they were before; lower train.learning_rate or the term's weight and delete the checkpoint to start anew"
        )
        self.step, self.terms, self.ids = step, tuple(terms), tuple(ids)


def train(
    model: ModelParams,
    params: TrainParams,
    photos: Photos,
    validation: Photos,
    checkpoint: Path,
    data_sha256: str,
    observer: Observer,
    world: World = ALONE,
) -> Trained:
    """Train a family's network on its objective, or go on from the checkpoint.

    A run that was killed and started again gives the same weights, bit for bit, as one that was not (on one machine,
    with the same number of threads and processes; on a GPU, up to rounding). It keeps the precision that it was started
    in, also on another device.

    Args:
        model: network and objective.
        params: of the optimisation.
        photos: the training split, sides of at least `model.image_size`.
        validation: the validation split, sides of `model.image_size`.
        checkpoint: the file to resume from and to write; only the leading process reads and writes it.
        data_sha256: of the prepared dataset; with the parameters, it says whether a checkpoint is this run's.
        observer: gets progress, rows and pictures, in the leading process only.
        world: the processes that train together; each holds all photos, and computes its part of each batch.

    Raises:
        NonFiniteLossError: when a loss is not finite; the last checkpoint stays.
        CheckpointError: when the checkpoint is another run's.
        ValueError: when there are fewer photos than processes, or fewer epochs than the objective needs, or when
            processes have other parameters or data.
    """
    least = model.objective.least_epochs
    if params.epochs < least:
        limit = f", which train.photos_seen (={params.photos_seen}) allows," if params.photos_seen else ""
        must = f"must be at least {least}, which model.objective (={model.objective.name}) needs"
        raise ValueError(f"train.epochs (={params.epochs}){limit} {must}")
    steps_per_epoch = -(-len(photos.ids) // params.batch_size)
    if len(photos.ids) // steps_per_epoch < world.size:
        raise ValueError(
            f"{world.size} processes, but a batch holds {len(photos.ids) // steps_per_epoch} of {len(photos.ids)} "
            f"photos; start fewer processes or raise train.batch_size (={params.batch_size})"
        )
    world.agree(fingerprint_of(model, params, data_sha256)[:12], "parameters and data (their fingerprints)")
    # A checkpoint's fingerprint tells the precision that its run was started in.
    runs = {fingerprint_of(model, run, data_sha256): run for run in possible_precisions(params)}
    saved = world.of_leader(load_checkpoint(checkpoint, runs) if world.leads else None)
    params = choose_precision(params, world) if saved is None else runs[saved["fingerprint"]]
    fingerprint = fingerprint_of(model, params, data_sha256)
    torch.manual_seed(params.seed)
    network, objective, learners = set_up(model, params, world)
    average = ExponentialMovingAverage(network, params.ema_decay)
    history: list[Row] = []
    step = 0
    if saved is not None:
        learners.restore(saved)
        average.load_state_dict(saved["average"])
        history, step = saved["history"], saved["step"]
    rows_reported, collapsed = len(history), find_collapse(history, objective) is not None
    earlier_seconds = history[-1]["seconds"] if history else 0.0
    started = time.perf_counter()
    if world.leads:
        observer.started(list(history), precision_of(params))
    photos, validation = photos.to(world.device), validation.to(world.device)
    objective.prepare(to_units(photos.lab(slice(row, row + _BATCH)))[1] for row in range(0, len(photos.ids), _BATCH))
    stored = StoredViews.prepare(network, photos, model.image_size, params, data_sha256, world)
    for epoch in range(len(history) + 1, params.epochs + 1):
        epoch_started = time.perf_counter()
        views = draw_epoch(photos, model.image_size, params, epoch, world)
        batches = (views if stored is None else stored.of_epoch(views, epoch)).split(steps_per_epoch)
        learners.train()
        rows = []
        for batch in batches:
            step += 1
            learners.step = step
            part = batch.part(world.rank, world.size)
            learners.set_learning_rate(learning_rate(params, step, steps_per_epoch))
            learners.set_share(len(part) * world.size / len(batch))
            L_unit, ab_unit = to_units(augment(photos, part, model.image_size))
            with known_features(stored, L_unit, part, epoch):
                figures = objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch)
            average.update(network, step)
            rows.append(torch.stack([figures[name] for name in objective.figures]) * (len(part) / len(batch)))
            if world.leads:
                observer.step_done(epoch, len(batch))
        table = world.sum(torch.stack(rows)).cpu()
        check_finite(table, objective.figures, step - len(batches), batches, photos.ids)
        now = time.perf_counter()
        history.append(
            {
                "epoch": epoch,
                "seconds": round(earlier_seconds + now - started, 3),
                "images_per_second": round(len(photos.ids) / (now - epoch_started), 2),
                "learning_rate": significant(learning_rate(params, step, steps_per_epoch)),
                **mean_figures(table, objective.figures, batches),
            }
        )
        if world.leads:
            history[-1] |= {name: significant(value) for name, value in validate(average.network, validation).items()}
            if epoch == 1 or epoch % params.picture_every == 0 or epoch == params.epochs:
                observer.picture_made(epoch, sample_grid(average.network, validation))
            if not collapsed and (collapse := find_collapse(history, objective)):
                collapsed = True
                observer.noticed(f"the discriminator {collapse}")
        if epoch % params.checkpoint_every == 0 or epoch == params.epochs:
            if world.leads:
                state = {"fingerprint": fingerprint, "step": step, "average": average.state_dict(), "history": history}
                save_checkpoint(checkpoint, state | learners.capture())
                observer.rows_kept(history[rows_reported:])
            world.wait()
            rows_reported = len(history)
    collapse = find_collapse(history, objective)
    return Trained(average.state_dict(), history, precision_of(params), str(collapse or ""))


def fingerprint_of(model: ModelParams, params: TrainParams, data_sha256: str) -> str:
    """Identify a run by what decides its weights: a sha256."""
    sections = (asdict(model), asdict(params))
    deciding = [{key: value for key, value in section.items() if key not in _NOT_DECIDING} for section in sections]
    return hashlib.sha256(json.dumps([*deciding, data_sha256], sort_keys=True).encode()).hexdigest()


def draw_epoch(photos: Photos, image_size: int, params: TrainParams, epoch: int, world: World) -> Views:
    """Seed the epoch's random numbers, and draw how photos are augmented: the same in every process."""
    seeds = np.random.SeedSequence([params.seed, epoch]).generate_state(2 + world.size, np.uint64)
    margin = photos.hundredths_NSS3.shape[1] - image_size
    torch.manual_seed(int(seeds[2 + world.rank] >> 1))  # of the dropout, which each process draws for its own part
    random = torch.Generator().manual_seed(int(seeds[0] >> 1))
    return draw_views(len(photos.ids), margin, params, random, photos.sources).to(world.device)


def check_finite(
    table: Tensor, figures: Sequence[str], step: int, batches: Sequence[Views], ids: Sequence[str]
) -> None:
    """Check that an epoch's figures are finite.

    Args:
        table: (steps, figures), on the CPU.
        figures: their names.
        step: done before the epoch.
        batches: of the epoch.
        ids: of the split's photos.

    Raises:
        NonFiniteLossError: naming the first step with a figure that is not finite, and its photos.
    """
    finite = torch.isfinite(table)
    for index in (~finite.all(dim=1)).nonzero().flatten().tolist():
        terms = [name for name, good in zip(figures, finite[index].tolist(), strict=True) if not good]
        raise NonFiniteLossError(step + index + 1, terms, [ids[row] for row in batches[index].rows.tolist()])


def mean_figures(table: Tensor, figures: Sequence[str], batches: Sequence[Views]) -> Mapping[str, float]:
    """Average an epoch's figures (steps, figures) over its photos."""
    weights = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
    means = (table.double() * weights[:, None]).sum(dim=0) / weights.sum()
    return {name: significant(value) for name, value in zip(figures, means.tolist(), strict=True)}


def significant(value: float) -> float:
    """Keep six significant digits: what float32 sums can promise."""
    return float(f"{value:.6g}")
