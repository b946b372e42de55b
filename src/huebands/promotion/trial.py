"""A candidate is compared with grey and with the model in use, on photos that neither has learned from.

The conditions, in this order:
1. The candidate's bands keep their promise on the test photos, and that on test photos with hints where it has one, as
   far as an exact test can tell.
2. Its colours are better than grey (`criteria`, without bleeding), also where there is no other model to beat.
3. Its colours are better than those of the model in use.
4. Where the colours are alike, as those of equal weights are, the bands on the same photos decide. The candidate
   is better when the model in use breaks its promise and the candidate does not, or when miscoverage and width of its
   bands at alpha are better by the same rule. Bands that are narrower because they cover less are not better.

Two models that differ by nothing but chance change places with a probability of 5% at most: 2.5% by colours, 2.5% by
bands.

How the candidate stands to other references, such as the mean colour by lightness, is told and decides nothing.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.coverage import measure_bands
from huebands.conformal.guarantee import MODES, Guarantee, Mode
from huebands.data.shards import data_sha256
from huebands.metrics.bleeding import bleeding
from huebands.metrics.image import ciede2000, colourfulness
from huebands.metrics.lpips import LPIPS
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from huebands.promotion.criteria import (
    COLOURS,
    Comparison,
    Difference,
    Figures,
    compare,
    compare_with_grey,
    doubts,
    refuted,
)
from huebands.statistics.broken_promise import broken_p

GREY, IN_USE, BANDS = "grey", "in use", "bands in use"
Baseline = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # grey levels (H, W) to sRGB (H, W, 3)


class Photos(Protocol):
    """Photos in colour, by their place from 0: sRGB uint8 (H, W, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]: ...


class ColourScorer:
    """Measures the criteria of colours; LPIPS is loaded once.

    Raises:
        FetchError: when the weights of LPIPS cannot be fetched.
    """

    def __init__(self) -> None:
        self._lpips = LPIPS()

    def score(self, truth: np.ndarray, results: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Score results on one photo, sRGB uint8 (H, W, 3): {name: {criterion: figure}}."""
        features = self._lpips.features(truth)
        return {
            name: {
                "ciede2000": ciede2000(truth, result),
                "lpips": self._lpips.distance(features, self._lpips.features(result)),
                "colourfulness_error": abs(colourfulness(truth) - colourfulness(result)),
                "bleeding": bleeding(truth, result),
            }
            for name, result in results.items()
        }


@dataclass(frozen=True)
class Verdict:
    """The outcome of a trial.

    Attributes:
        outcome: a "better" candidate replaces the model in use, or is the first; an "alike" one does not differ.
        reason: one sentence for readers.
        comparisons: {name of the reference: comparison of the candidate with it}.
    """

    outcome: Literal["better", "alike", "inferior"]
    reason: str
    comparisons: Mapping[str, Comparison]

    @property
    def lines(self) -> list[str]:
        """Every difference in words."""
        return [difference.in_words(name) for name, difference in self._differences()]

    @property
    def intervals(self) -> dict[str, str]:
        """Every difference with its interval, by names such as "grey lpips"."""
        return {f"{name} {difference.criterion}": difference.interval for name, difference in self._differences()}

    def _differences(self) -> Iterator[tuple[str, Difference]]:
        for name, comparison in self.comparisons.items():
            yield from ((name, difference) for difference in comparison.differences)


@dataclass(frozen=True)
class Trial:
    """Models and what their colours measure on photos.

    Attributes:
        photos: that were coloured.
        colorizers: colorizers of the models.
        figures: figures of the models, of grey and of the baselines, {name: {criterion: (photos,)}}.
        seconds: median time that a model's colours of a photo take, without the first photo's.
    """

    photos: Photos
    colorizers: Mapping[str, Colorizer]
    figures: Mapping[str, Figures]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def run(
        cls,
        colorizers: Mapping[str, Colorizer],
        photos: Photos,
        scorer: ColourScorer,
        baselines: Mapping[str, Baseline] | None = None,
    ) -> Self:
        """Colour the photos, at least one, with each model and each baseline, and score them."""
        scores, baselines = [], baselines or {}
        seconds: dict[str, list[float]] = {name: [] for name in colorizers}
        for row in range(len(photos)):
            truth = photos[row]
            photo = GreyPhoto.of_rgb(truth)
            results = {GREY: photo.rgb, **{name: colour(photo.levels_HW) for name, colour in baselines.items()}}
            for name, colorizer in colorizers.items():
                start = time.perf_counter()
                results[name] = colorizer.colours.predict(photo)
                seconds[name].append(time.perf_counter() - start)
            scores.append(scorer.score(truth, results))
        figures = {
            name: {criterion: np.array([score[name][criterion] for score in scores]) for criterion in COLOURS}
            for name in (*colorizers, GREY, *baselines)
        }
        medians = {name: statistics.median(times[1:] or times) for name, times in seconds.items()}
        return cls(photos, colorizers, figures, medians)

    def means(self, name: str) -> dict[str, float]:
        """A model's mean figures."""
        return {criterion: float(values.mean()) for criterion, values in self.figures[name].items()}

    def coverage(self, name: str, alpha: float) -> list[str]:
        """Describe the bands at alpha by a model's certificates: coverage and mean width, a line for each mode."""
        return [
            f"on {row['test_photos']} photos of test: {row['mode']} coverage {row['coverage']:.4f} of {1 - alpha:g}"
            " promised, "
            + (f"p {row['p_value']:.3g} by the exact test" if "p_value" in row else "not tested")
            + (f", width {row['width']:.1f} of 255 levels" if "width" in row else "")
            for row in self._promises(name, alpha)
        ]

    def certified(self, name: str, alpha: float) -> dict[str, str]:
        """The same figures by names such as "coverage joint", "p joint" and "width joint"."""
        return {
            f"{figure} {row['mode']}": f"{row[key]:.4g}"
            for row in self._promises(name, alpha)
            for figure, key in (("coverage", "coverage"), ("p", "p_value"), ("width", "width"))
            if key in row
        }

    def judge(self, candidate: str, in_use: str | None, alpha: float) -> Verdict:
        """Decide by the rule of this module.

        Args:
            candidate: name of a model of the trial.
            in_use: name of the model to beat; None where there is none.
            alpha: alpha of the promises that are tested; both calibrations support it.
        """
        comparisons = {GREY: compare_with_grey(self.figures[candidate], self.figures[GREY])}
        for name in self.figures:
            if name in self.colorizers or name == GREY:
                continue
            comparisons[name] = compare(self.figures[candidate], self.figures[name], COLOURS)
        if in_use is not None:
            comparisons[IN_USE] = compare(self.figures[candidate], self.figures[in_use], COLOURS)
        reasons = doubts(self._promises(candidate, alpha), alpha)
        if reasons:
            return Verdict("inferior", "; ".join(reasons), comparisons)
        if comparisons[GREY].outcome != "better":
            return Verdict("inferior", f"not better than grey: {comparisons[GREY].reason}", comparisons)
        if in_use is None:
            return Verdict("better", f"better than grey: {comparisons[GREY].reason}", comparisons)
        decisive = comparisons[IN_USE]
        if decisive.outcome == "alike":
            return self._judge_bands(candidate, in_use, alpha, comparisons)
        if decisive.outcome == "better":
            return Verdict("better", f"better than the one in use: {decisive.reason}", comparisons)
        return Verdict("inferior", f"not better than the one in use: {decisive.reason}", comparisons)

    def _judge_bands(self, candidate: str, in_use: str, alpha: float, comparisons: Mapping[str, Comparison]) -> Verdict:
        bands = {name: self._measure_bands(name, alpha) for name in (candidate, in_use)}
        band_comparison = compare(bands[candidate], bands[in_use], list(bands[candidate]))
        comparisons = {**comparisons, BANDS: band_comparison}
        breaks_promise = {name: self._breaks(name, figures, alpha) for name, figures in bands.items()}
        if breaks_promise[candidate]:
            return Verdict("inferior", "colours alike, but its bands break their promise on these photos", comparisons)
        if breaks_promise[in_use]:
            return Verdict("better", "colours alike, and the bands of the one in use break their promise", comparisons)
        if band_comparison.outcome == "better":
            return Verdict("better", f"colours alike, and better bands: {band_comparison.reason}", comparisons)
        return Verdict("alike", f"colours alike, and no better bands: {band_comparison.reason}", comparisons)

    def _breaks(self, name: str, bands: Figures, alpha: float) -> bool:
        """Whether an exact test refutes the promise of a model, on the photos or on its own test photos."""
        validated = [{"alpha": alpha, "p_value": broken_p(bands[_miscoverage(mode)], alpha)} for mode in MODES]
        return bool(refuted(validated, alpha) or refuted(self._promises(name, alpha), alpha))

    def _measure_bands(self, name: str, alpha: float) -> Figures:
        """Miscoverage and mean width, 8-bit levels, of both modes on the photos."""
        colorizer, rows = self.colorizers[name], []
        calibration = colorizer.calibration
        for row in range(len(self.photos)):
            true_HW3 = self.photos[row]
            bands = colorizer.predict(GreyPhoto.of_rgb(true_HW3)).bands
            figures: dict[str, float] = {}
            for mode in MODES:
                bands_HW32 = bands.at(calibration.steps(Guarantee(alpha=alpha, mode=mode)), mode)
                measured = measure_bands(bands_HW32, true_HW3, bands.groups, mode)
                figures |= {_miscoverage(mode): 1 - measured.coverage, f"{mode} width": float(measured.widths.mean())}
            rows.append(figures)
        return {criterion: np.array([figures[criterion] for figures in rows]) for criterion in rows[0]}

    def _promises(self, name: str, alpha: float) -> list[dict[str, Any]]:
        """The rows of a model's certificates at alpha, whose modes say where photos have hints."""
        return [
            {**row, "mode": f"{prefix}{row['mode']}", "test_photos": certificate["test_photos"]}
            for prefix, certificate in self._certificates(name)
            for row in certificate.get("curve", [])
            if abs(row["alpha"] - alpha) < 1e-9
        ]

    def _certificates(self, name: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The certificate, and that of photos with hints where there is one, each with what to put before a mode."""
        colorizer = self.colorizers[name]
        with_hints = colorizer.package.hints_calibration
        plain = [("", colorizer.calibration.certificate)]
        return plain if with_hints is None else [*plain, ("with hints, ", with_hints.certificate)]


def check_data(colorizer: Colorizer, prepared: Path) -> None:
    """Check that a package was trained on the prepared data: else its training may have seen the validation photos.

    Raises:
        PackageError: naming both.
    """
    trained, prepared_sha256 = colorizer.package.config["lineage"]["data_sha256"], data_sha256(prepared)
    if trained != prepared_sha256:
        raise PackageError(
            f"{colorizer.source}: trained on the data {trained[:12]}, while {prepared} is {prepared_sha256[:12]}; make"
            " that dataset with `dvc repro prepare`, or remove the package"
        )


def _miscoverage(mode: Mode) -> str:
    return f"{mode} miscoverage"
