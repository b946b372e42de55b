"""MAPIE's split conformal regressor on independent samples: the reference that our quantile must equal."""

from collections.abc import Sequence
from typing import Any

import mapie.regression
import numpy as np

from huebands.conformal.calibration_files import CalibrationError
from huebands.conformal.family import CHANNELS
from huebands.conformal.risk import SLACK, first_step

_LEVELS = 256


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
        alphas: in [1/n, 1 - 1/n); MAPIE refuses others, `conformal.risk` begins at 1/(n + 1).

    Returns:
        float64 (len(alphas), 3), half widths in 8-bit levels.

    Raises:
        ValueError: MAPIE's, when there are too few samples for an alpha.
    """
    levels = [1 - (alpha + SLACK) for alpha in alphas]
    result = np.empty((len(levels), 3))
    for channel in range(3):
        features = shown_rgb[:, channel : channel + 1].astype(np.float64)
        regressor = mapie.regression.SplitConformalRegressor(_Shown(), confidence_level=levels, prefit=True)
        regressor.conformalize(features, true_rgb[:, channel].astype(np.float64))
        _, intervals = regressor.predict_interval(features[:1])
        result[:, channel] = (intervals[0, 1] - intervals[0, 0]) / 2
    return result


def own_half_widths(true_rgb: np.ndarray, shown_rgb: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """Let risk control do the same: each pixel is a photo, and step h = 0..255 has the band shown +- h.

    Arguments and result as `mapie_half_widths`.
    """
    residuals = np.abs(true_rgb.astype(np.int16) - shown_rgb)
    losses = (residuals[..., None] > np.arange(_LEVELS)).astype(np.float64)
    return np.array([first_step(losses, alpha) for alpha in alphas], dtype=np.float64)


def compare_with_mapie(
    true_rgb: np.ndarray, shown_rgb: np.ndarray, alphas: Sequence[float], report_alpha: float
) -> dict[str, Any]:
    """Calibrate on independent pixels (n, 3) both ways, at every alpha that MAPIE takes.

    Returns:
        both half widths by channel at the alpha nearest to `report_alpha`, and how many alphas were compared.

    Raises:
        CalibrationError: when the two differ, or MAPIE takes none of the alphas.
    """
    n = len(true_rgb)
    taken = [alpha for alpha in alphas if 1 / n <= alpha < 1 - 1 / n - SLACK]
    if not taken:
        raise CalibrationError(f"MAPIE takes none of the alphas {list(alphas)} with {n} calibration photos")
    mapie, own = (calibrate(true_rgb, shown_rgb, taken) for calibrate in (mapie_half_widths, own_half_widths))
    if not np.array_equal(mapie, own):
        alpha = taken[int(np.argmax((mapie != own).any(axis=1)))]
        raise CalibrationError(f"half widths on one pixel a photo differ from MAPIE's at alpha {alpha}")
    nearest = int(np.argmin(np.abs(np.array(taken) - report_alpha)))
    return {
        "alpha": taken[nearest],
        "alphas_compared": len(taken),
        "mapie": dict(zip(CHANNELS, mapie[nearest].tolist(), strict=True)),
        "huebands": dict(zip(CHANNELS, own[nearest].tolist(), strict=True)),
    }
