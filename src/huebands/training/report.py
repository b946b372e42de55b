"""What a training writes, on any machine: the generator's package, and a report to restore its run from."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from huebands.color import AB_SCALE
from huebands.data.params import DataParams
from huebands.files import atomic
from huebands.models.parameters import describe as describe_params
from huebands.models.parameters import flatten
from huebands.models.params import ModelParams
from huebands.package.lineage import Dataset, dataset
from huebands.package.schema import CONFIG, FORMAT, LIGHTNESS, check_config
from huebands.photos.epoch_sheet import write_sheet
from huebands.training.loop import Trained
from huebands.training.params import TrainParams

NOT_LOGGED = ("train.checkpoint_every", "train.picture_every")  # they change no weights and no figures


def describe(
    data: DataParams, model: ModelParams, train: TrainParams, data_sha256: str, git_commit: str
) -> dict[str, Any]:
    """The package's config.json: network, preprocessing and lineage.

    Raises:
        PackageError: when no package may hold these values; better before the training than after it.
    """
    config = {
        "format": FORMAT,
        "name": data.name,
        "network": describe_params(model.network),
        "preprocessing": {
            "image_size": model.image_size,
            "lightness": LIGHTNESS,
            "resize": model.resize,
            "views": model.views,
            "ab_scale": AB_SCALE,
            "upsampling": asdict(model.upsampling),
        },
        "lineage": {
            "git_commit": git_commit,
            "data_sha256": data_sha256,
            "data": data.name,
            "params": {"model": asdict(model), "train": asdict(train)},
        },
    }
    check_config(Path(CONFIG), config)
    return config


def with_outcome(config: dict[str, Any], trained: Trained) -> dict[str, Any]:
    """Add to a config.json what its parameters do not tell: the precision, and the discriminator's collapse if any."""
    outcome = {"precision": trained.precision, **({"collapse": trained.collapse} if trained.collapse else {})}
    return {**config, "lineage": {**config["lineage"], **outcome}}


def datasets_of(data: DataParams, data_sha256: str) -> list[Dataset]:
    """The splits that a training uses."""
    return [
        dataset(data, data_sha256, "train", "training"),
        dataset(data, data_sha256, "val", "validation"),
    ]


def record_of(config: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run in MLflow: its name, its flat parameters and its tags."""
    lineage = config["lineage"]
    params = {key: value for key, value in flatten(lineage["params"]).items() if key not in NOT_LOGGED}
    model, epochs = lineage["params"]["model"], lineage["params"]["train"]["epochs"]
    family = f"{model['network']['name']} {model['objective']['name']}"
    experiment = os.environ.get("DVC_EXP_NAME")  # the name by which `dvc exp show` lists it
    return {
        "name": f"{lineage['data']} {family} {epochs} epochs" + (f" ({experiment})" if experiment else ""),
        "params": {"data": lineage["data"], **params},
        "tags": {key: value for key, value in lineage.items() if key != "params"},
    }


def write_report(
    folder: Path,
    pictures: Path,
    trained: Trained,
    started_at: str,
    weights_sha256: str,
    config: dict[str, Any],
    datasets: Sequence[Dataset],
) -> None:
    """Write history.csv, pictures.png and run.json, which `register` restores the run from.

    Args:
        folder: of the report, replaced as a whole.
        pictures: folder of the sample grids, `epoch-0001.png` and so on; without any, the report has no pictures.png.
        trained: the history.
        started_at: in ISO 8601, UTC.
        weights_sha256: of generator.safetensors.
        config: of the package.
        datasets: that were used.
    """
    history = io.StringIO(newline="")
    writer = csv.DictWriter(history, fieldnames=list(trained.history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(trained.history)
    run = record_of(config)
    record = {
        "name": run["name"],
        "started_at": started_at,
        "weights_sha256": weights_sha256,
        "lineage": run["tags"],
        "params": run["params"],
        "datasets": [asdict(entry) for entry in datasets],
    }
    grids = {}
    for path in pictures.glob("epoch-*.png"):
        with Image.open(path) as image:
            grids[int(path.stem.removeprefix("epoch-"))] = np.asarray(image)
    with atomic.replace_folder(folder) as new:
        if grids:
            write_sheet(new / "pictures.png", grids)
        atomic.write_text(new / "history.csv", history.getvalue())
        atomic.write_text(new / "run.json", json.dumps(record, indent=2) + "\n")
