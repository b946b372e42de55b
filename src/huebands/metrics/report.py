"""Every metric of colorizations: of one photo, and over photos with a 95% interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from huebands.metrics.bleeding import bleeding_of_lab
from huebands.metrics.image import Photo, error_figures, own_figures
from huebands.metrics.inception import Inception
from huebands.metrics.lpips import LPIPS
from huebands.metrics.sets import fid, kid
from huebands.statistics.bootstrap import Estimate as Estimate
from huebands.statistics.bootstrap import mean_interval, resampling_weights

_RESAMPLES = 2000
_POSITIVE, _SHARE = (0.0, math.inf), (0.0, 1.0)


@dataclass(frozen=True)
class Metric:
    """A metric in words.

    Attributes:
        key: its name in files.
        name: for people.
        unit: "" where it has none.
        better: "" where neither is, because a result should have the figure of its truth.
        bounds: the least and the greatest value that it can have.
        decimals: that files keep, and that do not depend on the number of threads.
    """

    key: str
    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    bounds: tuple[float, float]
    decimals: int = 4

    @property
    def title(self) -> str:
        """Such as "PSNR, dB (higher is better)"."""
        unit = f", {self.unit}" if self.unit else ""
        return self.name + unit + (f" ({self.better} is better)" if self.better else "")

    def rounded(self, value: float) -> float | None:
        """Round for a file; None stands for infinity, which JSON cannot hold."""
        return round(value, self.decimals) if math.isfinite(value) else None


METRICS: tuple[Metric, ...] = (
    Metric("psnr", "PSNR", "dB", "higher", _POSITIVE),
    Metric("ssim", "SSIM", "", "higher", (-1.0, 1.0)),
    Metric("ciede2000", "CIEDE2000", "", "lower", _POSITIVE),
    Metric("ab_mae", "ab MAE", "CIELAB units", "lower", _POSITIVE),
    Metric("ab_auc", "ab AuC", "", "higher", _SHARE),
    Metric("lpips", "LPIPS", "", "lower", _POSITIVE),
    Metric("fid", "FID", "", "lower", _POSITIVE, decimals=2),
    Metric("kid", "KID", "", "lower", (-math.inf, math.inf), decimals=5),
    Metric("colourfulness", "colourfulness", "", "", _POSITIVE),
    Metric("colourfulness_error", "colourfulness error", "", "lower", _POSITIVE),
    Metric("clipped", "share of clipped pixels", "", "", _SHARE),
    Metric("bleeding", "colour bleeding", "", "lower", _SHARE),
)
OF_SETS = ("fid", "kid")  # have no figure for a single photo
OF_TRUTH = ("colourfulness", "clipped")  # the truth has them too


@dataclass(frozen=True)
class PhotoScore:
    """What one photo scores.

    Attributes:
        figures: {metric: value}; of a truth, those in OF_TRUTH alone.
        inception: (2048,), what FID and KID are made of.
    """

    figures: Mapping[str, float]
    inception: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class ScoredPhoto:
    """The score of a truth and of each result on it."""

    truth: PhotoScore
    results: dict[str, PhotoScore]


class PhotoScorer:
    """Scores one photo after the other; the networks are loaded once.

    Raises:
        FetchError: when a network's weights cannot be fetched.
    """

    def __init__(self) -> None:
        self._lpips, self._inception = LPIPS(), Inception()

    def score(self, truth: np.ndarray, results: Mapping[str, np.ndarray]) -> ScoredPhoto:
        """Score results on one photo; what they share is computed once.

        Args:
            truth: uint8 (H, W, 3).
            results: {name: uint8 (H, W, 3)}.

        Raises:
            ValueError: when a result is of another shape than the truth, naming it.
        """
        for name, result in results.items():
            if result.shape != truth.shape:
                raise ValueError(f"{name}: shape (={result.shape}) must be the truth's {truth.shape}")
        photo, features = Photo(truth), self._lpips.features(truth)
        scores = {}
        for name, result in results.items():
            coloured = Photo(result)
            figures = {
                **error_figures(photo, coloured),
                "lpips": self._lpips.distance(features, self._lpips.features(result)),
                "bleeding": bleeding_of_lab(photo.lab, coloured.lab),
                **own_figures(coloured),
            }
            scores[name] = PhotoScore(figures, self._inception.features(result))
        return ScoredPhoto(PhotoScore(own_figures(photo), self._inception.features(truth)), scores)


def summarise(
    truths: Sequence[PhotoScore], results: Sequence[PhotoScore], seed: int, judged_by_inception: bool = True
) -> dict[str, Estimate]:
    """Estimate every metric over photos, in the order of METRICS.

    Args:
        truths: one a photo.
        results: of the same photos, in the same order.
        seed: of the bootstrap over photos.
        judged_by_inception: False where the results' network looks through Inception, as FID and KID do: they would
            flatter it.

    Returns:
        {metric: estimate}; without FID and KID when there is one photo only, or Inception cannot judge.

    Raises:
        ValueError: when there are no photos, or not as many results as truths.
    """
    if not truths or len(truths) != len(results):
        raise ValueError(f"metrics need a result for each of at least one photo, got {len(results)} for {len(truths)}")
    weights = resampling_weights(len(truths), _RESAMPLES, seed)
    estimates = {
        metric.key: _mean(np.array([score.figures[metric.key] for score in results]), weights, metric.bounds)
        for metric in METRICS
        if metric.key not in OF_SETS
    }
    if len(truths) > 1 and judged_by_inception:
        truth, result = (np.stack([score.inception for score in scores]) for scores in (truths, results))
        estimates["fid"], estimates["kid"] = fid(truth, result, seed), kid(truth, result, seed)
    return {metric.key: estimates[metric.key] for metric in METRICS if metric.key in estimates}


def _mean(values: np.ndarray, weights: np.ndarray, bounds: tuple[float, float]) -> Estimate:
    finite = bool(np.all(np.isfinite(values)))
    error = float(values.std() / math.sqrt(len(values))) if finite else math.inf
    return Estimate(float(values.mean()), *mean_interval(values, weights, bounds), error)


def in_words(value: float | None) -> str:
    """Write a figure of a report for people: four digits; None is infinite."""
    return "∞" if value is None else f"{value:.4g}"
