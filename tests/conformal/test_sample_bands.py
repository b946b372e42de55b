"""The study of bands from samples: its families are nested and cover, and its table names the narrowest valid row."""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import samples
from band_pixels import Pixels
from band_scores import Calibrated, channel_scales
from bands import OWN, RESPLIT, measure
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.sampling import MAX_SAMPLES, Sampling
from huebands.conformal.bands import STEPS
from huebands.conformal.guarantee import MODES
from huebands.conformal.shape import unmerged_shape
from huebands.photos.grey import GreyPhoto
from sample_bands import (
    CONSTANT,
    DENSITY,
    LEVELS,
    SCALED,
    SPREAD,
    WIDENED,
    SampledPixels,
    choose,
    family_settings,
    over_photos,
)
from sample_table import answer, correct, narrowest_valid
from several_colourings import with_samples
from tiny_photos import tiny_photo, write_prepared

FAMILIES = (SPREAD, WIDENED, SCALED, LEVELS, CONSTANT)
PHOTOS, CALIBRATING, SIDE, COUNT = 120, 60, 5, 16
SHAPE = unmerged_shape(0.25)


def synthetic(photos: int, seed: int) -> SampledPixels:
    """Photos whose true colours and samples have one distribution, of another spread at each pixel."""
    random = np.random.default_rng(seed)
    size = (photos * SIDE, SIDE, 3)
    shown = random.integers(70, 186, size).astype(float)
    spread = random.gamma(2.0, 3.0, (*size[:2], 1)) * np.array([1.0, 0.4, 1.3])
    true, *drawn = (
        np.clip(shown + spread * random.normal(size=size), 0, 255).astype(np.uint8) for _ in range(1 + COUNT)
    )
    grey, zeros = GreyPhoto.of_rgb(true).levels_HW, np.zeros(size, np.float32)
    groups, no_quantiles = np.zeros((*size[:2], 1), np.uint8), np.zeros((*size[:2], 0, 3), np.float32)
    pixels = Pixels(photos, true, shown.astype(np.uint8), grey, groups, {}, no_quantiles, zeros, zeros)
    return SampledPixels.of(pixels, np.stack(drawn))


@pytest.fixture(scope="module")
def sampled() -> SampledPixels:
    return synthetic(PHOTOS, seed=0)


@pytest.fixture(scope="module")
def scores(sampled: SampledPixels) -> dict[str, Calibrated]:
    """As other photos of the same kind choose them."""
    val = synthetic(40, seed=1)
    settings = family_settings(channel_scales(val.pixels))
    return {name: choose(settings[name], sampled, val, SHAPE).score for name in FAMILIES}


def test_spread_and_quantiles_of_samples_are_those_of_numpy() -> None:
    values = np.array([20, 90, 30, 60, 50], np.uint8)
    pixels = synthetic(1, seed=2).pixels
    of_values = SampledPixels.of(pixels, np.broadcast_to(values[:, None, None, None], (5, SIDE, SIDE, 3)))
    assert of_values.pixels.deviation_HW3 == pytest.approx(np.std(values, ddof=1))
    for tail in (0.05, 0.25, 0.4):
        lower, upper = of_values.quantiles(tail)
        assert lower == pytest.approx(np.quantile(values, tail), rel=1e-6)
        assert upper == pytest.approx(np.quantile(values, 1 - tail), rel=1e-6)


def test_one_sample_has_no_spread() -> None:
    with pytest.raises(ValueError, match=r"count \(=1\) of samples must be at least 2"):
        SampledPixels.of(synthetic(1, seed=2).pixels, np.zeros((1, SIDE, SIDE, 3), np.uint8))


@pytest.mark.parametrize("name", FAMILIES)
def test_bands_are_nested_from_the_colour_shown_to_all_that_srgb_can_show(name: str) -> None:
    few = synthetic(4, seed=3)
    shown, gamut = few.pixels.shown_HW3, few.pixels.gamut
    for setting, make in family_settings(np.array([0.8, 0.3, 1.0]))[name].items():
        family = make(few)
        bands = np.stack([family.at(np.full(3, step)) for step in range(STEPS)]).astype(int)
        assert (np.diff(bands[..., 0], axis=0) <= 0).all() and (np.diff(bands[..., 1], axis=0) >= 0).all(), setting
        assert (bands[..., 0] <= shown).all() and (shown <= bands[..., 1]).all(), setting
        assert np.array_equal(bands[-1, ..., 0], np.minimum(gamut[..., 0], shown)), setting
        assert np.array_equal(bands[-1, ..., 1], np.maximum(gamut[..., 1], shown)), setting


def test_the_inner_bands_of_levels_end_at_quantiles() -> None:
    few = synthetic(4, seed=3)
    family = family_settings(np.ones(3))[LEVELS][""](few)
    for tail, step in ((0.25, 36), (0.0, 72)):
        lower, upper = few.quantiles(tail)
        bands = family.at(np.full(3, step))
        is_wide = (lower < few.pixels.shown_HW3) & (few.pixels.shown_HW3 < upper)
        in_gamut = (few.pixels.gamut[..., 0] <= lower) & (upper <= few.pixels.gamut[..., 1])
        chosen = is_wide & in_gamut
        assert chosen.sum() > 20
        assert np.array_equal(bands[chosen], np.stack((np.floor(lower), np.ceil(upper)), axis=-1)[chosen])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_score_covers_exchangeable_photos_and_little_more(scores, sampled, name: str, mode: str) -> None:
    random = np.random.default_rng(4)
    orders = [random.permutation(PHOTOS) for _ in range(20)]
    coverage = measure(scores[name], mode, sampled.pixels, CALIBRATING, orders).coverage
    # Risk control gives away 2/61 at most, and a step of the bands a little. The deviation of a photo's coverage is
    # about 0.06, of the mean over 120 photos 0.006; this allows three of it.
    assert 0.9 - 0.018 <= coverage <= 0.9 + 2 / 61 + 0.018


@pytest.mark.parametrize("name", [SPREAD, SCALED])
def test_samples_that_know_the_error_give_narrower_bands_than_a_constant_width(scores, name: str) -> None:
    rows = np.arange(CALIBRATING)
    width, constant = (scores[score](rows, "per_channel").widths.mean() for score in (name, CONSTANT))
    assert width < 0.9 * constant


def test_the_validation_photos_choose_the_narrowest_setting(sampled: SampledPixels) -> None:
    val = synthetic(40, seed=1)
    settings = family_settings(channel_scales(val.pixels))[SPREAD]
    widths = {
        setting: sum(over_photos(make(val), val.pixels, SHAPE)(np.arange(40), mode).widths.mean() for mode in MODES)
        for setting, make in settings.items()
    }
    chosen = choose(settings, sampled, val, SHAPE)
    assert chosen.setting.startswith(f"{min(widths, key=widths.get)}, G ahead by ")


@pytest.fixture(scope="module")
def colorizer(tiny_package: Path) -> Colorizer:
    return with_samples(tiny_package)


def test_more_samples_than_one_request_gives_are_drawn_in_several(colorizer: Colorizer) -> None:
    photo = GreyPhoto.of_rgb(tiny_photo(0))
    drawn = samples.draw(colorizer, photo, MAX_SAMPLES + 3, seed=5, stride=4)
    assert drawn.shape == (MAX_SAMPLES + 3, 4, 4, 3)
    first = colorizer.colours.samples(photo, Sampling(count=MAX_SAMPLES, seed=5))
    second = colorizer.colours.samples(photo, Sampling(count=3, seed=6))
    for one, full in zip(drawn, (*first, *second), strict=True):
        assert np.array_equal(one, full[2::4, 2::4])
    assert len(np.unique(drawn, axis=0)) == len(drawn), "no two samples are equal"


def test_the_seed_of_a_photo_is_that_of_its_id_alone() -> None:
    assert samples.seed_of("a") == samples.seed_of("a") != samples.seed_of("b")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["samples.py", *map(str, arguments), "--no-tracking"])
    samples.main()


def test_a_model_without_samples_is_refused_by_name_with_the_remedy(tiny_package: Path, monkeypatch) -> None:
    message = (
        r"samples: \S*tiny has the network unet, which knows one colouring only.*: leave this package out, or give"
    )
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, "--model", tiny_package)


def test_two_packages_of_one_name_are_refused(tiny_package: Path, monkeypatch) -> None:
    with pytest.raises(SystemExit, match="have the same name, tiny: give one of them another"):
        run(monkeypatch, "--model", tiny_package, "--model", tiny_package)


def test_too_few_samples_are_refused(tiny_package: Path, monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--model", tiny_package, "--count", 1)
    assert "--count (=1) must be at least 2" in capsys.readouterr().err


def test_all_packages_come_into_one_table(tiny_package: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    other = shutil.copytree(tiny_package, tmp_path / "other")
    counts = {"val": 10, "calibration": 12, "test": 4}
    photos = {split: [tiny_photo(100 * len(split) + row) for row in range(count)] for split, count in counts.items()}
    prepared, load = write_prepared(tmp_path / "prepared", photos), Colorizer.load
    monkeypatch.setattr(samples.Colorizer, "load", lambda folder: with_samples(load(folder)))
    options = ("--prepared", prepared, "--report", tmp_path / "report", "--stride", 4, "--count", 3, "--splits", 2)
    run(monkeypatch, "--model", tiny_package, "--model", other, *options)
    with (tmp_path / "report/samples.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["package"], row["study"], row["score"]) for row in rows] == [
        (package, study, score)
        for package in ("tiny", "other")
        for study in (OWN, RESPLIT)
        for score in (*FAMILIES, DENSITY)
    ]
    for row in rows:
        for mode in MODES:
            assert 0 <= float(row[f"{mode}_coverage"]) <= 1 and float(row[f"{mode}_width"]) > 0
            assert (row[f"{mode}_p"] == "") == (row["study"] == RESPLIT)
            assert row["score"] != DENSITY or float(row[f"{mode}_relative"]) == 0
    for row, same in zip(rows[:12], rows[12:], strict=True):
        assert row["joint_width"] == same["joint_width"], "equal packages have equal figures"
    printed = capsys.readouterr().out
    assert printed.count("\n| tiny \\* |") == printed.count("\n| other \\* |") == len(FAMILIES) + 1
    assert printed.count("the narrowest valid bands are") == len(MODES)


def table_row(name: str, width: float, p: float, study: str = OWN) -> dict:
    """A row of the table with equal figures in both modes."""
    figures = {"width": width, "p": p, "relative": 0.1, "relative_low": 0.0, "relative_high": 0.2}
    by_mode = {f"{mode}_{figure}": value for mode in MODES for figure, value in figures.items()}
    return {"name": name, "study": study, "score": name, "refused": "", **by_mode}


def test_a_row_whose_promise_is_broken_is_not_the_narrowest_valid_one() -> None:
    rows = [table_row("broken", 10, 1e-4), table_row("narrow", 20, 0.03), table_row("wide", 30, 0.8)]
    rows += [table_row(row["name"], row["joint_width"] + 1, np.nan, RESPLIT) for row in rows]
    correct(rows)
    # Six hypotheses: 1e-4 stays small, 0.03 does not.
    assert narrowest_valid(rows, "joint")["name"] == "narrow"
    assert answer(rows, "joint") == (
        "joint: the narrowest valid bands are narrow, 20.0 levels wide, +10.0% [+0.0%, +20.0%] to the density's of the"
        " same package; over the re-splits narrow, 21.0 levels."
    )
    assert narrowest_valid(rows[:1], "joint") is None and answer(rows[:1], "joint") == "joint: no row is valid."
