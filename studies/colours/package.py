"""Makes models/trained and reports/train of a training of the study, in place of the stage train.

    python studies/colours/package.py WEIGHTS REPORT --commit COMMIT --undone 0.5 --remark "..."

It is run in a checkout whose params.yaml and data/prepared are those of the release. WEIGHTS (safetensors) and REPORT
(JSON) are what train.py wrote. `--undone` is the share of the rebalancing that is taken back: the classifier learned to
weigh bins by w, so that much of log w is subtracted from its logits. `dvc commit --force train` then records both.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from huebands import params
from huebands.color import AB_SCALE
from huebands.data.shards import LabShard, data_sha256
from huebands.models.parts.ab_bins import weigh_by_frequency
from huebands.models.weights import read_weights
from huebands.package.generator import write_generator
from huebands.photos.resize import resize
from huebands.training.loop import Row, Trained
from huebands.training.report import datasets_of, describe, with_outcome, write_report

PREPARED, TRAINED, TRAIN_REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/train")
COUNTED = 1500  # train photos whose colours are counted
SIDE = 32  # pixels: the colours' resolution at 128 pixels and stride 4


def main() -> None:
    """Read the arguments, write both folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--commit", required=True, help="of the code that trained")
    parser.add_argument("--undone", type=float, default=0.0, help="share of the rebalancing, 0 to 1")
    parser.add_argument("--remark", default="", help="sentences for the card, after those on the training")
    arguments = parser.parse_args()
    settings, report = params.load(), json.loads(arguments.report.read_text())
    sha256 = data_sha256(PREPARED)
    state = {name: tensor.float() for name, tensor in read_weights(arguments.weights).items()}
    if arguments.undone:
        weights_Q = weigh_by_frequency(colours(LabShard(PREPARED, "train")), report["recipe"]["uniform"])
        state["bins.2.bias"] -= arguments.undone * weights_Q.log()
    trained = Trained(state, history_of(report), "bfloat16")
    config = with_outcome(describe(settings.data, settings.model, settings.train, sha256, arguments.commit), trained)
    config["lineage"]["remark"] = f"{remark_of(report, arguments.undone)} {arguments.remark}".rstrip()
    weights_sha256 = write_generator(TRAINED, state, config)
    started_at, datasets = f"{report['date']}T00:00:00+00:00", datasets_of(settings.data, sha256)
    with tempfile.TemporaryDirectory() as pictures:  # the study drew none
        write_report(TRAIN_REPORT, Path(pictures), trained, started_at, weights_sha256, config, datasets)
    print(f"weights {weights_sha256[:12]} in {TRAINED}, report in {TRAIN_REPORT}")


def colours(shard: LabShard) -> Iterator[Tensor]:
    """ab_unit (1, 2, SIDE, SIDE) of train photos, drawn with seed 0."""
    for row in np.random.default_rng(0).choice(len(shard), min(COUNTED, len(shard)), replace=False):
        yield resize(shard.lab([int(row)]), (SIDE, SIDE))[:, 1:] / AB_SCALE


def remark_of(report: dict[str, Any], undone: float) -> str:
    """What the parameters of the stage train do not tell."""
    recipe = report["recipe"]
    text = (
        f"The stage train did not make these weights: studies/colours/train.py did, with the recipe {recipe['name']!r}"
        f" of recipes/final.json, on one {report['device']}: {report['steps']} steps of {recipe['batch']} photos, drawn"
        f" from {report['train_photos']} train photos of photos-large and of open, with AdamW at a rate of"
        f" {recipe['rate']:g} and weight decay {recipe['decay']:g}. It saw WebP copies of them, 144 pixels a side."
        " Where the parameters of train in config.json differ from that recipe, the recipe holds."
    )
    share = f" Afterwards {undone:.0%} of the rebalancing of its bins was taken back, as chosen on val."
    return text + (share if undone else "")


def history_of(report: dict[str, Any]) -> list[Row]:
    """The losses at the end of each epoch, which is one pass over as many photos as there are.

    Seconds are those of the whole training, spread evenly over its steps.
    """
    steps, seconds = report["train_photos"] / report["recipe"]["batch"], report["seconds"] / report["steps"]
    rows = {max(round(row["step"] / steps), 1): row for row in report["history"]}
    return [
        {"epoch": epoch, "seconds": round(row["step"] * seconds, 1), "huber": row["huber"], "classes": row["classes"]}
        for epoch, row in rows.items()
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
