"""The training loop: from photos to a generator and its history, resumable at every checkpoint."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from huebands.networks import build_generator
from huebands.networks.patchgan import PatchGAN
from huebands.networks.vgg import VGG16Features
from huebands.params import TrainParams
from huebands.training.checkpoint import load_checkpoint, save_checkpoint
from huebands.training.data import Photos, batches
from huebands.training.step import TERMS, Networks, Optimizers, training_step
from huebands.training.validation import sample_grid, validate

Row = dict[str, float]


class Observer(Protocol):
    """Who follows a run. Rows come when they are safe in a checkpoint, each once, also across restarts."""

    def started(self, history: list[Row]) -> None:
        """Training begins, after the epochs of `history`."""

    def step_done(self, epoch: int, photos: int) -> None:
        """That many more photos were trained on."""

    def rows_kept(self, rows: list[Row]) -> None:
        """These epochs are in the checkpoint."""

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        """A sample grid, uint8 (H, W, 3)."""


@dataclass(frozen=True)
class Trained:
    """The result: the generator's weights and one row an epoch."""

    state: dict[str, Tensor]
    history: list[Row]


def train(
    params: TrainParams,
    photos: Photos,
    validation: Photos,
    checkpoint: Path,
    data_sha256: str,
    observer: Observer,
) -> Trained:
    """Train the conditional GAN, or go on from the checkpoint.

    A run that was killed and started again gives the same weights, bit for bit, as one that was not (on one machine,
    with the same number of threads).

    Args:
        params: every knob.
        photos: the training split, sides of at least `params.image_size`.
        validation: the validation split, sides of `params.image_size`.
        checkpoint: the file to resume from and to write.
        data_sha256: of the prepared dataset; with the parameters, it says whether a checkpoint is this run's.
        observer: gets progress, rows and pictures.

    Raises:
        NonFiniteLossError: when a loss is not finite; the last checkpoint stays.
        CheckpointError: when the checkpoint is another run's.
    """
    fingerprint = hashlib.sha256(json.dumps([asdict(params), data_sha256], sort_keys=True).encode()).hexdigest()
    torch.manual_seed(params.seed)
    random = torch.Generator().manual_seed(params.seed)
    networks = build_networks(params)
    optimizers = build_optimizers(params, networks)
    history: list[Row] = []
    saved = load_checkpoint(checkpoint, fingerprint)
    if saved is not None:
        history = restore(saved, networks, optimizers, random)
    kept = len(history)
    earlier_seconds = history[-1]["seconds"] if history else 0.0
    started = time.perf_counter()
    observer.started(history)
    steps_per_epoch = -(-len(photos.ids) // params.batch_size)
    for epoch in range(len(history) + 1, params.epochs + 1):
        sums = dict.fromkeys(TERMS, torch.zeros(()))
        epoch_started = time.perf_counter()
        networks.generator.train()
        for index, (lab, ids) in enumerate(batches(photos, params.batch_size, params.image_size, params.flip, random)):
            lab = lab.contiguous(memory_format=torch.channels_last)
            terms = training_step(networks, optimizers, lab, ids, params, (epoch - 1) * steps_per_epoch + index + 1)
            sums = {name: sums[name] + terms[name] * len(ids) for name in TERMS}
            observer.step_done(epoch, len(ids))
        now = time.perf_counter()
        history.append(
            {
                "epoch": epoch,
                "seconds": round(earlier_seconds + now - started, 3),
                "images_per_second": round(len(photos.ids) / (now - epoch_started), 2),
                **{name: significant(float(total) / len(photos.ids)) for name, total in sums.items()},
                **{name: significant(value) for name, value in validate(networks.generator, validation).items()},
            }
        )
        if epoch == 1 or epoch % params.picture_every == 0 or epoch == params.epochs:
            observer.picture_made(epoch, sample_grid(networks.generator, validation))
        if epoch % params.checkpoint_every == 0 or epoch == params.epochs:
            save_checkpoint(checkpoint, capture(fingerprint, networks, optimizers, random, history))
            observer.rows_kept(history[kept:])
            kept = len(history)
    return Trained(networks.generator.state_dict(), history)


def significant(value: float) -> float:
    """Keep six significant digits: what float32 sums can promise."""
    return float(f"{value:.6g}")


def build_networks(params: TrainParams) -> Networks:
    """Build generator, discriminator and, where its weight is not 0, the perceptual term's VGG16."""
    generator = build_generator(asdict(params.generator))
    discriminator = PatchGAN(params.discriminator.filters, params.discriminator.layers)
    vgg = VGG16Features(params.vgg_weights) if params.loss.lambda_perceptual > 0 else None
    for network in (generator, discriminator, vgg):
        if network is not None:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Networks(generator, discriminator, vgg)


def build_optimizers(params: TrainParams, networks: Networks) -> Optimizers:
    """Adam with the same rate for both players."""
    settings: dict[str, Any] = {"lr": params.learning_rate, "betas": (params.beta1, 0.999)}
    return Optimizers(
        torch.optim.Adam(networks.generator.parameters(), **settings),
        torch.optim.Adam(networks.discriminator.parameters(), **settings),
    )


def capture(
    fingerprint: str, networks: Networks, optimizers: Optimizers, random: torch.Generator, history: list[Row]
) -> dict[str, Any]:
    """Gather the state of a run: weights, optimisers, randomness, history."""
    return {
        "fingerprint": fingerprint,
        "generator": networks.generator.state_dict(),
        "discriminator": networks.discriminator.state_dict(),
        "generator_optimizer": optimizers.generator.state_dict(),
        "discriminator_optimizer": optimizers.discriminator.state_dict(),
        "random": random.get_state(),
        "dropout_random": torch.get_rng_state(),
        "history": history,
    }


def restore(saved: dict[str, Any], networks: Networks, optimizers: Optimizers, random: torch.Generator) -> list[Row]:
    """Put the captured state back, and return the history."""
    networks.generator.load_state_dict(saved["generator"])
    networks.discriminator.load_state_dict(saved["discriminator"])
    optimizers.generator.load_state_dict(saved["generator_optimizer"])
    optimizers.discriminator.load_state_dict(saved["discriminator_optimizer"])
    random.set_state(saved["random"])
    torch.set_rng_state(saved["dropout_random"])
    history: list[Row] = saved["history"]
    return history
