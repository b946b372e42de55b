"""What the bands do on photos that calibrated nothing: coverage and width, at any alpha."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from huebands.bootstrap import mean_interval, resampling_weights
from huebands.conformal.bands import CHANNELS, bands
from huebands.conformal.calibration import Calibration, Mode
from huebands.conformal.scores import LEVELS, PhotoLosses

_RESAMPLES = 2000


@dataclass(frozen=True)
class Coverage:
    """What one mode at one alpha reaches.

    Attributes:
        half_widths: (3,), 8-bit levels.
        coverage: mean over photos of the share covered, in [0, 1]: this is what is promised to be 1 - alpha.
        coverage_low: lower end of the 95% interval of these bands' expected coverage on new photos (bootstrap over
            photos). The promise averages over calibrations as well: a single one may lie somewhat below it.
        coverage_high: its upper end.
        share: of all values (per_channel) or pixels (joint) of all photos together that are covered.
        widths: (3,), mean over photos of the band's width (upper - lower) in 8-bit levels.
    """

    mode: Mode
    alpha: float
    half_widths: tuple[int, ...]
    coverage: float
    coverage_low: float
    coverage_high: float
    share: float
    widths: tuple[float, ...]

    @property
    def width(self) -> float:
        """The mean width of the three channels."""
        return float(np.mean(self.widths))

    def record(self) -> dict[str, Any]:
        """The row of a table of many alphas."""
        return {
            "alpha": self.alpha,
            "mode": self.mode,
            "nominal": round(1 - self.alpha, 10),
            "coverage": self.coverage,
            "low": self.coverage_low,
            "high": self.coverage_high,
            "width": self.width,
            **{f"width_{name}": width for name, width in zip(CHANNELS, self.widths, strict=True)},
        }

    def headline(self) -> dict[str, Any]:
        """Everything, rounded, for a report's metrics."""
        return {
            "coverage": round(self.coverage, 4),
            "coverage_low": round(self.coverage_low, 4),
            "coverage_high": round(self.coverage_high, 4),
            "share": round(self.share, 4),
            "width": round(self.width, 2),
            "widths": {name: round(width, 2) for name, width in zip(CHANNELS, self.widths, strict=True)},
            "half_widths": dict(zip(CHANNELS, self.half_widths, strict=True)),
        }

    def certificate(self) -> dict[str, Any]:
        """The entry that a calibration carries."""
        return {
            "mode": self.mode,
            "alpha": self.alpha,
            "coverage": round(self.coverage, 4),
            "coverage_low": round(self.coverage_low, 4),
            "coverage_high": round(self.coverage_high, 4),
            "width": round(self.width, 2),
            "half_widths": list(self.half_widths),
        }


class ColourCounts:
    """How often each shown value meets each grey level: all that the width of cut bands depends on.

    Photos weigh alike, whatever their size. The memory is constant.
    """

    def __init__(self) -> None:
        self._shares = np.zeros((LEVELS, LEVELS, 3))  # grey, shown value, channel
        self._photos = 0

    def add(self, shown_rgb: np.ndarray, grey: np.ndarray) -> None:
        """Count one photo: uint8 (H, W, 3) as shown, uint8 (H, W) grey."""
        row = grey.reshape(-1).astype(np.int64) * LEVELS
        for channel in range(3):
            cell = row + shown_rgb[..., channel].reshape(-1)
            counts = np.bincount(cell, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)
            self._shares[..., channel] += counts / cell.size
        self._photos += 1

    def mean_widths(self, half_widths: np.ndarray) -> np.ndarray:
        """Mean width (3,) of the bands over the photos counted, in 8-bit levels."""
        grey = np.repeat(np.arange(LEVELS, dtype=np.uint8)[:, None], LEVELS, axis=1)
        table = bands(np.stack([grey.T] * 3, axis=-1), grey, half_widths)
        width = np.stack([table[name][..., 1].astype(float) - table[name][..., 0] for name in CHANNELS], axis=-1)
        return np.asarray((self._shares * width).sum(axis=(0, 1)) / self._photos)


def measure(
    calibration: Calibration,
    losses: Sequence[PhotoLosses],
    colours: ColourCounts,
    alphas: Sequence[float],
    modes: Sequence[Mode],
    seed: int,
) -> list[Coverage]:
    """Measure coverage and width on test photos, for each mode and alpha.

    Args:
        calibration: what gives the half widths.
        losses: of the test photos, with the calibration's scale.
        colours: of the same photos.
        alphas: each supported by the calibration.
        modes: in this order.
        seed: of the bootstrap over photos.

    Raises:
        AlphaError: for an alpha that the calibration does not support.
        ValueError: when there are no photos.
    """
    if not losses:
        raise ValueError("coverage needs at least one test photo, got none")
    per_channel = np.stack([photo.per_channel for photo in losses])
    joint = np.stack([photo.joint for photo in losses])
    pixels = np.array([photo.pixels for photo in losses], dtype=float)
    weights = resampling_weights(len(losses), _RESAMPLES, seed)
    result = []
    for mode in modes:
        for alpha in alphas:
            steps, half_widths = calibration.steps(alpha, mode), calibration.half_widths(alpha, mode)
            missed = per_channel[:, range(3), steps].mean(axis=1) if mode == "per_channel" else joint[:, steps[0]]
            covered = 1 - missed
            low, high = mean_interval(covered, weights, bounds=(0, 1))
            result.append(
                Coverage(
                    mode=mode,
                    alpha=alpha,
                    half_widths=tuple(half_widths.tolist()),
                    coverage=float(covered.mean()),
                    coverage_low=float(low),
                    coverage_high=float(high),
                    share=float((covered * pixels).sum() / pixels.sum()),
                    widths=tuple(colours.mean_widths(half_widths).tolist()),
                )
            )
    return result
