"""Stage fit-density: the network that gives each pixel's colour distribution, from which bands take their shape.

It learns from the training photos, and stops by the validation photos: calibration and test photos are not looked at.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from huebands import params
from huebands.data.shards import LabShard, ShardError, data_sha256
from huebands.density.atypicality import Reference, statistics_of
from huebands.density.fit import Epoch, FitError, fit, prepare
from huebands.density.model import write_density
from huebands.density.network import DensityNetwork
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.lineage import git_commit
from huebands.params import DensityParams

PREPARED, DENSITY, REPORT = Path("data/prepared"), Path("models/density"), Path("reports/density")


def main() -> None:
    """Read data/prepared, write models/density and reports/density."""
    try:
        fit_density(params.load().density)
    except (params.ParamsError, ShardError, FetchError, FitError) as error:
        raise SystemExit(f"fit-density: {error}") from error


def fit_density(settings: DensityParams) -> None:
    """Fit on the train split and keep the epoch that is best on val."""
    torch.manual_seed(settings.seed)
    network = DensityNetwork(settings.encoder, settings.filters, settings.dropout, settings.bins)
    network.encoder.load_imagenet()
    network.eval()
    train = prepare(network, _photos("train"), settings.image_size, mirror=True)
    val = prepare(network, _photos("val"), settings.image_size, mirror=False)

    def log(epoch: Epoch) -> None:
        print(f"fit-density: epoch {epoch.epoch}: {epoch.train:.4f} nats a value on train, {epoch.val:.4f} on val")

    history = fit(network, train, val, settings, log)
    photos = ([part[row : row + 1] for part in train.features] for row in range(len(train.rgb_N3SS)))
    reference = Reference.fit(torch.stack([statistics_of(features) for features in photos]))
    lineage = {"git_commit": git_commit(), "data_sha256": data_sha256(PREPARED), "params": asdict(settings)}
    description = {"network": settings.network(), "image_size": settings.image_size, "lineage": lineage}
    write_density(DENSITY, network, reference, description)
    REPORT.mkdir(parents=True, exist_ok=True)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ["epoch", "train", "val"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(value, 4) for key, value in asdict(epoch).items()} for epoch in history)
    atomic.write_text(REPORT / "history.csv", table.getvalue())


def _photos(split: str) -> Iterator[Tensor]:
    shard = LabShard(PREPARED, split)
    if not len(shard):
        raise ShardError(f"{PREPARED}: the {split} split is empty; enlarge prepare.fractions.{split}")
    for row in range(len(shard)):
        yield shard.rgb([row])[0]


if __name__ == "__main__":
    main()
