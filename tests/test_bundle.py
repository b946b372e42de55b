"""The bundle: what a box that only trains needs, and nothing else."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from huebands import bundle, params
from huebands.bring_home import bring_home
from huebands.data.shards import data_sha256
from huebands.package import PackageError, read_package
from tiny_photos import tiny_photo, write_prepared

ROOT = Path(__file__).parents[1]


def small(**train: Any) -> params.Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    network = {"name": "unet", "filters": 4, "depth": 2, "dropout": 0.5, "norm": "batch"}
    judge = {"filters": 4, "layers": 1, "norm": "batch"}
    values["train"] |= {
        "epochs": 1, "image_size": 16, "batch_size": 2, "decay": 0.0, "pretrain_epochs": 0, "warmup_epochs": 0,
        "generator": network, "discriminator": judge, **train,
    }  # fmt: skip
    values["train"]["loss"]["lambda_perceptual"] = 0.0
    return params.from_mapping(values)


def test_a_bundle_trains_where_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [tiny_photo(seed, 24) for seed in range(4)]
    prepared = write_prepared(tmp_path / "here/data/prepared", {"train": photos, "val": photos[:2]}, 24)
    monkeypatch.chdir(tmp_path / "here")
    bundle.write_bundle(tmp_path / "bundle.tar", small())
    there = tmp_path / "there"
    with tarfile.open(tmp_path / "bundle.tar") as archive:
        names = set(archive.getnames())
        archive.extractall(there, filter="data")
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

    (tmp_path / "here/reports/train/pictures").mkdir(parents=True)
    (tmp_path / "here/reports/train/pictures/epoch-9999.png").touch()
    bring_home(there / "out", small())
    for place in ("models/trained", "reports/train"):
        home, brought = (tmp_path / "here" / place, there / "out" / place)
        assert {f.relative_to(home) for f in home.rglob("*")} == {f.relative_to(brought) for f in brought.rglob("*")}
    with pytest.raises(PackageError, match=r"trained with other parameters than params\.yaml has: learning_rate, seed"):
        bring_home(there / "out", small(learning_rate=1.0, seed=7))
    (prepared / "test.npy").write_bytes((prepared / "val.npy").read_bytes())
    with pytest.raises(PackageError, match="trained on the data"):
        bring_home(there / "out", small())


def test_a_bundle_carries_the_weights_that_the_parameters_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "fetch_lpips", lambda: Path("lpips"))
    monkeypatch.setattr(bundle, "fetch_lite0", lambda: Path("lite0"))
    encoder = {"name": "encoder-unet", "encoder": "efficientnet-lite0", "pretrained": True, "encoder_rate": 0.0}
    encoder |= {"filters": 4, "dropout": 0.0, "norm": "batch"}
    default = params.load(ROOT / "params.yaml").train
    assert [path.name for path in bundle.archives_of(default)] == ["lpips"]
    assert [path.name for path in bundle.archives_of(small().train)] == []
    lite0 = small(image_size=64, generator=encoder).train
    assert [path.name for path in bundle.archives_of(lite0)] == ["lite0"]
    vgg16 = small(image_size=32, generator=encoder | {"encoder": "vgg16"}).train
    assert [path.name for path in bundle.archives_of(vgg16)] == ["lpips"]
