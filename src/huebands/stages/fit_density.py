"""Stage fit-density: the network that gives each pixel's colour distribution, from which bands take their shape.

It learns from the training photos, and stops by the validation photos: calibration and test photos are not looked at.
"""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from huebands import params
from huebands.data.shards import LabShard, ShardError, data_sha256
from huebands.density.atypicality import Reference, statistics_of
from huebands.density.fit import FitError, fit, history_table, prepare
from huebands.density.model import write_density
from huebands.density.network import DensityNetwork
from huebands.density.params import DensityParams
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.models.feature_store import FeatureStore
from huebands.package.lineage import git_commit
from huebands.training.distributed import World

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
    network.eval().to(World.join().device)
    sha256, store = data_sha256(PREPARED), FeatureStore(settings.feature_gib)
    # val first: where room is short, features of training photos are computed each time.
    val, train = (
        prepare(network, _Photos(split), settings.image_size, views, store, {"data": sha256, "split": split})
        for split, views in (("val", 1), ("train", settings.views))
    )
    if train.features.shortfall:
        print(f"fit-density: density.feature_gib (={settings.feature_gib:g}): {train.features.shortfall}")
    history = fit(network, train, val, settings, lambda epoch: print(f"fit-density: {epoch.sentence}"))
    photos = (train.features[torch.tensor([row])] for row in range(len(train.viewed.photos)))
    reference = Reference.fit(torch.stack([statistics_of(features) for features in photos]))
    lineage = {"git_commit": git_commit(), "data_sha256": sha256, "params": asdict(settings)}
    write_density(DENSITY, network.cpu(), reference, {**settings.description(), "lineage": lineage})
    REPORT.mkdir(parents=True, exist_ok=True)
    atomic.write_text(REPORT / "history.csv", history_table(history))


class _Photos:
    """The photos of a split, decoded when they are asked for."""

    def __init__(self, split: str) -> None:
        self._shard = LabShard(PREPARED, split)
        if not len(self._shard):
            raise ShardError(f"{PREPARED}: the {split} split is empty; enlarge prepare.fractions.{split}")

    def __len__(self) -> int:
        return len(self._shard)

    def __getitem__(self, row: int) -> Tensor:
        return self._shard.rgb([row])[0]


if __name__ == "__main__":
    main()
