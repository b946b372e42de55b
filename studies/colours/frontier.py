"""Shows what the classifier's colours gain and lose with the temperature, and with the share of rebalancing undone.

    python studies/colours/frontier.py models/release/photos-large data/prepared FRONTIER.csv --undone 0.5

PACKAGE is a colorizer with two heads, of whose rebalancing `--undone` is taken back already. 400 photos, spread evenly
over val, are measured at the network's size; colours are averaged over the package's views, as `huebands colorize`
does. Each row has means over the photos, and the error of colourfulness as a share of grey's.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import measures
import torch
from torch import Tensor

from huebands.color import from_bytes, grey_levels, lightness_of_grey, to_bytes
from huebands.data.shards import LabShard
from huebands.models.networks import dual_head
from huebands.models.parts.ab_bins import annealed_mean, weigh_by_frequency
from huebands.models.views import average_over_views
from huebands.package.read import read_package
from huebands.photos.resize import resize
from package import colours

UNDONE = (0.0, 0.25, 0.5, 1.0)
TEMPERATURES = (0.25, 0.38, 0.5, 1.0)
FIGURES = ("ciede2000", "psnr", "colourfulness", "colourfulness_error")
COLUMNS = ("undone", "temperature", *FIGURES, "share_of_grey")
BATCH, PHOTOS = 16, 400

Shown = tuple[float | str, float | str]  # share undone and temperature


def main() -> None:
    """Read the arguments, measure, write a row for each way to show the colours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("output", type=Path, help="CSV")
    parser.add_argument("--undone", type=float, required=True, help="share of the package's rebalancing, 0 to 1")
    arguments = parser.parse_args()
    package = read_package(arguments.package)
    network, config = package.generator, package.config
    if not isinstance(network, dual_head.Network):
        parser.error(f"{arguments.package}: network (={config['network']['name']!r}) must be dual_head")
    uniform = config["lineage"]["params"]["model"]["objective"]["lambda_uniform"]
    log_weights_Q = weigh_by_frequency(colours(LabShard(arguments.prepared, "train")), uniform).log()
    biases = {share: (arguments.undone - share) * log_weights_Q[:, None, None] for share in UNDONE}
    totals: dict[Shown, list[Tensor]] = {}
    shard, preprocessing = LabShard(arguments.prepared, "val"), config["preprocessing"]
    for rgb_B3SS in _batches(shard, preprocessing["image_size"]):
        L_unit_B1SS = lightness_of_grey(grey_levels(rgb_B3SS))[:, None] / 50 - 1
        for way, ab_unit in _colours(network, biases, L_unit_B1SS, preprocessing["views"]).items():
            found = measures.figures(rgb_B3SS, L_unit_B1SS, ab_unit)
            totals.setdefault(way, []).append(torch.stack([found[name] for name in FIGURES]))
    means = {way: torch.cat(found, dim=1).mean(dim=1).tolist() for way, found in totals.items()}
    grey = means[("grey", "")][FIGURES.index("colourfulness_error")]
    with arguments.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for way, values in means.items():
            writer.writerow([*way, *(f"{value:.3f}" for value in values), f"{values[-1] / grey:.3f}"])
    print(arguments.output.read_text(encoding="utf-8"), end="")


def _batches(shard: LabShard, side: int) -> Iterator[Tensor]:
    """Photos at the network's size, uint8 (B, 3, side, side)."""
    rows = torch.linspace(0, len(shard) - 1, min(PHOTOS, len(shard))).round().long()
    for batch in rows.split(BATCH):
        yield to_bytes(resize(from_bytes(shard.rgb(batch.tolist())), (side, side)))


@torch.inference_mode()
def _colours(
    network: dual_head.Network, biases: dict[float, Tensor], L_unit_B1SS: Tensor, views: int
) -> dict[Shown, Tensor]:
    """Colours ab_unit (B, 2, S, S) for each way to show them; all ways share the network's look at a view."""
    ways: list[Shown] = [("grey", ""), ("mean", ""), *product(UNDONE, TEMPERATURES)]

    def run(L_unit_B1SS: Tensor) -> Tensor:
        ab_unit, logits = network(L_unit_B1SS)
        shown = [torch.zeros_like(ab_unit), ab_unit]
        shown += [annealed_mean(logits + biases[share], t) for share, t in product(UNDONE, TEMPERATURES)]
        return resize(torch.cat(shown, dim=1), (L_unit_B1SS.shape[-2], L_unit_B1SS.shape[-1]))

    averaged = average_over_views(run, L_unit_B1SS, views)
    return dict(zip(ways, averaged.split(2, dim=1), strict=True))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
