"""MAPIE's split conformal regressor on independent samples: the reference that our quantile must equal."""

from collections.abc import Sequence

import numpy as np
from mapie.regression import SplitConformalRegressor

from huebands.conformal.calibration import SLACK


class _Shown:
    """A fitted estimator for MAPIE: its prediction is the shown value, given as the only feature."""

    is_fitted = True

    def fit(self, features: np.ndarray, target: np.ndarray) -> "_Shown":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features)[:, 0]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def mapie_half_widths(true_rgb: np.ndarray, shown_rgb: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """Let MAPIE calibrate each channel on one pixel a photo.

    MAPIE takes the ceil((1 - alpha)(n + 1))-th smallest residual. Where that product is a whole number,
    floating point may put it a hair above, and MAPIE one residual further: so it gets the very slack that
    `Calibration` has.

    Args:
        true_rgb: (n, 3), independent pixels.
        shown_rgb: (n, 3), their colorization.
        alphas: in [1/n, 1 - 1/n]; MAPIE refuses others, `Calibration` begins at 1/(n + 1).

    Returns:
        float64 (len(alphas), 3), half widths in 8-bit levels.

    Raises:
        ValueError: MAPIE's, when there are too few samples for an alpha.
    """
    levels = [1 - (alpha + SLACK) for alpha in alphas]
    result = np.empty((len(levels), 3))
    for channel in range(3):
        features = shown_rgb[:, channel : channel + 1].astype(np.float64)
        regressor = SplitConformalRegressor(_Shown(), confidence_level=levels, prefit=True)
        regressor.conformalize(features, true_rgb[:, channel].astype(np.float64))
        _, intervals = regressor.predict_interval(features[:1])
        result[:, channel] = (intervals[0, 1] - intervals[0, 0]) / 2
    return result
