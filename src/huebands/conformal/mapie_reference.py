"""The only module that imports MAPIE: the reference for our quantile, and tests of a stream of colour photos."""

from collections.abc import Sequence

import mapie.regression
import numpy as np
from mapie.exchangeability_testing import OnlineMartingaleTest, RiskMonitoring

from huebands.statistics.losses import SLACK


class _Column:
    """A fitted estimator for MAPIE: its prediction is one of the features."""

    is_fitted = True

    def __init__(self, column: int) -> None:
        self.column = column

    def fit(self, features: np.ndarray, target: np.ndarray) -> "_Column":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features)[:, self.column]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def mapie_half_widths(true_rgb: np.ndarray, shown_rgb: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """Calibrate each channel with MAPIE on one pixel a photo.

    MAPIE takes the ceil((1 - alpha)(n + 1))-th smallest residual. Where that product is a whole number, floating point
    may round it up, and MAPIE would take the next residual. So MAPIE gets the slack that `Calibration` has.

    Args:
        true_rgb: (n, 3), independent pixels.
        shown_rgb: (n, 3), their colorization.
        alphas: in [1/n, 1 - 1/n), which MAPIE requires; `Calibration` supports 1/(n + 1) too.

    Returns:
        float64 (len(alphas), 3), half widths in 8-bit levels.

    Raises:
        ValueError: MAPIE's, when there are too few samples for an alpha.
    """
    levels = [1 - (alpha + SLACK) for alpha in alphas]
    result = np.empty((len(levels), 3))
    for channel in range(3):
        features = shown_rgb[:, channel : channel + 1].astype(np.float64)
        regressor = mapie.regression.SplitConformalRegressor(_Column(0), confidence_level=levels, prefit=True)
        regressor.conformalize(features, true_rgb[:, channel].astype(np.float64))
        _, intervals = regressor.predict_interval(features[:1])
        result[:, channel] = (intervals[0, 1] - intervals[0, 0]) / 2
    return result


def mapie_quantile_margin(
    lower: np.ndarray, upper: np.ndarray, median: np.ndarray, true: np.ndarray, alpha: float
) -> tuple[float, float]:
    """Conformalize predicted quantiles (Romano et al. 2019) of one channel with MAPIE, on independent pixels.

    Args:
        lower: (n,), predicted alpha / 2 quantiles.
        upper: (n,), predicted 1 - alpha / 2 quantiles.
        median: (n,).
        true: (n,).
        alpha: share that may leave.

    Returns:
        How far the lower quantiles go down and the upper ones up, in 8-bit levels; one margin for both ends.
    """
    features = np.stack((lower, upper, median), axis=1).astype(np.float64)
    estimators = [_Column(index) for index in range(3)]
    regressor = mapie.regression.ConformalizedQuantileRegressor(estimators, confidence_level=1 - alpha, prefit=True)
    regressor.conformalize(features, true.astype(np.float64))
    _, intervals = regressor.predict_interval(features[:1], symmetric_correction=True)
    return float(features[0, 0] - intervals[0, 0, 0]), float(intervals[0, 1, 0] - features[0, 1])


def exchangeability_rejected(reference: np.ndarray, losses: np.ndarray, level: float = 0.05) -> bool | None:
    """Test whether further photos are exchangeable with the calibration photos: MAPIE's martingale test on losses.

    Args:
        reference: (n,), losses of the calibration photos, in [0, 1].
        losses: (m,), of further photos at the same step, in the order in which they came.
        level: chance of a false alarm, however many photos come.

    Returns:
        True when exchangeability is rejected, False when not; None when n + m are too few for MAPIE to decide.
    """
    regressor = mapie.regression.SplitConformalRegressor(_Column(0), prefit=True)
    test = OnlineMartingaleTest(regressor, task="regression", test_level=level, warn=False, random_state=0)
    for stream in (reference, losses):
        test.update(np.zeros((len(stream), 1)), stream)
    verdict = test.is_exchangeable
    return None if verdict is None else not verdict


def risk_exceeded(covered: np.ndarray, alpha: float, level: float = 0.05) -> bool:
    """Whether MAPIE's risk monitoring, which tests after each photo, finds more than alpha outside their bands.

    Args:
        covered: bool (m,), one pixel of each photo, drawn at random: whether it is in its band.
        alpha: share that may leave.
        level: chance of a false alarm, however many photos come.
    """
    monitor = RiskMonitoring(risk="accuracy", threshold=alpha, test_level=level, warn=False)
    monitor.update(np.ones(len(covered), int), covered.astype(int))
    return bool(monitor.harmful_shift_detected)
