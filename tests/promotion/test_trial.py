"""The trial of a candidate against grey and the model in use: the order of the conditions, and the role of bands."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import MODES
from huebands.data.shards import data_sha256
from huebands.metrics.lpips import LPIPS
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from huebands.promotion.criteria import COLOURS, LEVEL
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.trial import ColourScorer, Trial, check_data
from tiny_photos import PlainColourScorer, tiny_photo, write_prepared

ALPHA, COUNT = 0.1, 12


def muted(seed: int) -> np.ndarray:
    """A photo whose colours lie within about 20 levels of grey."""
    grey = np.random.default_rng(seed).integers(80, 170, (16, 16, 1))
    shift = np.random.default_rng(seed + 100).integers(-20, 21, (16, 16, 3))
    return (grey + shift).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial") / "prepared"
    return SplitPhotos.read(write_prepared(folder, {"val": [muted(seed) for seed in range(COUNT)]}), "val")


def certificate(p_values):
    rows = [{"mode": m, "alpha": ALPHA, "coverage": 0.9, "p_value": p} for m, p in zip(MODES, p_values, strict=True)]
    return {"curve": rows, "test_photos": 33}


class Model:
    """Shows grey with bands of these distances down and up; its certificates hold the p-values of both modes."""

    def __init__(self, down=40, up=40, p_values=(0.5, 0.5), p_values_with_hints=None):
        self.calibration = SimpleNamespace(
            shape=None, steps=lambda guarantee: (down, up), certificate=certificate(p_values)
        )
        self.package = SimpleNamespace(hints_calibration=None)
        if p_values_with_hints is not None:
            self.package.hints_calibration = SimpleNamespace(certificate=certificate(p_values_with_hints))
        self.colours = SimpleNamespace(predict=lambda photo: photo.rgb)

    def predict(self, photo):
        def at(steps, mode):
            ends = (photo.rgb.astype(int) - steps[0], photo.rgb.astype(int) + steps[1])
            return np.stack(ends, axis=-1).clip(0, 255).astype(np.uint8)

        return SimpleNamespace(bands=SimpleNamespace(at=at, groups=np.zeros((3, *photo.shape), np.uint8)))


def trial(photos, candidate=None, in_use=None, **levels):
    """A trial in which the models' figures are these shares of grey's; 1 if left out."""
    wobble = 1e-3 * np.cos(np.arange(COUNT))
    figures = {name: dict.fromkeys(COLOURS, 10 * level + wobble * level) for name, level in levels.items()}
    figures["grey"] = dict.fromkeys(COLOURS, np.full(COUNT, 10.0))
    models = {"new": candidate or Model(), "old": in_use or Model()}
    return Trial(photos, models, figures)


def test_the_first_model_has_to_beat_grey(photos):
    verdict = trial(photos, new=0.9).judge("new", None, ALPHA)
    assert verdict.outcome == "better"
    assert verdict.reason == "better than grey: clearly lower by ciede2000, lpips, colourfulness_error"
    assert set(verdict.intervals) == {"grey ciede2000", "grey lpips", "grey colourfulness_error"}
    for level in (1.0, 1.1):
        verdict = trial(photos, new=level).judge("new", None, ALPHA)
        assert verdict.outcome == "inferior" and verdict.reason.startswith("not better than grey")


def test_a_model_worse_than_grey_is_inferior_even_if_it_beats_the_one_in_use(photos):
    verdict = trial(photos, new=1.1, old=1.5).judge("new", "old", ALPHA)
    assert verdict.outcome == "inferior" and verdict.reason.startswith("not better than grey: clearly higher by")


def test_bleeding_is_not_compared_with_grey(photos):
    figures = trial(photos, new=0.9).figures
    figures["grey"]["bleeding"] = np.zeros(COUNT)
    assert Trial(photos, {"new": Model()}, figures).judge("new", None, ALPHA).outcome == "better"


@pytest.mark.parametrize(("old_level", "outcome"), [(0.9, "better"), (0.7, "inferior")])
def test_colours_decide_where_they_differ(photos, old_level, outcome):
    narrow = Model(down=30, up=30)
    verdict = trial(photos, candidate=narrow, new=0.8, old=old_level).judge("new", "old", ALPHA)
    assert verdict.outcome == outcome
    assert len(verdict.lines) == 3 + 4, "bands are not compared"
    assert any(line.startswith("lpips 8.0000, in use ") for line in verdict.lines)


def test_a_refuted_promise_decides_before_the_colours(photos):
    refuted = Model(p_values=(0.5, 0.001))
    verdict = trial(photos, candidate=refuted, new=0.8).judge("new", None, ALPHA)
    assert verdict.outcome == "inferior"
    assert verdict.reason.startswith("joint coverage at alpha 0.1 is 0.9000 on the test photos, too little")


def test_a_refuted_promise_with_hints_decides_too(photos):
    refuted = Model(p_values_with_hints=(0.5, 0.001))
    verdict = trial(photos, candidate=refuted, new=0.8).judge("new", None, ALPHA)
    assert verdict.outcome == "inferior"
    assert verdict.reason.startswith("with hints, joint coverage at alpha 0.1 is 0.9000 on the test photos, too little")
    verdict = trial(photos, Model(down=60, up=60), refuted, new=0.8, old=0.8).judge("new", "old", ALPHA)
    assert (verdict.outcome, verdict.reason) == (
        "better",
        "colours alike, and the bands of the one in use break their promise",
    )


def test_all_promises_share_the_level_of_the_exact_tests(photos):
    for p_value, outcome in ((LEVEL / 4, "inferior"), (LEVEL / 3, "better")):
        model = Model(p_values=(p_value, 0.5), p_values_with_hints=(0.5, 0.5))
        assert trial(photos, candidate=model, new=0.8).judge("new", None, ALPHA).outcome == outcome


def test_coverage_is_described_also_where_it_was_not_tested(photos):
    model = Model(p_values=(0.25, 0.001))
    line = "on 33 photos of test: per_channel coverage 0.9000 of 0.9 promised, p 0.25 by the exact test"
    assert trial(photos, candidate=model, new=0.8).coverage("new", ALPHA)[0] == line
    del model.calibration.certificate["curve"][1]["p_value"]
    lines = trial(photos, candidate=model, new=0.8).coverage("new", ALPHA)
    assert lines[1] == "on 33 photos of test: joint coverage 0.9000 of 0.9 promised, not tested"
    model = Model(p_values_with_hints=(0.25, 0.5))
    assert trial(photos, candidate=model, new=0.8).coverage("new", ALPHA)[2] == line.replace("per_", "with hints, per_")


def test_with_equal_colours_narrower_bands_of_the_same_coverage_are_better(photos):
    tight, wide = Model(down=40, up=40), Model(down=60, up=40)
    assert trial(photos, tight, wide, new=0.8, old=0.8).judge("new", "old", ALPHA).outcome == "better"
    verdict = trial(photos, wide, tight, new=0.8, old=0.8).judge("new", "old", ALPHA)
    assert verdict.outcome == "alike" and "clearly higher by per_channel width, joint width" in verdict.reason
    assert trial(photos, tight, tight, new=0.8, old=0.8).judge("new", "old", ALPHA).outcome == "alike"


def test_bands_that_are_narrower_because_they_cover_less_are_not_better(photos):
    narrow, wide = Model(down=26, up=26), Model(down=32, up=32)
    verdict = trial(photos, narrow, wide, new=0.8, old=0.8).judge("new", "old", ALPHA)
    assert verdict.outcome == "alike"
    assert "clearly lower by per_channel width, joint width and clearly higher by" in verdict.reason
    assert "joint miscoverage" in verdict.reason


@pytest.mark.parametrize("broken", [Model(down=4, up=4), Model(p_values=(0.001, 0.5))])
def test_with_equal_colours_a_kept_promise_is_better_than_a_broken_one(photos, broken):
    verdict = trial(photos, Model(down=60, up=60), broken, new=0.8, old=0.8).judge("new", "old", ALPHA)
    assert (verdict.outcome, verdict.reason) == (
        "better",
        "colours alike, and the bands of the one in use break their promise",
    )


def test_bands_that_break_their_promise_on_the_validation_photos_are_not_better(photos):
    broken = Model(down=4, up=4)
    verdict = trial(photos, broken, Model(down=60, up=60), new=0.8, old=0.8).judge("new", "old", ALPHA)
    assert verdict.outcome == "inferior" and "break their promise" in verdict.reason


def test_bands_of_a_package_are_measured_like_those_of_its_certificate(photos, tiny_package):
    colorizer = Colorizer.load(tiny_package)
    run = Trial.run({"new": colorizer, "old": colorizer}, photos, PlainColourScorer())
    verdict = run.judge("new", "old", 0.3)
    assert verdict.outcome == "inferior", "random colours are worse than none"
    figures = run._measure_bands("new", 0.3)
    truth = photos[3]
    for mode in MODES:
        bands = colorizer.colorize(GreyPhoto.of_rgb(truth).levels_HW, alpha=0.3, mode=mode).bands
        stacked = np.stack([bands[channel] for channel in "RGB"], axis=2)
        inside = (stacked[..., 0] <= truth) & (truth <= stacked[..., 1])
        expected = 1 - (inside if mode == "per_channel" else inside.all(axis=-1)).mean()
        assert figures[f"{mode} miscoverage"][3] == pytest.approx(expected)
        assert figures[f"{mode} width"][3] == pytest.approx(np.ptp(stacked.astype(int), axis=-1).mean())


def test_a_trial_measures_every_model_and_grey_on_every_photo(photos):
    run = Trial.run({"new": Model()}, photos, PlainColourScorer())
    assert {name: set(figures) for name, figures in run.figures.items()} == {"new": set(COLOURS), "grey": set(COLOURS)}
    for criterion in COLOURS:
        assert run.figures["new"][criterion] == pytest.approx(run.figures["grey"][criterion]), "it shows grey"
        assert run.means("new")[criterion] == pytest.approx(run.figures["new"][criterion].mean())
    assert run.judge("new", None, ALPHA).reason == "not better than grey: no clear difference by any criterion"


def test_the_scorer_takes_each_criterion_from_its_metric(photo_scorer):
    scorer = ColourScorer.__new__(ColourScorer)
    scorer._lpips = photo_scorer._lpips
    assert isinstance(scorer._lpips, LPIPS)
    truth, result = tiny_photo(1, 32), tiny_photo(2, 32)
    expected = photo_scorer.score(truth, {"x": result}).results["x"].figures
    assert scorer.score(truth, {"x": result})["x"] == pytest.approx(
        {criterion: expected[criterion] for criterion in COLOURS}
    )


def test_a_package_of_other_data_is_refused(tmp_path, tiny_package):
    prepared: Path = write_prepared(tmp_path / "prepared", {"val": [tiny_photo(0)]})
    colorizer = Colorizer.load(tiny_package)
    with pytest.raises(PackageError, match=f"trained on the data 111111111111, while .* {data_sha256(prepared)[:12]};"):
        check_data(colorizer, prepared)
    colorizer.package.config["lineage"]["data_sha256"] = data_sha256(prepared)
    check_data(colorizer, prepared)
