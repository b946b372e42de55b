"""Train on any machine with torch, torchvision, numpy and safetensors, in one process or, by torchrun, in many.

    python -m huebands.training --params params.json --data data/prepared --out out
    torchrun --nproc-per-node 8 -m huebands.training --params params.json --data data/prepared --out out

Started again it goes on from its last checkpoint, also in another number of processes. What it leaves under --out is
what the stage train would have made; `python -m huebands.training.offsite.import_job` takes it up.
"""

import argparse
import datetime
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from huebands import params
from huebands.data import shards
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.generator import write_generator
from huebands.package.lineage import git_commit
from huebands.photos.write import write_png
from huebands.training.augment import Photos, load_photos
from huebands.training.checkpoint import CheckpointError
from huebands.training.distributed import World
from huebands.training.loop import NonFiniteLossError, Row, train
from huebands.training.precision import Precision, warning_of
from huebands.training.report import datasets_of, describe, with_outcome, write_report

SOURCES = "train.sources.json"  # of the training photos, where there is no manifest


class Follower:
    """Prints a line an epoch, and keeps the pictures and the time of the first start."""

    def __init__(self, out: Path, device: torch.device) -> None:
        self._out, self._device = out, device

    def started(self, history: list[Row], precision: Precision) -> None:
        """Say where a resumed run goes on, and how it computes."""
        if warning := warning_of(precision, self._device):
            print(warning, file=sys.stderr)
        start = f"going on after epoch {len(history)}" if history else "starting"
        print(f"{start} in {precision}", flush=True)

    def step_done(self, epoch: int, photos: int) -> None:
        """Nothing: the device is not waited for."""

    def rows_kept(self, rows: list[Row]) -> None:
        """Print what is safe."""
        for row in rows:
            print("  ".join(f"{name} {value:g}" for name, value in row.items()), flush=True)

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        """Write a sample grid."""
        write_png(self._out / "pictures" / f"epoch-{epoch:04d}.png", grid)

    def noticed(self, warning: str) -> None:
        """Warn."""
        print(warning, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with the arguments of the command line."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except (
        params.ParamsError, shards.ShardError, FetchError, CheckpointError, NonFiniteLossError, OSError, ValueError
    ) as error:  # fmt: skip
        print(f"huebands.training: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser("python -m huebands.training", description="Train without the pipeline.")
    result.add_argument("--params", type=Path, required=True, help="params.yaml, or the same as .json")
    result.add_argument("--data", type=Path, required=True, help="folder of the prepared dataset")
    result.add_argument("--out", type=Path, required=True, help="folder for checkpoint, package and report")
    result.add_argument("--data-sha256", help="of the whole dataset, where only train.npy and val.npy are here")
    result.add_argument("--git-commit", help="of the code, where it is no git checkout")
    result.add_argument("--device", choices=("cpu", "cuda"), help="the GPU, where there is one, unless given")
    return result


def run(options: argparse.Namespace) -> None:
    """Train, and write models/trained and reports/train below the output folder."""
    settings = params.load(options.params)
    data_sha256 = options.data_sha256 or identify(options.data)
    photos = read_split(options.data, "train", settings.train.load_size(settings.model.image_size))
    validation = read_split(options.data, "val", settings.model.image_size)
    optimisation = settings.train.limited(len(photos.ids))
    config = describe(settings.data, settings.model, optimisation, data_sha256, options.git_commit or git_commit())
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    world = World.join(options.device)
    try:
        if world.leads:
            make_ready(options.out, fresh=not checkpoint.exists())
        follower = Follower(options.out, world.device)
        trained = train(settings.model, optimisation, photos, validation, checkpoint, data_sha256, follower, world)
        if world.leads:
            config = with_outcome(config, trained)
            folder = options.out / "models" / "trained"
            weights_sha256 = write_generator(folder, trained.state, config)
            write_report(
                options.out / "reports" / "train",
                options.out / "pictures",
                trained,
                (options.out / "started_at").read_text(encoding="utf-8"),
                weights_sha256,
                config,
                datasets_of(settings.data, data_sha256),
            )
            print(f"{len(trained.history)} epochs, weights {weights_sha256[:12]} in {folder}")
    finally:
        world.leave()


def make_ready(out: Path, fresh: bool) -> None:
    """Note the time of the start, and make room for pictures; a checkpoint may have come without either."""
    start, pictures = out / "started_at", out / "pictures"
    if fresh:
        start.unlink(missing_ok=True)
        shutil.rmtree(pictures, ignore_errors=True)
    if not start.exists():
        atomic.write_text(start, datetime.datetime.now(datetime.UTC).isoformat())
    pictures.mkdir(exist_ok=True)


def identify(prepared: Path) -> str:
    """The dataset's sha256, which takes all of its files."""
    try:
        return shards.data_sha256(prepared)
    except shards.ShardError as error:
        raise shards.ShardError(f"{error}; or give --data-sha256, where only train.npy and val.npy are here") from error


def read_split(prepared: Path, split: str, size: int) -> Photos:
    """Read a split without its manifest: photos are named by their rows, and their sources may be unknown."""
    shard = shards.open_shard(prepared, split)
    if not len(shard):
        raise shards.ShardError(f"{prepared}: the split {split} is empty; add photos or change prepare.fractions")
    known = split == "train" and (prepared / SOURCES).exists()
    sources = json.loads((prepared / SOURCES).read_text(encoding="utf-8")) if known else ()
    return load_photos(shard, [f"{split}[{row}]" for row in range(len(shard))], size, sources)


if __name__ == "__main__":
    main()
