"""Makes models/trained and reports/train of a training of the study, in place of the stage train.

    python studies/colours/package.py WEIGHTS REPORT --undone 0.5

It is run in a checkout whose params.yaml and data/prepared are those of the release. WEIGHTS (safetensors) and REPORT
(JSON) are what train.py wrote. `--undone` is the share of the rebalancing that is taken back: the classifier learned to
weigh bins by w, so that much of log w is subtracted from its logits. `dvc commit --force train` then records both.
"""

import argparse
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from huebands import params
from huebands.color import AB_SCALE
from huebands.data.shards import LabShard, data_sha256
from huebands.files import atomic
from huebands.models.parts.ab_bins import weigh_by_frequency
from huebands.models.weights import read_weights
from huebands.package.generator import write_generator
from huebands.photos.resize import resize
from huebands.training.report import datasets_of, describe, record_of

PREPARED, TRAINED, TRAIN_REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/train")
COUNTED = 1500  # train photos whose colours are counted
SIDE = 32  # pixels: the colours' resolution at 128 pixels and stride 4


def main() -> None:
    """Read the arguments, write both folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--undone", type=float, default=0.0, help="share of the rebalancing, 0 to 1")
    parser.add_argument("--commit", required=True, help="of the code that trained")
    arguments = parser.parse_args()
    settings, report = params.load(), json.loads(arguments.report.read_text())
    sha256, recipe = data_sha256(PREPARED), report["recipe"]
    config = describe(settings.data, settings.model, settings.train, sha256, arguments.commit)
    config["lineage"] |= {"precision": "bfloat16", "remark": remark_of(report, arguments.undone)}
    state = {name: tensor.float() for name, tensor in read_weights(arguments.weights).items()}
    if arguments.undone:
        weights_Q = weigh_by_frequency(colours(LabShard(PREPARED, "train")), recipe["uniform"])
        state["bins.2.bias"] -= arguments.undone * weights_Q.log()
    weights_sha256 = write_generator(TRAINED, state, config)
    run = record_of(config)
    record = {
        "name": run["name"],
        "started_at": report["date"],
        "weights_sha256": weights_sha256,
        "lineage": run["tags"],
        "params": run["params"],
        "datasets": [vars(entry) for entry in datasets_of(settings.data, sha256)],
    }
    with atomic.replace_folder(TRAIN_REPORT) as new:
        atomic.write_text(new / "history.csv", history_of(report))
        atomic.write_text(new / "run.json", json.dumps(record, indent=2) + "\n")
    print(f"weights {weights_sha256[:12]} in {TRAINED}, report in {TRAIN_REPORT}")


def colours(shard: LabShard) -> Iterator[Tensor]:
    """ab_unit (1, 2, SIDE, SIDE) of train photos, drawn with seed 0."""
    for row in np.random.default_rng(0).choice(len(shard), min(COUNTED, len(shard)), replace=False):
        yield resize(shard.lab([int(row)]), (SIDE, SIDE))[:, 1:] / AB_SCALE


def remark_of(report: dict[str, Any], undone: float) -> str:
    """What the parameters of the stage train do not tell."""
    recipe = report["recipe"]
    text = (
        f"The stage train did not make these weights: studies/colours/train.py did, with the recipe"
        f" {recipe['name']!r} of recipes/final.json, on one {report['device']}: {report['steps']} steps of"
        f" {recipe['batch']} photos, drawn from {report['train_photos']} train photos of photos-large and of open, with"
        f" AdamW at a rate of {recipe['rate']:g} and weight decay {recipe['decay']:g}. It saw WebP copies of them, 144"
        " pixels a side."
    )
    share = f" Afterwards {undone:.0%} of the rebalancing of its bins was taken back, as chosen on val."
    return text + (share if undone else "")


def history_of(report: dict[str, Any]) -> str:
    """The losses at the end of each epoch, one pass over as many photos as there are, as CSV.

    Seconds are those of the whole training, spread evenly over its steps.
    """
    steps = report["train_photos"] / report["recipe"]["batch"]
    epochs = {max(round(row["step"] / steps), 1): row for row in report["history"]}
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["epoch", "seconds", "huber", "classes"], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    step_seconds = report["seconds"] / report["steps"]
    writer.writerows(
        {**row, "epoch": epoch, "seconds": round(row["step"] * step_seconds, 1)} for epoch, row in epochs.items()
    )
    return file.getvalue()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
