"""`make families`: every family is an experiment with valid parameters; its row tells of package and history."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from composition import composed
from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.hint_law import START
from huebands.comparison import families
from huebands.comparison.experiments import ExperimentError
from huebands.conformal.calibration_files import write_calibration
from huebands.files.manifest import write_folder
from huebands.package.generator import read_files
from painted_hints import with_hints
from reference_colours import with_reference
from tiny_package import write_tiny_package
from tiny_photos import photo_set

ROOT = Path(__file__).parents[2]
# At most so many photo passes fit into an hour of two cores in float32 at AVX2, by the time of a step there.
PASSES = {"cgan-pretrained": 16_000, "cgan-unet": 70_000}
TRAIN_PHOTOS = 838  # of data=photos


def test_every_family_has_parameters_for_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names = families.family_names("")
    assert {"cgan-unet", "vae", "diffusion", "hints", "exemplar", "variational"} <= set(names)
    for name in names:
        settings = params.from_mapping(composed(*families.BASE, f"model={name}"))
        epochs = settings.train.limited(TRAIN_PHOTOS).epochs
        assert settings.model.objective.least_epochs <= epochs
        assert epochs * TRAIN_PHOTOS <= PASSES.get(name, 70_000), name


def test_some_can_be_chosen_and_an_unknown_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert families.family_names("vae  fusion") == ["vae", "fusion"]
    with pytest.raises(ExperimentError, match=r"FAMILIES has 'gan', and must name some of autoencoder, "):
        families.family_names("vae gan")


def test_help_is_asked_for_where_a_model_takes_it(tiny_package: Path) -> None:
    plain = Colorizer.load(tiny_package)
    assert families.helps([plain]) == {"hints": 0, "references": False}
    assert families.helps([plain, with_hints(tiny_package)]) == {"hints": families.HINTS, "references": False}
    assert families.helps([with_reference(tiny_package)]) == {"hints": 0, "references": True}


def test_a_row_has_weights_time_and_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    package = write_tiny_package(families.REPORT / "models" / "vae")
    history = "epoch,seconds,generator\n1,2.5,9\n2,5.25,7\n"
    report = families.REPORT / "parts/vae/reports/train"
    report.mkdir(parents=True)
    (report / "history.csv").write_text(history, encoding="utf-8")
    row = families.describe("vae", photo_set(3))
    assert row["parameters"] == sum(parameter.numel() for parameter in package.generator.parameters())
    assert (row["family"], row["epochs"], row["seconds"], row["samples"]) == ("vae", 2, 5.25, False)
    assert row["milliseconds"] > 0
    assert package.calibration is not None
    (joint,) = (
        entry
        for entry in package.calibration.certificate["curve"]
        if (entry["mode"], entry["alpha"]) == ("joint", families.ALPHA)
    )
    assert (row["coverage_joint"], row["width_joint"]) == (joint["coverage"], joint["width"])
    (read,) = csv.DictReader(io.StringIO(families.to_csv([row])))
    assert (read["family"], read["samples"], float(read["width_joint"])) == ("vae", "false", joint["width"])
    assert (row["width_joint_hints"], read["width_joint_hints"]) == (None, "null")
    files = read_files(families.REPORT / "models/vae")
    under_hints = {"curve": [{**joint, "coverage": 0.75, "width": 12.5}]}
    write_calibration(tmp_path / "hinted", replace(package.calibration, law=START, certificate=under_hints))
    files |= {path.name: path.read_bytes() for path in (tmp_path / "hinted").iterdir()}
    write_folder(families.REPORT / "models/vae", files)
    row = families.describe("vae", photo_set(3))
    assert (row["coverage_joint_hints"], row["width_joint_hints"]) == (0.75, 12.5)
    assert (row["coverage_joint"], row["width_joint"]) == (joint["coverage"], joint["width"])
