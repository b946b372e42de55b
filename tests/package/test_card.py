"""The model card has origin, figures and guarantee, and is the same for the same package."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from huebands.package.documents.card import write_card
from huebands.package.documents.templates import render
from huebands.package.schema import check_config
from huebands.training.collapse import Collapse
from tiny_package import tiny_config

EVALUATION = {
    "psnr": {"model": 20.0, "low": 18.0, "high": 22.0, "grey": 19.0},
    "fid": {"model": 60.0, "low": 50.0, "high": 70.0, "grey": 80.0},
    "kid": {"model": 0.02, "low": 0.01, "high": 0.03, "grey": 0.04, "standard_error": 0.005},
    "colourfulness": {"model": 5.0, "low": 4.0, "high": 6.0, "grey": 0.0, "truth": 30.0},
    "photos": 5,
}
PHOTOS = [{"source": "met|1", "licence": "CC0", "split": split} for split in ("train", "train", "test")]


@pytest.fixture
def calibration(tiny_package: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((tiny_package / "calibration.json").read_text())
    return description


def test_the_card_has_licences_figures_and_the_guarantee(calibration: dict[str, Any]) -> None:
    card = write_card(tiny_config(), EVALUATION, calibration, PHOTOS)
    assert "| met\\|1 | CC0 | 2 | 0 | 0 | 1 |" in card
    assert "| PSNR, dB (higher is better) | 20 | 18 to 22 | 19 |  |" in card
    assert "| colourfulness | 5 | 4 to 6 | 0 | 30 |" in card
    assert "compare it with FID of 5 photos only. KID has no such bias; its\nstandard error is 0.005." in card
    assert "| each channel's values | 0.1 | 90.0% |" in card
    assert "| each channel's values, in each group | 0.1 | 90.0% |" in card
    assert "There are 19 calibration photos, so alpha starts at\n1/20." in card
    assert "the least covered at alpha\n0.1 is " in card and "has all groups: certificate.html." in card
    assert calibration["distribution_sha256"] in card
    assert calibration["weights_sha256"] in card
    assert "A U-Net generator (4 filters, depth 3). It works at 16x16 pixels" in card
    assert "Training took 1 epoch.\nIt learned the least mean squared error of a and b.\n" in card
    assert "The weights are an exponential moving average (decay 0.9 a step)." in card


def test_equal_packages_have_equal_cards(calibration: dict[str, Any]) -> None:
    assert write_card(tiny_config(), EVALUATION, calibration, PHOTOS) == write_card(
        tiny_config(), EVALUATION, calibration, PHOTOS
    )


def test_the_card_tells_of_photos_with_hints_where_they_were_calibrated(calibration: dict[str, Any]) -> None:
    certificate = {"curve": [{**row, "coverage": 0.987} for row in calibration["certificate"]["curve"]]}
    with_hints = {"law": {"mean": 8.0}, "certificate": certificate}
    card = write_card(tiny_config(), EVALUATION, calibration, PHOTOS, with_hints)
    assert "true colours, 8 a photo on average. It does not reach a hint that is a guess." in card
    assert card.count("98.7%") == len(certificate["curve"])
    assert card.index("98.7%") < card.index("\n\n## What it does not promise")
    assert "hint" not in write_card(tiny_config(), EVALUATION, calibration, PHOTOS)


def test_the_card_names_the_precision_where_it_is_known(calibration: dict[str, Any]) -> None:
    config = tiny_config()
    config["lineage"]["precision"] = "bfloat16"
    assert "Training took 1 epoch, computed in bfloat16.\n" in write_card(config, EVALUATION, calibration, [])


def test_the_card_tells_that_the_discriminator_collapsed(calibration: dict[str, Any]) -> None:
    config = tiny_config()
    assert "discriminator" not in write_card(config, EVALUATION, calibration, [])
    config["lineage"]["collapse"] = str(Collapse("sure", 72, 90, 0.00333))
    check_config(Path("config.json"), config)
    card = write_card(config, EVALUATION, calibration, [])
    assert "\nThe discriminator collapsed: from epoch 72 to 90 it told real from made-up colours nearly always" in card


def test_the_card_has_the_remark_on_the_training(calibration: dict[str, Any]) -> None:
    config = tiny_config()
    config["lineage"]["remark"] = "It learned from copies."
    check_config(Path("config.json"), config)
    assert "\nIt learned from copies.\n" in write_card(config, EVALUATION, calibration, [])


def test_the_card_of_few_photos_shows_infinity_and_no_figures_of_sets(calibration: dict[str, Any]) -> None:
    evaluation = {"psnr": {"model": None, "low": 0.0, "high": None, "grey": 19.0}, "photos": 1}
    card = write_card(tiny_config(), evaluation, calibration, [])
    assert "| PSNR, dB (higher is better) | ∞ | 0 to ∞ | 19 |  |" in card
    assert "FID" not in card


def test_the_card_says_why_figures_of_sets_are_left_out(calibration: dict[str, Any]) -> None:
    config, evaluation = tiny_config(), {"psnr": EVALUATION["psnr"], "photos": 5}
    config["lineage"]["params"]["model"]["network"] = {
        "name": "encoder_unet", "encoder": "inception-v3", "filters": 4, "dropout": 0.0, "norm": "batch",
        "pretrained": True, "encoder_rate": 0.0,
    }  # fmt: skip
    config["lineage"]["params"]["model"]["image_size"] = 64
    card = write_card(config, evaluation, calibration, [])
    assert "FID and KID are left out: they look through Inception v3, this generator's encoder" in card
    assert "FID" not in write_card(tiny_config(), evaluation, calibration, [])


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        render("huebands.package.documents", "card.md.j2")
