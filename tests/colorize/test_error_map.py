"""The expected error in a result and its files, and what a model without a joint density gives in its place."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result_files import files_of_result, save
from huebands.conformal.error_map import MapError, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.density.expected_error import LEVELS, expected_errors
from huebands.photos.grey import GreyPhoto
from huebands.photos.heatmap import magma
from huebands.photos.read import read_photo
from huebands.photos.write import encode_png
from huebands.serving.workers.jobs import Answer, Job
from huebands.serving.workers.worker import work
from joint_density import CURVE, SAMPLES, with_joint_density


@pytest.fixture(scope="module")
def plain(tiny_package):
    return Colorizer.load(tiny_package)


@pytest.fixture(scope="module")
def joint(plain):
    return with_joint_density(plain)


def random_grey(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def archive_of(colorizer, map_name=None):
    job = Job(
        kind="bands", content=encode_png(random_grey(20, 30)), name="cat.png", guarantee=Guarantee(), map_name=map_name
    )
    answer = work(colorizer, job)
    assert isinstance(answer, Answer)
    return zipfile.ZipFile(io.BytesIO(answer.body))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 50), (1, 3000)])
def test_the_expected_error_is_that_of_the_density_calibrated_and_has_the_photos_size(joint, size):
    grey = random_grey(*size)
    result = joint.colorize(grey)
    assert result.expected_error.shape == size
    assert result.expected_error.dtype == np.float32
    density = joint.density.estimate(GreyPhoto(grey))
    raw = expected_errors(density.probabilities_QSS, density.ab(LEVELS), result.rgb, grey)
    np.testing.assert_array_equal(result.error_KSS, CURVE.calibrate(raw.numpy()))
    np.testing.assert_array_equal(result.expected_error, upsample(result.error_KSS, grey))


@pytest.mark.parametrize("grey", [0, 32, 100, 255])
def test_samples_are_interpolated_linearly_in_space_and_in_grey(grey):
    samples_KSS = np.random.default_rng(0).random((len(LEVELS), SAMPLES, SAMPLES), np.float32)
    size = (40, 50)
    error_map = upsample(samples_KSS, np.full(size, grey, np.uint8))
    expected_KHW = torch.nn.functional.interpolate(torch.from_numpy(samples_KSS)[None], size, mode="bilinear")[0]
    expected = [np.interp(grey, LEVELS, expected_KHW[:, row, column]) for row, column in ((0, 0), (20, 31), (39, 49))]
    np.testing.assert_allclose(error_map[[0, 20, 39], [0, 31, 49]], expected, atol=1e-5)


def test_the_colours_and_bands_are_those_of_a_model_without_an_expected_error(plain, joint):
    results = [colorizer.colorize(random_grey(20, 30)) for colorizer in (plain, joint)]
    assert np.array_equal(results[0].rgb, results[1].rgb)
    assert all(np.array_equal(results[0].bands[channel], results[1].bands[channel]) for channel in "RGB")


def test_without_a_joint_density_there_is_no_expected_error_and_the_picture_shows_the_widths(plain):
    result = plain.colorize(random_grey(20, 30))
    assert result.expected_error is None
    assert (result.maps, plain.calibration.maps) == (("width",), ("width",))
    files = dict(files_of_result(result, "cat"))
    assert set(np.load(io.BytesIO(bytes(files["cat.bands.npz"]))).files) == {"R", "G", "B", "alpha"}
    picture = Image.open(io.BytesIO(files["cat.uncertainty.png"]))
    assert picture.info["Title"] == "width of the bands"
    assert np.array_equal(np.asarray(picture.convert("RGB")), magma()[np.rint(result.width).astype(int)])
    with pytest.raises(MapError, match=r"expected-error.*no joint colour density"):
        list(files_of_result(result, "cat", "expected-error"))


def test_a_joint_density_without_a_curve_gives_no_expected_error(plain):
    colorizer = with_joint_density(plain, curve=None)
    assert colorizer.predict(GreyPhoto(random_grey(9, 9))).expected_error_KSS is not None
    assert colorizer.colorize(random_grey(9, 9)).expected_error is None


def test_the_picture_shows_the_expected_error_or_on_request_the_widths(joint):
    result = joint.colorize(random_grey(20, 30))
    assert result.maps == joint.calibration.maps == ("expected-error", "width")
    pictures = {}
    for map_name in (None, "expected-error", "width"):
        content = dict(files_of_result(result, "cat", map_name))["cat.uncertainty.png"]
        pictures[map_name] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(pictures[None], pictures["expected-error"])
    assert np.array_equal(pictures[None], result.uncertainty)
    levels = np.clip(np.rint(result.expected_error / 30 * 255), 0, 255).astype(int)
    assert np.array_equal(pictures[None], magma()[levels])
    assert np.array_equal(pictures["width"], magma()[np.rint(result.width).astype(int)])
    assert not np.array_equal(pictures["width"], pictures[None])
    with pytest.raises(MapError, match=r"map .='entropy'. must be expected-error or width"):
        list(files_of_result(result, "cat", "entropy"))


def test_the_files_hold_the_expected_error_and_say_what_the_picture_shows(joint, tmp_path):
    result = joint.colorize(random_grey(20, 30))
    paths = save(result, tmp_path, "cat")
    with np.load(paths[1], allow_pickle=False) as archive:
        assert set(archive.files) == {"R", "G", "B", "alpha", "expected_error"}
        np.testing.assert_allclose(archive["expected_error"], result.expected_error, rtol=1e-3)
    with Image.open(paths[2]) as picture:
        assert picture.info["Title"] == "expected error"
        assert "30 CIEDE2000" in picture.info["Description"]
    assert [path.name for path in paths] == ["cat.colorized.png", "cat.bands.npz", "cat.uncertainty.png"]


def test_the_report_of_the_service_has_the_expected_error(joint):
    result, archive = joint.colorize(random_grey(20, 30)), archive_of(joint)
    report = json.loads(archive.read("report.json"))
    assert report["map"] == "expected-error"
    assert report["expected_error"] == {
        "mean": pytest.approx(result.expected_error.mean(), abs=1e-3),
        "p90": pytest.approx(np.percentile(result.expected_error, 90), abs=1e-3),
        "unit": "CIEDE2000",
    }
    files = dict(files_of_result(result, "cat"))
    assert archive.read("cat.uncertainty.png") == files["cat.uncertainty.png"]
    colours = (read_photo(content) for content in (files["cat.colorized.png"], archive.read("cat.colorized.png")))
    np.testing.assert_array_equal(*colours)
    arrays = np.load(io.BytesIO(archive.read("cat.bands.npz")), allow_pickle=False)
    for name, array in np.load(io.BytesIO(bytes(files["cat.bands.npz"]))).items():
        np.testing.assert_array_equal(arrays[name], array)


def test_the_service_shows_the_requested_map(joint):
    archive = archive_of(joint, "width")
    assert json.loads(archive.read("report.json"))["map"] == "width"
    expected = dict(files_of_result(joint.colorize(random_grey(20, 30)), "cat", "width"))
    assert archive.read("cat.uncertainty.png") == expected["cat.uncertainty.png"]


def test_the_report_of_a_model_without_one_leaves_the_expected_error_out(plain):
    report = json.loads(archive_of(plain).read("report.json"))
    assert "expected_error" not in report
    assert report["map"] == "width"


def test_a_changed_curve_changes_the_expected_error(plain):
    doubled = with_joint_density(plain, replace(CURVE, observed=tuple(2 * error for error in CURVE.observed)))
    maps = [colorizer.colorize(random_grey(9, 9)).expected_error for colorizer in (with_joint_density(plain), doubled)]
    np.testing.assert_allclose(maps[1], 2 * maps[0], rtol=1e-5)
