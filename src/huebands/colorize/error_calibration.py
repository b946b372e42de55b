"""Calibrates the map of the expected error on the validation photos, and measures the maps on the test photos."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from huebands.conformal.error_map import MOST_KNOTS, ErrorCurve, MapName
from huebands.metrics.sparsification import calibration_error, rank_correlation, reliability, sparsification
from huebands.statistics.bootstrap import mean_interval, resampling_weights

PIXELS = 4096  # about so many of a photo are compared, spread evenly
_RESAMPLES = 2000
_BINS = 10
_FIGURES = ("sparsification", "rank_correlation")
_WORST = 10.0  # sparsification where one of PIXELS is wrong, and the map takes it for the surest: 9

Errors = Mapping[str, NDArray[np.floating]]  # "ab" and "ciede2000" at the compared pixels


@dataclass(frozen=True)
class MeasuredMaps:
    """The maps of one photo beside its true errors.

    Attributes:
        figures: {map: {error: (sparsification, rank correlation)}}.
        predicted_N: expected error, calibrated, at the compared pixels; None where the model gives none.
        observed_N: CIEDE2000 there.
    """

    figures: Mapping[MapName, Mapping[str, tuple[float, float]]]
    predicted_N: NDArray[np.float32] | None
    observed_N: NDArray[np.float32]


def compared_pixels(size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a photo whose errors are compared, about `PIXELS` or fewer, the same for every map."""
    stride = math.ceil(math.sqrt(size[0] * size[1] / PIXELS))
    rows, columns = (slice(min(stride, length) // 2, None, stride) for length in size)
    return rows, columns


def true_errors(shown_HW3: NDArray[np.uint8], true_HW3: NDArray[np.uint8]) -> Errors:
    """Distances of the colours shown from the true ones: in the plane of ab (CIELAB units), and in CIEDE2000."""
    shown, true = rgb2lab(shown_HW3), rgb2lab(true_HW3)
    distance = np.linalg.norm(shown[..., 1:] - true[..., 1:], axis=-1)
    return {"ab": distance.ravel(), "ciede2000": deltaE_ciede2000(true, shown).ravel()}


def fit_curve(photos: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> ErrorCurve:
    """Fit the curve by isotonic regression over pixels, with photos weighing alike.

    The fit is reduced to its means over parts of equal weight, and its two ends.

    Args:
        photos: expected and observed error at the compared pixels of each photo.

    Raises:
        ValueError: when there are no photos.
    """
    from sklearn.isotonic import IsotonicRegression

    if not photos:
        raise ValueError("the curve of the expected error needs at least one photo, got none")
    expected = np.concatenate([np.asarray(photo, np.float64) for photo, _ in photos])
    observed = np.concatenate([np.asarray(photo, np.float64) for _, photo in photos])
    weights = np.concatenate([np.full(len(photo), 1 / len(photo)) for photo, _ in photos])
    fitted = IsotonicRegression().fit_transform(expected, observed, sample_weight=weights)
    bins = reliability(expected, fitted, weights, MOST_KNOTS - 2)
    first, last = int(expected.argmin()), int(expected.argmax())
    knots = {part.predicted: part.observed for part in bins}
    knots = {expected[first]: fitted[first], **knots, expected[last]: fitted[last]}
    rising = sorted((round(float(x), 4), round(float(y), 4)) for x, y in knots.items())
    distinct = dict(rising)  # of knots that rounding joins, the last
    return ErrorCurve(tuple(distinct), tuple(np.maximum.accumulate(list(distinct.values())).tolist()))


def measure_maps(maps: Mapping[MapName, NDArray[np.float32]], errors: Errors) -> MeasuredMaps:
    """Measure a test photo's maps at the compared pixels.

    Args:
        maps: by name, the values at these pixels.
        errors: the true errors there.
    """
    figures = {
        name: {
            error: (sparsification(values.ravel(), errors_N), rank_correlation(values.ravel(), errors_N))
            for error, errors_N in errors.items()
        }
        for name, values in maps.items()
    }
    predicted = maps.get("expected-error")
    observed_N = errors["ciede2000"].astype(np.float32)
    return MeasuredMaps(figures, None if predicted is None else predicted.ravel(), observed_N)


def certify_maps(photos: Sequence[MeasuredMaps], seed: int) -> dict[str, Any]:
    """Summarise the maps of the test photos, for the certificate.

    Returns:
        "rows": of each map and error the means over photos with bootstrap 95% intervals; photos whose errors are equal
        everywhere do not count. With an expected error also "reliability": predicted and observed CIEDE2000 in tenths
        of the pixels, by rising prediction, and "calibration_error", their mean distance.
    """
    rows = [
        {"map": name, "error": error, **_summarise([photo.figures[name][error] for photo in photos], seed)}
        for name, errors in photos[0].figures.items()
        for error in errors
    ]
    predictions = [photo.predicted_N for photo in photos if photo.predicted_N is not None]
    if not predictions:
        return {"rows": rows}
    observed = np.concatenate([photo.observed_N for photo in photos])
    shares = np.concatenate([np.full(len(photo), 1 / len(photo)) for photo in predictions])
    bins = reliability(np.concatenate(predictions), observed, shares, _BINS)
    table = [{key: round(value, 3) for key, value in asdict(part).items()} for part in bins]
    return {"rows": rows, "reliability": table, "calibration_error": round(calibration_error(bins), 3)}


def _summarise(figures: Sequence[tuple[float, float]], seed: int) -> dict[str, Any]:
    known_N2 = np.array([pair for pair in figures if np.isfinite(pair).all()]).reshape(-1, 2)
    names = [f"{name}{end}" for name in _FIGURES for end in ("", "_low", "_high")]
    if len(known_N2) == 0:
        return {"photos": 0, **dict.fromkeys(names)}
    weights = resampling_weights(len(known_N2), _RESAMPLES, seed)
    values = list[float]()
    for bounds, figures_N in zip(((0.0, _WORST), (-1.0, 1.0)), known_N2.T, strict=True):
        values += [figures_N.mean(), *mean_interval(figures_N, weights, bounds)]
    return {"photos": len(known_N2), **{name: round(float(x), 4) for name, x in zip(names, values, strict=True)}}
