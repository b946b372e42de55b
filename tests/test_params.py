"""Parameters: what is wrong is named; params.yaml is what conf/ composes to."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from composition import composed
from huebands import params
from huebands.data.params import DataParams
from huebands.models.parameters import build

ROOT = Path(__file__).parents[1]


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))


def test_params_yaml_is_the_composed_default(values: dict[str, Any]) -> None:
    assert composed() == values, "run `make params`"


@pytest.mark.parametrize("group", ["data", "model", "train", "experiment"])
def test_every_alternative_is_valid(group: str) -> None:
    alternatives = sorted((ROOT / "conf" / group).glob("*.yaml"))
    assert alternatives
    for alternative in alternatives:
        data = params.from_mapping(composed(f"{group}={alternative.stem}")).data
        assert all(source.licence for source in data.sources)
        assert group != "data" or data.name == alternative.stem


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("prepare.min_chroma", 0, r"prepare\.min_chroma \(=0\.0\) must be at least 0\.1"),
        ("prepare.min_tone_spread", -1, r"prepare\.min_tone_spread \(=-1\.0\) must be in \[0, 100\)"),
        ("train.epochs", "many", r"train\.epochs \(='many'\) must be of type int"),
        ("train.epochs", True, r"train\.epochs \(=True\) must be of type int"),
        ("train.epochs", 0, r"train\.epochs \(=0\) must be at least 1"),
        ("train.learning_rate", float("nan"), r"train\.learning_rate \(=nan\) must be finite"),
        ("train.precision", "float64", r"train\.precision .* must be one of 'auto', 'float32', 'bfloat16'"),
        ("train.warmup_epochs", 501, r"train\.warmup_epochs \(=501\) must be in \[0, epochs \(=500\)\]"),
        ("train.seed", -1, r"train\.seed \(=-1\) must be in \[0, 2\*\*63\)"),
        ("train.decay", 1.5, r"train\.decay \(=1\.5\) must be in \[0, 1\]"),
        ("train.ema_decay", 1, r"train\.ema_decay \(=1\.0\) must be in \[0, 1\)"),
        ("train.gradient_clip", -1, r"train\.gradient_clip \(=-1\.0\) must not be negative"),
        ("train.epoch", 3, r"train\.epoch \(=3\) must be left out: known keys are epochs,"),
        ("model.image_size", 100, r"model\.image_size \(=100\) must be a multiple of 64, by which the network shrinks"),
        (
            "model.objective.discriminator.layers",
            5,
            r"model\.image_size \(=64\) must be at least 96, which network \(=unet\) and objective \(=cgan\) need",
        ),
        ("model.upsampling.name", "nearest", r"model\.upsampling\.name .* must be one of 'bilinear', 'guided'"),
        ("model.upsampling.stride", 0, r"model\.upsampling\.stride \(=0\) must be at least 1"),
        ("model.upsampling.stride", 3, r"model\.upsampling\.stride \(=3\) must divide image_size \(=64\)"),
        ("model.upsampling.radius", 0, r"model\.upsampling\.radius \(=0\) must be at least 1"),
        ("model.upsampling.radius", 33, r"model\.upsampling\.radius \(=33\) must be an integer in \[1, 32\]"),
        ("model.upsampling.epsilon", 0, r"model\.upsampling\.epsilon \(=0\.0\) must be positive"),
        ("model.network", "unet", r"model\.network \(='unet'\) must be a mapping"),
        (
            "model.network.name",
            "resnet",
            r"model\.network\.name \(='resnet'\) must be one of autoencoder, bottleneck, classifier, diffusion,",
        ),
        ("model.network.filters", 0, r"model\.network\.filters \(=0\) must be in \[1, 1024\]"),
        ("model.network.norm", "layer", r"model\.network\.norm \(='layer'\) must be one of 'batch', 'instance'"),
        ("model.network.latent", 8, r"model\.network\.latent \(=8\) must be left out: known keys are name, filters,"),
        (
            "model.objective.name",
            "gan",
            r"model\.objective\.name \(='gan'\) must be one of cgan, classification, diffusion, dual_head,",
        ),
        ("model.objective.lambda_huber", -1, r"model\.objective\.lambda_huber \(=-1\.0\) must not be negative"),
        (
            "model.objective.discriminator.norm",
            "layer",
            r"model\.objective\.discriminator\.norm \(='layer'\) must be one of 'batch', 'instance'",
        ),
        (
            "model.objective.pretrain_epochs",
            501,
            r"^train\.epochs \(=500\) must be at least 501, which model\.objective \(=cgan\) needs",
        ),
        ("prepare.fractions", {"train": 1.0}, r"prepare\.fractions .* sum to 1"),
        ("data.sources", [], r"data\.sources .* at least one source"),
        (
            "data.sources",
            [{"kind": "folder", "path": "data/mine", "licence": "mine"}],
            r"data\.sources\[0\]\.path \(='data/mine'\) must be data\.watch \(='conf/data/paintings\.yaml'\) or lie",
        ),
        (
            "data.sources",
            [{"kind": "ftp"}],
            r"data\.sources\[0\]\.kind \(='ftp'\) must be one of package, folder, git",
        ),
        (
            "density.encoder",
            "resnet50",
            r"density\.encoder .* must be one of 'efficientnet-lite0', ",
        ),
        ("density.filters", 0, r"density\.filters \(=0\) must be at least 1"),
        ("density.dropout", 1, r"density\.dropout \(=1\.0\) must be in \[0, 1\)"),
        ("density.bins", 1, r"density\.bins \(=1\) must be at least 2"),
        ("density.image_size", 48, r"density\.image_size \(=48\) must be a positive multiple of 32"),
        ("density.image_size", 0, r"density\.image_size \(=0\) must be a positive multiple of 32"),
        ("density.epochs", 0, r"density\.epochs \(=0\) must be at least 1"),
        ("density.batch_size", 0, r"density\.batch_size \(=0\) must be at least 1"),
        ("density.seed", -1, r"density\.seed \(=-1\) must be at least 0"),
        ("calibrate.adaptivity", 1.5, r"calibrate\.adaptivity \(=1\.5\) must lie in \[0, 1\]"),
        ("calibrate.alphas", [], r"calibrate\.alphas \(=\(\)\) must be rising numbers in \(0, 1\), at least one"),
        ("calibrate.alphas", [0.2, 0.1], r"calibrate\.alphas \(=\(0\.2, 0\.1\)\) must be rising numbers"),
        ("calibrate.alphas", [0.1, 1], r"calibrate\.alphas \(=\(0\.1, 1\.0\)\) must be rising numbers in \(0, 1\)"),
        ("calibrate.report_alpha", 0.9, r"calibrate\.report_alpha \(=0\.9\) must be one of alphas \(=\(0\.05, 0\.1, "),
        (
            "calibrate.alpha_step",
            0.01,
            r"calibrate\.alpha_step .* must be left out: known keys are adaptivity, alphas,",
        ),
        ("calibrate.seed", -1, r"calibrate\.seed \(=-1\) must not be negative"),
        ("calibrate.heatmaps", -1, r"calibrate\.heatmaps \(=-1\) must not be negative"),
        ("validate.lightness_mean", [75, 25], r"validate\.lightness_mean \(=\(75\.0, 25\.0\)\) must be a range"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, Any], key: str, value: object, message: str) -> None:
    *path, last = key.split(".")
    section = values
    for name in path:
        section = section[name]
    section[last] = value
    with pytest.raises(params.ParamsError, match=message):
        params.from_mapping(values)


def test_a_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["model"]["objective"]["huber_delta"]
    with pytest.raises(params.ParamsError, match=r"^model\.objective\.huber_delta is missing"):
        params.from_mapping(values)


def test_pretraining_needs_hubers_loss(values: dict[str, Any]) -> None:
    values["model"]["objective"] |= {"pretrain_epochs": 1, "lambda_huber": 0.0}
    message = r"model\.objective\.pretrain_epochs \(=1\) must be 0 without Huber's loss"
    with pytest.raises(params.ParamsError, match=message):
        params.from_mapping(values)


def test_an_encoder_says_how_far_it_shrinks(values: dict[str, Any]) -> None:
    model = values["model"]
    network = {"name": "encoder_unet", "pretrained": False, "encoder_rate": 0.1}
    network |= {"filters": 8, "dropout": 0.0, "norm": "batch"}
    model["image_size"] = 48
    model["network"] = {**network, "encoder": "vgg16"}
    assert params.from_mapping(values).model.network.multiple == 16
    model["network"] = {**network, "encoder": "resnet18"}
    with pytest.raises(params.ParamsError, match=r"model\.image_size \(=48\) must be a multiple of 32"):
        params.from_mapping(values)
    model["image_size"] = 32
    with pytest.raises(params.ParamsError, match=r"model\.image_size \(=32\) must be at least 64"):
        params.from_mapping(values)
    model["image_size"] = 64
    model["network"]["encoder_rate"] = 0.0
    message = r"model\.network\.encoder_rate \(=0\.0\) must be above 0 where pretrained is false: the encoder would"
    with pytest.raises(params.ParamsError, match=message):
        params.from_mapping(values)


def test_the_encoder_of_the_distribution_says_how_far_it_shrinks(values: dict[str, Any]) -> None:
    values["density"] |= {"encoder": "vgg16", "image_size": 48}
    density = params.from_mapping(values).density
    assert density.network() == {"encoder": "vgg16", "filters": 32, "dropout": 0.3, "bins": 20}


def test_json_is_read_where_the_name_says_so(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "params.json"
    path.write_text(json.dumps(values))
    assert params.load(path) == params.load(ROOT / "params.yaml")
    path.write_text("data: {}")
    with pytest.raises(params.ParamsError, match=r"params\.json: not JSON"):
        params.load(path)


@pytest.mark.parametrize(
    "text", ["<<<<<<< HEAD\ndata:\n", "data: {", "data: 2026-13-01", "data: \xe9", "a: 1\n  b: 2", "\t", "a: \0"]
)
def test_what_is_not_yaml_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(params.ParamsError, match=r"params\.yaml: not YAML \(.+\); repair it") as refusal:
        params.load(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("watch", "path"),
    [("photos", "photos"), ("photos", "./photos/2026"), (".", "photos"), ("/mnt", "/mnt/photos")],
)
def test_a_folder_of_photos_is_watched(watch: str, path: str) -> None:
    source = {"kind": "folder", "path": path, "licence": "mine"}
    build(DataParams, {"name": "mine", "watch": watch, "sources": [source]})
    for other in (f"{watch}/../other", f"{watch}s"):
        with pytest.raises(params.ParamsError, match=r"must be data\.watch"):
            build(DataParams, {"name": "mine", "watch": f"{path}/below", "sources": [source | {"path": other}]})
