"""Calibration on photos with hints: true colours are drawn, bands narrow around them, and the promise holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from huebands import color
from huebands.colorize.around_hints import EDGES, AroundHints, summarise
from huebands.colorize.calibration import laws, measure
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.following import Following
from huebands.colorize.hint_law import START, draw_hints, fit_law
from huebands.colorize.hints import HintRequest, Point
from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import DESCRIPTION, TABLES, WITH_HINTS, parse_calibration, write_calibration
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.conformal.law import HintLaw
from huebands.conformal.table import CalibrationError
from huebands.data.originals import Original
from huebands.density import joint
from huebands.density.model import Density
from huebands.package.documents.certificate import write_page
from huebands.package.read import parse_package, read_files
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from painted_hints import (
    COUNTS,
    SETTINGS,
    Drawn,
    calibrate_with_hints,
    draw_photo,
    with_calibrations,
    without_calibration,
)
from several_colourings import with_samples
from tiny_package import seal

ALPHA = SETTINGS.report_alpha


@pytest.fixture(scope="module")
def colorizer(tiny_package: Path) -> Colorizer:
    """A model that takes hints, without calibration."""
    return without_calibration(tiny_package)


@pytest.fixture(scope="module")
def calibrations(colorizer: Colorizer) -> list[Calibration]:
    return calibrate_with_hints(colorizer)


@pytest.fixture(scope="module")
def calibrated(colorizer: Colorizer, calibrations: list[Calibration]) -> Colorizer:
    return with_calibrations(colorizer, calibrations)


def outside(result, true_HW3: NDArray[np.uint8], mode: str) -> float:
    bands_HW32 = np.stack(list(result.bands.values()), axis=2)
    is_out_HW3 = (true_HW3 < bands_HW32[..., 0]) | (true_HW3 > bands_HW32[..., 1])
    return float(is_out_HW3.any(axis=2).mean() if mode == "joint" else is_out_HW3.mean())


def test_hints_are_drawn_as_the_law_says() -> None:
    numbers, offsets = [], []
    for number in range(400):
        request = draw_hints(START, draw_photo(number, "law"))
        numbers.append(len(request.points))
        offsets += [(point.x / 32 - 0.5, point.y / 32 - 0.5) for point in request.points]
    assert min(numbers) == 1 and max(numbers) <= START.most
    # A geometric number with a mean of 8 has a deviation of 7.5: 0.37 for the mean of 400; four of them.
    assert np.mean(numbers) == pytest.approx(START.mean, abs=1.5)
    # Places outside are moved to the edge, which takes 0.25 down to 0.23; pixels round down by half of 1/32.
    assert np.std(offsets) == pytest.approx(0.23, abs=0.01)


def test_a_drawn_hint_has_the_true_colour_of_its_disk_and_comes_back() -> None:
    photo = draw_photo(3, "law")
    request = draw_hints(START, photo)
    assert request == draw_hints(START, photo) != draw_hints(START, replace(photo, id="another"))
    for point in request.points:
        rows, columns = (slice(max(place - 1, 0), place + 2) for place in (point.y, point.x))
        near = photo.rgb[rows, columns].reshape(-1, 3).astype(int)
        assert (near.min(axis=0) <= point.rgb).all() and (point.rgb <= near.max(axis=0)).all()


def mean_log_likelihood(density: Density, photo: Original, law: HintLaw | None) -> float:
    """Of the true colours of the pixels at the samples."""
    estimate = density.estimate(photo.grey)
    if law is not None:
        estimate = Following(photo.grey, draw_hints(law, photo).on(photo.grey), estimate, law.kernel).density
    places = (np.arange(8) * 2 + 1) * 32 // 16
    true_3SS = torch.from_numpy(photo.rgb[np.ix_(places, places)]).permute(2, 0, 1)
    cells_1SS = joint.cells_of(true_3SS[None].float(), color.grey_levels(true_3SS)[None], 8)
    return float(estimate.joint.gather(0, cells_1SS).clamp_min(1e-12).log().mean())


def test_the_fitted_law_makes_true_colours_likelier(colorizer: Colorizer) -> None:
    photos = [draw_photo(number, "val") for number in range(COUNTS["val"])]
    fitted = fit_law(colorizer.density, iter(photos))
    likelihoods = [
        np.mean([mean_log_likelihood(colorizer.density, photo, law) for photo in photos])
        for law in (fitted, START, None)
    ]
    assert likelihoods == sorted(likelihoods, reverse=True) and len(set(likelihoods)) == 3
    assert fit_law(colorizer.density, iter(photos)) == fitted


def test_the_promise_holds_with_hints_like_those_of_the_calibration(calibrated: Colorizer) -> None:
    shares: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(60):
        photo = draw_photo(number, "new")
        prediction = calibrated.predict(photo.grey, hints=draw_hints(START, photo))
        for mode in MODES:
            result = calibrated.choose(prediction, Guarantee(alpha=ALPHA, mode=mode))
            shares[mode].append(outside(result, photo.rgb, mode))
    for mode, missed in shares.items():
        # The mean over draws of 40 calibration photos is at most alpha. A photo's share has a deviation of at most
        # 0.25 here, so that this draw and the mean of 60 photos stray by 0.25 sqrt(1/40 + 1/60) = 0.05; two of them.
        assert np.std(missed) < 0.25, mode
        assert np.mean(missed) <= ALPHA + 0.1, mode
        assert np.mean(missed) > 0.05, "bands that hold everything promise nothing"


def test_bands_are_narrower_around_hints(calibrations: list[Calibration]) -> None:
    usual, hinted = (calibration.certificate["curve"][0]["width"] for calibration in calibrations)
    around = calibrations[1].certificate["around_hints"]
    nearest, farthest = around[0], around[-1]
    assert hinted < 0.8 * usual
    assert nearest["width"] < 0.8 * nearest["width_without"]
    assert nearest["width"] / nearest["width_without"] < farthest["width"] / farthest["width_without"]
    assert sum(row["share"] for row in around) == pytest.approx(1, abs=1e-3)
    assert "around_hints" not in calibrations[0].certificate


def test_a_photo_with_hints_has_the_bands_of_their_calibration_and_says_what_they_need(calibrated: Colorizer) -> None:
    photo = draw_photo(0, "new")
    result = calibrated.colorize(photo.rgb, ALPHA, hints=draw_hints(START, photo))
    law = calibrated.package.hints_calibration.law
    assert (result.caveat, result.law) == (None, law.in_words)
    assert "it does not reach a hint that is a guess" in result.law
    steps = calibrated.package.hints_calibration.steps(Guarantee(alpha=ALPHA))
    np.testing.assert_array_equal(result.steps, steps)
    plain = calibrated.colorize(photo.rgb, ALPHA)
    assert (plain.caveat, plain.law) == (None, None)
    assert result.width.mean() < plain.width.mean()


def test_without_such_a_calibration_the_bands_stay_and_nothing_is_promised(calibrated: Colorizer) -> None:
    old = Colorizer(replace(calibrated.package, hints_calibration=None), "old")
    photo = draw_photo(0, "new")
    prediction, plain = old.predict(photo.grey, hints=draw_hints(START, photo)), old.predict(photo.grey)
    assert old.choose(prediction, Guarantee(alpha=ALPHA)).caveat is not None
    assert old.choose(prediction, Guarantee(alpha=ALPHA)).law is None
    for channel in range(3):
        ends = (bands.bands.nested.intervals.knots(0, 5, channel) for bands in (prediction, plain))
        for one, other in zip(*ends, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_hint_is_judged_by_the_bands_without_it(calibrated: Colorizer) -> None:
    """With its own hint a colour always looks usual."""
    photo = draw_photo(1, "new")
    red = calibrated.colorize(photo.rgb, ALPHA, hints=HintRequest((Point(8, 8, (255, 0, 0)),)))
    old = Colorizer(replace(calibrated.package, hints_calibration=None), "old")
    assert red.hints == old.colorize(photo.rgb, ALPHA, hints=HintRequest((Point(8, 8, (255, 0, 0)),))).hints


def test_files_keep_the_law(calibrations: list[Calibration], tmp_path: Path) -> None:
    hinted = calibrations[1]
    paths = [write_calibration(tmp_path, calibration) for calibration in calibrations]
    assert [path.name for path in paths] == [DESCRIPTION, WITH_HINTS[1]]
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {TABLES, DESCRIPTION, *WITH_HINTS}
    assert parse_calibration(tmp_path, files).law is None and "law" not in json.loads(files[DESCRIPTION])
    read = parse_calibration(tmp_path, files, WITH_HINTS)
    assert read.law == hinted.law and read.shape == hinted.shape and read.certificate == hinted.certificate
    np.testing.assert_array_equal(read.table.losses, hinted.table.losses)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda law: None, r"law \(=None\) must fit the name calibration-hints\.json"),
        (lambda law: law | {"mean": 0.5}, r"law\.mean \(=0\.5\) must be a number from 1 on"),
        (lambda law: law | {"most": 0}, r"law\.most \(=0\) must be an integer from 1 on"),
        (lambda law: law | {"deviation": -1.0}, r"law\.deviation \(=-1\.0\) must be above 0"),
        (
            lambda law: law | {"kernel": law["kernel"] | {"prior": 0.0}},
            r"law.*prior \(=0\.0\) must be a number above 0",
        ),
        (lambda law: law | {"kernel": {}}, r"law.*"),
    ],
)
def test_a_law_that_cannot_be_is_refused(calibrations: list[Calibration], tmp_path: Path, change, problem) -> None:
    path = write_calibration(tmp_path, calibrations[1])
    description = json.loads(path.read_text())
    files = {WITH_HINTS[0]: (tmp_path / WITH_HINTS[0]).read_bytes()}
    files[WITH_HINTS[1]] = json.dumps(description | {"law": change(description["law"])}).encode()
    with pytest.raises(CalibrationError, match=problem):
        parse_calibration(tmp_path, files, WITH_HINTS)


def test_a_package_holds_both_calibrations_or_the_usual_one(tiny_package: Path, tmp_path: Path) -> None:
    """The tables are those of the usual calibration: what is tested is how a package holds them."""
    files = read_files(tiny_package)
    usual = parse_calibration(tiny_package, files)
    write_calibration(tmp_path, replace(usual, law=START, certificate={}))
    both = files | {name: (tmp_path / name).read_bytes() for name in WITH_HINTS}
    package = parse_package(tmp_path, both)
    assert package.calibration.law is None and package.hints_calibration.law == START
    assert parse_package(tmp_path, files).hints_calibration is None
    assert package.package_sha256 != parse_package(tmp_path, files).package_sha256
    with pytest.raises(PackageError, match=r"calibration-hints\.npz: missing beside"):
        parse_package(tmp_path, {name: both[name] for name in both if name != WITH_HINTS[0]})
    other = replace(usual, law=START, certificate={}, weights_sha256="2" * 64)
    write_calibration(tmp_path, other)
    files |= {name: (tmp_path / name).read_bytes() for name in WITH_HINTS}
    with pytest.raises(PackageError, match=r"calibration-hints\.json: weights_sha256 .* belongs to another model"):
        parse_package(tmp_path, files)


def test_the_certificate_tells_of_hints_where_there_are_any(calibrations: list[Calibration], tmp_path: Path) -> None:
    config = {"name": "tiny", "lineage": {}}
    usual, hinted = (json.loads(write_calibration(tmp_path, calibration).read_text()) for calibration in calibrations)
    page, plain = write_page(config, usual, hinted), write_page(config, usual)
    assert "<h2>With hints</h2>" in page and "With hints" not in plain
    for row in calibrations[1].certificate["around_hints"]:
        assert f"<td>{row['width']:.1f}</td><td>{row['width_without']:.1f}</td>" in page


def test_distances_are_counted_from_the_nearest_hint() -> None:
    true_HW3 = np.full((100, 100, 3), 100, np.uint8)
    hints = HintRequest((Point(50, 50, (200, 60, 60)),)).on(GreyPhoto(true_HW3[..., 0]))
    wide = np.stack((true_HW3 - 40, true_HW3 + 40), axis=-1)
    narrow = wide.copy()
    narrow[40:61, 40:61, :, 0], narrow[40:61, 40:61, :, 1] = 101, 111  # holds no true value
    rows = summarise([AroundHints.of(hints, narrow, wide, true_HW3)])
    assert [(row["from"], row["to"]) for row in rows] == list(zip((0.0, *EDGES), (*EDGES, None), strict=True))
    assert (rows[0]["width"], rows[0]["width_without"], rows[0]["coverage"]) == (10, 80, 0)
    assert (rows[-1]["width"], rows[-1]["width_without"], rows[-1]["coverage"]) == (80, 80, 1)


def test_a_model_whose_network_takes_no_hints_has_one_law_unless_the_settings_ask_for_both(tiny_package: Path) -> None:
    colorizer = Colorizer.load(tiny_package)
    assert list(laws(colorizer, Drawn(), SETTINGS)) == [None]
    usual, law = laws(colorizer, Drawn(), replace(SETTINGS, hints=True))
    assert usual is None and isinstance(law, HintLaw)


def test_hints_cannot_be_measured_without_the_usual_calibration(
    colorizer: Colorizer, calibrations: list[Calibration]
) -> None:
    with pytest.raises(PackageError, match="has no calibration"):
        measure(colorizer, Drawn(), calibrations[1], SETTINGS)


def test_a_folder_with_both_calibrations_is_a_package(tiny_package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    for name, content in read_files(tiny_package).items():
        (folder / name).write_bytes(content)
    write_calibration(folder, replace(parse_calibration(folder, read_files(folder)), law=START, certificate={}))
    seal(folder)
    assert Colorizer.load(folder).package.hints_calibration is not None


def test_colours_of_a_network_that_takes_no_hints_follow_them_by_the_density(tiny_package: Path) -> None:
    model = Colorizer.load(tiny_package)
    law = fit_law(model.density, Drawn().read("val"))
    calibrated = Colorizer(
        replace(model.package, hints_calibration=replace(model.calibration, law=law, certificate={})), "calibrated"
    )
    assert not model.abilities.hints and calibrated.abilities.hints
    before, after, hinted = [], [], []
    for number in range(8):
        photo = draw_photo(number, "followed")
        points = tuple(Point(16, y, tuple(photo.rgb[y, 16].tolist())) for y in (8, 24))  # one on each surface
        request = HintRequest(points)
        plain, followed = (calibrated.colorize(photo.rgb, ALPHA, hints=hints) for hints in (None, request))
        np.testing.assert_array_equal(plain.rgb, model.colorize(photo.rgb, ALPHA).rgb)
        for shown, errors in ((plain, before), (followed, after)):
            errors.append(np.abs(shown.rgb.astype(int) - photo.rgb).mean())
        hinted += [np.abs(followed.rgb[point.y, point.x].astype(int) - point.rgb).max() for point in points]
        assert followed.hints is not None and followed.law == law.in_words
        levels = (GreyPhoto.of_rgb(shown.rgb).levels_HW.astype(int) for shown in (plain, followed))
        assert np.abs(next(levels) - next(levels)).max() <= 1, "lightness stays"
    assert np.mean(after) < 0.7 * np.mean(before)
    assert max(hinted) <= 3, "a hinted pixel keeps its colour, up to the rounding of lightness"


def test_samples_follow_the_hints_too_and_a_border_stays_grey(tiny_package: Path) -> None:
    several = with_samples(tiny_package)
    law = fit_law(several.density, Drawn().read("val"))
    calibration = replace(several.calibration, law=law, certificate={})
    several = Colorizer(replace(several.package, hints_calibration=calibration), "several")
    levels = np.full((60, 60), 250, np.uint8)
    levels[12:-12, 12:-12] = np.random.default_rng(0).integers(60, 200, (36, 36), dtype=np.uint8)
    request = HintRequest((Point(30, 30, (200, 60, 60)),))
    plain, hinted = (several.colorize(levels, ALPHA, samples=2, hints=hints) for hints in (None, request))
    for before, after in zip((plain.rgb, *plain.samples), (hinted.rgb, *hinted.samples), strict=True):
        inside = np.s_[12:-12, 12:-12]
        assert (after[inside] != before[inside]).any(axis=2).mean() > 0.5
        border = np.ones((60, 60), bool)
        border[inside] = False
        np.testing.assert_array_equal(after[border], before[border])
        assert (after[border] == 250).all()
