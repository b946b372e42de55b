"""The limits of a package for unlike and for nearly grey photos are used everywhere."""

import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huebands import cli
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.report import Origin
from huebands.conformal.calibration_files import write_calibration
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import read_package
from huebands.photos.grey import GreyPhoto
from huebands.photos.write import encode_png
from huebands.serving.served_model import describe_model
from huebands.serving.workers import worker
from huebands.serving.workers.exploration import pack_exploration
from huebands.serving.workers.jobs import Answer, Job
from in_process import Client, build_in_process
from tiny_package import seal
from toy_calibration import read_calibration

COLOURFUL = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def strict(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for which every photo is nearly grey, and one of two is unlike."""
    folder = shutil.copytree(tiny_package, tmp_path_factory.mktemp("strict") / "strict")
    write_calibration(folder, replace(read_calibration(folder), min_chroma=190.0, unlike_p_value=0.5))
    seal(folder)
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(COLOURFUL).save(tmp_path / "cat.png")
    return tmp_path


def facts_of(package: Path) -> float | None:
    content = encode_png(COLOURFUL)
    job = Job(kind="colorize", content=content, name="cat", guarantee=Guarantee(alpha=0.5, mode="joint"))
    answer = worker.work(Colorizer.load(package), job)
    assert isinstance(answer, Answer)
    return answer.measurements.outside


def test_the_service_monitors_photos_as_colourful_as_the_calibrations(tiny_package: Path, strict: Path) -> None:
    assert facts_of(tiny_package) is not None
    assert facts_of(strict) is None


def test_coverage_is_measured_on_photos_as_colourful_as_the_calibrations(
    tiny_package: Path, strict: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["coverage", "cat.png", "--alpha", "0.3", "--model"]
    assert cli.main([*arguments, str(tiny_package)]) in (0, 1)
    assert capsys.readouterr().err == ""
    assert cli.main([*arguments, str(strict)]) == 2
    told = capsys.readouterr()
    reason = "is grey or nearly so (a mean chroma below 190, the least of the calibration photos)"
    assert f"cat.png: left out: {reason}\n" in told.out
    assert told.err == "huebands: no photo could be measured; give photos in colour\n"


def test_coverage_counts_no_toned_photo_as_truth(
    tiny_package: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its channels differ by 12 levels on average, but not by the colours of what it shows."""
    grey = np.linspace(0, 255, 24 * 30).reshape(24, 30, 1)
    Image.fromarray((grey * np.array([1.0, 0.98, 0.95])).round().astype(np.uint8)).save("sepia.png")
    assert cli.main(["coverage", "sepia.png", "--alpha", "0.3", "--model", str(tiny_package)]) == 2
    assert "sepia.png: left out: is grey or nearly so" in capsys.readouterr().out


@pytest.mark.parametrize(("p", "warns"), [(0.5, True), (0.51, False)])
def test_the_command_warns_when_a_photo_is_unlike_the_calibration_photos(
    strict: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    p: float,
    warns: bool,
) -> None:
    monkeypatch.setattr("huebands.colorize.colorizer.p_value", lambda atypicality, table: p)
    assert cli.main(["colorize", "cat.png", "--model", str(strict)]) == 0
    assert ("unlike the calibration photos" in capsys.readouterr().out) is warns


def test_the_page_and_the_model_get_the_level(strict: Path) -> None:
    colorizer = Colorizer.load(strict)
    model = describe_model(colorizer)
    assert (model["min_chroma"], model["unlike_p_value"]) == (190.0, 0.5)
    prediction = colorizer.predict(GreyPhoto.of_rgb(COLOURFUL))
    job = Job(kind="explore", content=b"", name="cat", guarantee=Guarantee())
    origin = Origin(photo="photo", photo_sha256=None, own_colour="colour")
    packed = pack_exploration(colorizer, job, prediction, colorizer.choose(prediction, job.guarantee), origin)
    assert json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("exploration.json"))["unlike_p_value"] == 0.5


def test_the_certificate_is_served_from_the_bytes_that_were_checked(tiny_package: Path, tmp_path: Path) -> None:
    package = shutil.copytree(tiny_package, tmp_path / "package")
    app = build_in_process(package)
    (tmp_path / "secret").write_text("of the machine")
    (package / "certificate.html").unlink()
    (package / "certificate.html").symlink_to(tmp_path / "secret")
    answer = Client(app).get("/certificate")
    assert answer.content == (tiny_package / "certificate.html").read_bytes() == read_package(tiny_package).certificate
