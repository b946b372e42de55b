"""Stage train: a family's network learns its objective, followed in the terminal and in MLflow.

Writes models/trained/ (weights and config.json) and reports/train/ (history.csv, run.json, pictures.png). What a killed
run needs to continue lies in models/checkpoints/, which DVC leaves alone, until the run is done.
"""

import os
from pathlib import Path

from huebands import params
from huebands.data import shards
from huebands.fetch.pypi import FetchError
from huebands.package.generator import write_generator
from huebands.package.lineage import git_commit
from huebands.package.schema import PackageError
from huebands.registry.connection import TrackingError
from huebands.training.augment import Photos, load_photos
from huebands.training.checkpoint import CheckpointError
from huebands.training.distributed import World
from huebands.training.followed_run import Follower, UnfinishedTraining
from huebands.training.loop import NonFiniteLossError, train
from huebands.training.report import datasets_of, describe, with_outcome, write_report

PREPARED, TRAINED, REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/train")
UNFINISHED = Path("models/checkpoints")


def main() -> None:
    """Train with the parameters of params.yaml on data/prepared."""
    errors = (params.ParamsError, shards.ShardError, FetchError, CheckpointError, NonFiniteLossError, TrackingError)
    if "RANK" in os.environ:
        raise SystemExit("train: the stage is one process; torchrun goes with `python -m huebands.training`")
    try:
        run_training(params.load())
    except (*errors, PackageError) as error:
        raise SystemExit(f"train: {error}") from error


def run_training(settings: params.Params) -> None:
    """Train, follow, and write the package and the report."""
    data_sha256 = shards.data_sha256(PREPARED)
    photos = read_photos("train", settings.train.load_size(settings.model.image_size))
    optimisation = settings.train.limited(len(photos.ids))
    config = describe(settings.data, settings.model, optimisation, data_sha256, git_commit())
    validation = read_photos("val", settings.model.image_size)
    datasets, world = datasets_of(settings.data, data_sha256), World.join()
    unfinished = UnfinishedTraining(UNFINISHED)
    run = unfinished.start_run(settings.register.experiment, config, datasets)
    follower = Follower(unfinished, run, world.device, optimisation.epochs, len(photos.ids))
    checkpoint = unfinished.checkpoint
    try:
        trained = train(settings.model, optimisation, photos, validation, checkpoint, data_sha256, follower, world)
    except BaseException:
        run.fail()
        raise
    finally:
        follower.close()
    config = with_outcome(config, trained)
    weights_sha256 = write_generator(TRAINED, trained.state, config)
    write_report(REPORT, unfinished.pictures, trained, run.started_at, weights_sha256, config, datasets)
    if trained.collapse:
        run.log_tag("collapse", trained.collapse)
    run.finish(weights_sha256)
    unfinished.remove()
    print(f"train: {len(trained.history)} epochs, weights {weights_sha256[:12]} in {TRAINED}")


def read_photos(split: str, size: int) -> Photos:
    """Read a prepared split at the given side, pixels."""
    rows = shards.read_split(PREPARED, split)
    return load_photos(shards.open_shard(PREPARED, split), rows["id"].tolist(), size, rows["source"].tolist())


if __name__ == "__main__":
    main()
