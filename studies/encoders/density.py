"""Which frozen encoder knows most of colour: the density's decoder is fitted on the maps of each.

Every encoder gets the same photos, steps and seed; its maps are computed once. An encoder that sees photos larger than
the density's size gives its maps shrunk to those of that size, so that all are judged on the same pixels.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from huebands import params
from huebands.data.shards import LabShard
from huebands.density.fit import FitPhotos, fit, negative_log_likelihood, prepare
from huebands.density.network import DensityNetwork
from huebands.density.params import DensityParams
from huebands.models.encoders.encoder import Encoder, EncoderName
from huebands.models.feature_store import FeatureStore
from huebands.photos.resize import resize

SEEN: tuple[tuple[EncoderName, int], ...] = (
    ("efficientnet-lite0", 128), ("inception-v3", 128), ("efficientnet-lite2", 128), ("inception-v3", 192),
    ("efficientnet-lite1", 128), ("efficientnet-lite2", 192),
)  # fmt: skip
COLUMNS = ("encoder", "seen", "kB", "ms", "val", "error", "better", "better_error", "epoch", "fit_seconds")


def main() -> None:
    """Print a row for each encoder, and write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("output", type=Path, help="CSV")
    parser.add_argument("--train", type=int, default=3000, help="photos to fit on")
    parser.add_argument("--val", type=int, default=400, help="photos to measure on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--gib", type=float, default=8.0, help="room for an encoder's maps, GiB")
    arguments = parser.parse_args()
    settings = replace(
        params.load().density, image_size=128, epochs=arguments.epochs, batch_size=arguments.batch, filters=16
    )
    train, val = (
        _photos(LabShard(arguments.prepared, split), count)
        for split, count in (("train", arguments.train), ("val", arguments.val))
    )
    rows, first = list[dict[str, object]](), np.empty(0)
    for encoder, seen in SEEN:
        with tempfile.TemporaryDirectory(dir=arguments.output.parent) as folder:
            store = FeatureStore(arguments.gib, Path(folder))
            row, losses = _row(replace(settings, encoder=encoder), seen, train, val, store)
        first = losses if not len(first) else first
        better = first - losses
        row |= {"better": round(float(better.mean()), 4), "better_error": round(_error(better), 4)}
        rows.append({name: row[name] for name in COLUMNS})
        print(rows[-1], flush=True)
        with arguments.output.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


class EnlargingEncoder(Encoder):
    """An encoder that sees photos enlarged, and gives its maps at the sizes of those of the photos as they are."""

    def __init__(self, name: EncoderName, seen: int) -> None:
        super().__init__(name)
        self.seen = seen

    def forward(self, L_unit_B1SS: Tensor) -> list[Tensor]:
        """Map L_unit (B, 1, S, S) to feature maps (B, C, S / 2, S / 2) and coarser."""
        maps, size = super().forward(resize(L_unit_B1SS, (self.seen, self.seen))), L_unit_B1SS.shape[-1]
        return [resize(part, (part.shape[-2] * size // self.seen, part.shape[-1] * size // self.seen)) for part in maps]


def _photos(shard: LabShard, count: int) -> list[Tensor]:
    """Photos spread evenly over a split, uint8 (3, S, S) each."""
    rows = np.linspace(0, len(shard) - 1, count).round().astype(int).tolist()
    return [shard.rgb([row])[0] for row in rows]


def _row(
    settings: DensityParams, seen: int, train: list[Tensor], val: list[Tensor], store: FeatureStore
) -> tuple[dict[str, object], np.ndarray]:
    """Fit on an encoder's maps; gives a row and the val photos' losses."""
    torch.manual_seed(settings.seed)
    network = DensityNetwork(**settings.network())
    network.encoder = EnlargingEncoder(settings.encoder, seen)
    network.encoder.load_imagenet()
    network.eval().encoder.requires_grad_(False)
    started = time.process_time()
    photos = prepare(network, train, settings.image_size, 1, store, {"split": "train", "seen": seen})
    milliseconds = (time.process_time() - started) / len(train) * 1000
    held_out = prepare(network, val, settings.image_size, 1, store, {"split": "val", "seen": seen})
    started = time.process_time()
    history = fit(network, photos, held_out, settings, lambda epoch: print(f"{settings.encoder}: {epoch.sentence}"))
    seconds = time.process_time() - started
    losses = np.array(list(_losses(network, held_out)))
    row = {
        "encoder": settings.encoder,
        "seen": seen,
        "kB": round(2 * sum(part.numel() for part in photos.features[torch.tensor([0])]) / 1000),
        "ms": round(milliseconds, 1),
        "val": round(float(losses.mean()), 4),
        "error": round(_error(losses), 4),
        "epoch": min(history, key=lambda epoch: epoch.val).epoch,
        "fit_seconds": round(seconds),
    }
    return row, losses


@torch.inference_mode()
def _losses(network: DensityNetwork, photos: FitPhotos) -> Iterator[float]:
    """Negative log-likelihood of each photo, nats a value."""
    for row in range(len(photos)):
        random = torch.Generator().manual_seed(row)
        yield negative_log_likelihood(network, *photos.batch(torch.tensor([row])), random).item()


def _error(values: np.ndarray) -> float:
    """The standard error of a mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


if __name__ == "__main__":
    main()
