"""A checkout in which all stages before `register` have run, of noise and with tiny networks, and its registry."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import torch

from huebands import params
from huebands.data import shards
from huebands.data.params import SPLITS
from huebands.package.generator import write_generator
from huebands.package.read import read_package
from huebands.photos.epoch_sheet import write_sheet
from huebands.photos.write import write_png
from huebands.promotion.criteria import COLOURS
from huebands.promotion.suite import SuitePhoto
from huebands.registry.connection import store_uri
from huebands.stages import register
from tiny_package import PHOTOS, calibrate_tiny, network_of, tiny_config, write_tiny_density

SIZE = 16
SETTINGS = params.load(Path(__file__).parents[1] / "params.yaml")
MODEL = SETTINGS.register.model_name


def train(bias: float, epochs: int = 3, data: str = "paintings") -> None:
    """Write what train, evaluate, fit-density and calibrate would; `bias` moves all weights, and so the colours."""
    torch.manual_seed(0)
    config = tiny_config() | {"name": MODEL}
    config["lineage"] |= {"git_commit": "c0ffee", "data_sha256": shards.data_sha256(register.PREPARED), "data": data}
    config["lineage"]["params"]["train"]["epochs"] = epochs
    generator = network_of(config["network"], SIZE)
    state = {name: tensor + (bias if name.endswith("weight") else 0) for name, tensor in generator.state_dict().items()}
    write_generator(register.TRAINED, state, config)
    trained = read_package(register.TRAINED)
    write_tiny_density(register.STAGES.density)
    calibrate_tiny(register.STAGES.calibration, trained, register.STAGES.density, alphas=(0.1, 0.2))
    write_json(register.STAGES.calibrate / "metrics.json", CALIBRATION)
    write_json(register.STAGES.evaluate / "metrics.json", EVALUATION)
    write_png(register.STAGES.evaluate / "sheet.png", np.zeros((4, 4, 3), np.uint8))
    run = {
        "name": "noise",
        "started_at": "2026-01-02T03:04:05+00:00",
        "weights_sha256": trained.weights_sha256,
        "lineage": {"git_commit": "c0ffee"},
        "params": {"data": data, "train.epochs": epochs},
        "datasets": [],
    }
    write_json(register.TRAIN / "run.json", run)
    history = pd.DataFrame({"epoch": range(1, epochs + 1), "seconds": np.arange(epochs) / 3, "huber": 1 / 7})
    history.to_csv(register.TRAIN / "history.csv", index=False)
    register.STAGES.fit.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"epoch": [1, 2], "train": [3.5, 3.0], "val": [3.25, 3.5]}).to_csv(
        register.STAGES.fit / "history.csv", index=False
    )
    write_sheet(register.TRAIN / "pictures.png", {3: np.zeros((6, 4, 3), np.uint8)})


EVALUATION = {
    "psnr": {"model": 20.0, "low": 18.0, "high": 22.0, "grey": 19.0},
    "fid": {"model": 60.0, "low": 50.0, "high": 70.0, "grey": 80.0},
    "kid": {"model": 0.02, "low": 0.01, "high": 0.03, "grey": 0.04, "standard_error": 0.005},
    "colourfulness": {"model": 5.0, "low": 4.0, "high": 6.0, "grey": 0.0, "truth": 30.0},
    "photos": 5,
    "sources": {"BIDS/BSDS500": {"photos": 5, "ciede2000": {"model": 9.5, "grey": 11.5}}},
}


SUMMARY = {
    "success": True,
    "photos": {"all": 48, "train": 12, "val": 12, "calibration": 12, "test": 12},
    "groups": 47,
    "L_mean": {"mean": 40.0, "median": 39.0},
    "chroma_mean": {"mean": 16.0, "median": 15.0},
    "suites": {name: {"evaluated": 3, "successful": 3, "expectations": {}} for name in ("schema", "manifest")},
}


CALIBRATION = {
    "alpha": 0.1,
    "photos": {"calibration": PHOTOS, "test": 3},
    "per_channel": {"coverage": 0.91},
    "sources": {"Fotos & Bilder": {"photos": 3, "joint": {"p_holm": 0.25}}},
    "worst_stratum": {"group": "L 20 to 40, chroma 5 to 10", "coverage": 0.8},
}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


class Scorer:
    """Gives each model its level, by chance more or less on each photo."""

    def __init__(self) -> None:
        self.levels = {"challenger": 9.0, "champion": 9.0, "grey": 10.0, "mean colour by lightness": 9.6}

    def score(self, truth: np.ndarray, results: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        chance = np.random.default_rng(int(truth.sum())).normal(1, 1e-3, len(COLOURS))
        return {name: dict(zip(COLOURS, self.levels[name] * chance, strict=True)) for name in results}


def make_checkout(folder: Path, empty_store: Path) -> None:
    """Prepare noise, and write what the stages after it would; the folder is the current one."""
    shutil.copy(empty_store, folder)
    prepare()
    train(bias=0.0)
    write_params()


def prepare(seed: int = 0, seen: Sequence[SuitePhoto] = ()) -> None:
    """Write a prepared dataset of noise, whose first training photos have the hashes of those given."""
    photos = np.random.default_rng(seed).uniform(-20, 80, (12, 3, SIZE, SIZE)).clip(0)
    register.PREPARED.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, split in enumerate(SPLITS):
        shards.write_shard(register.PREPARED, split, ((photo * 100).astype("<i2") for photo in photos), 12, SIZE)
        for row in range(12):
            name = f"{seed:08x}{place:04x}{row:04x}"
            values = {
                "id": name,
                "group": name,
                "sha256": 4 * name,
                "phash": _scattered(name),
                "split": split,
                "row": row,
            }
            if split == "train" and row < len(seen):
                values |= {"sha256": seen[row].sha256, "phash": seen[row].phash}
            rows.append(dict.fromkeys(shards.MANIFEST_COLUMNS, "x") | values)
    shards.write_manifest(register.PREPARED, pd.DataFrame(rows))
    (register.PREPARED / "set_aside.csv").write_text("id,name,reason\n")
    register.STAGES.raw.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"id": range(50)}).to_parquet(register.STAGES.raw / "index.parquet")
    (register.STAGES.raw / "rejected.csv").write_text('source,name,reason\nnoise,a.txt,"no, it is\nno image"\n')
    write_json(register.STAGES.validate / "summary.json", SUMMARY)


def _scattered(name: str) -> str:
    """A perceptual hash far from any other."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def client() -> mlflow.MlflowClient:
    store = store_uri()
    return mlflow.MlflowClient(tracking_uri=store, registry_uri=store)


def runs() -> list[mlflow.entities.Run]:
    return client().search_runs([client().get_experiment_by_name("huebands").experiment_id])


def alias(name: str) -> int:
    return int(client().get_model_version_by_alias(MODEL, name).version)


def write_params() -> None:
    """Give the checkout its params.yaml, which a command reads."""
    Path("params.yaml").write_text((Path(__file__).parents[1] / "params.yaml").read_text())
