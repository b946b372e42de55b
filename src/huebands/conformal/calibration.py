"""The calibration: one stored table of losses that gives the half widths of the bands for any alpha.

Conformal risk control over photos (Angelopoulos et al. 2024, arXiv:2208.02814): with n exchangeable photos
whose mean loss at a step is R, the first step with n/(n+1) R + 1/(n+1) <= alpha has an expected loss of at
most alpha on the next photo. With one pixel a photo this is split conformal prediction's quantile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from huebands.conformal import calibration_files as files
from huebands.conformal.scores import (
    LEVELS,
    SCALE_UNIT,
    SMALLEST_SCALE,
    PhotoLosses,
    count_steps,
    joint_half_widths,
)

Mode = Literal["per_channel", "joint"]
MODES: tuple[Mode, ...] = ("per_channel", "joint")
SLACK = 1e-12  # alpha is a decimal that floating point rounds: 1/(n + 1) itself must be accepted

CalibrationError = files.CalibrationError


class AlphaError(ValueError):
    """The calibration photos do not support this alpha; the message says which they do."""

    def __init__(self, alpha: object, photos: int) -> None:
        # Rounded up, so that the number shown is accepted.
        smallest = -(-1_000_000 // (photos + 1)) / 1_000_000
        super().__init__(
            f"alpha (={alpha!r}) must be in [{smallest:g}, 1): {photos} calibration photos support "
            f"no alpha below 1/{photos + 1}"
        )


class ModeError(ValueError):
    """The kind of promise is not one of `MODES`."""


@dataclass(frozen=True)
class Calibration:
    """Losses of the calibration photos, and what they belong to.

    Attributes:
        per_channel: float64 (n, 3, 256), share of a photo's pixels whose residual exceeds 0..255.
        joint: float64 (n, T), share of a photo's pixels with any residual above floor(scale * t), t = 0..T-1.
        scale: float64 (3,), of the joint family.
        weights_sha256: of the generator's weights.
        preprocessing_sha256: of network and preprocessing, as the model package has it.
        data_sha256: of the prepared data.
        certificate: coverage measured on the test split, one entry a mode and alpha.
    """

    per_channel: np.ndarray
    joint: np.ndarray
    scale: np.ndarray
    weights_sha256: str
    preprocessing_sha256: str
    data_sha256: str
    certificate: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        n = len(np.atleast_1d(self.per_channel))
        _check_losses("per_channel", self.per_channel, (n, 3, LEVELS))
        _check_losses("joint", self.joint, (n, count_steps(self.scale)))

    @classmethod
    def from_losses(
        cls,
        losses: Sequence[PhotoLosses],
        scale: np.ndarray,
        *,
        weights_sha256: str,
        preprocessing_sha256: str,
        data_sha256: str,
    ) -> Self:
        """Stack the losses of the calibration photos; the certificate is measured later."""
        if not losses:
            raise CalibrationError("calibration needs at least one photo, got none")
        per_channel = np.stack([photo.per_channel for photo in losses])
        joint = np.stack([photo.joint for photo in losses])
        return cls(per_channel, joint, scale, weights_sha256, preprocessing_sha256, data_sha256)

    @property
    def photos(self) -> int:
        """How many photos calibrated this."""
        return len(self.per_channel)

    @property
    def smallest_alpha(self) -> float:
        """The smallest alpha that so many photos support: 1/(n + 1)."""
        return 1 / (self.photos + 1)

    def supports(self, alpha: object) -> bool:
        """Whether alpha is a number in [1/(n + 1), 1)."""
        is_number = isinstance(alpha, float | int | np.floating) and not isinstance(alpha, bool)
        return is_number and bool(self.smallest_alpha - SLACK <= alpha < 1)  # type: ignore[operator]

    def steps(self, alpha: float, mode: str) -> np.ndarray:
        """Find the first step of each nested family that keeps the promise at alpha.

        Returns:
            int64 (3,) for per_channel (half widths), (1,) for joint.

        Raises:
            AlphaError: unless 1/(n + 1) <= alpha < 1.
            ModeError: for a mode that is not one of `MODES`.
        """
        if mode not in MODES:
            raise ModeError(f"mode (={mode!r}) must be one of {', '.join(map(repr, MODES))}")
        if not self.supports(alpha):
            raise AlphaError(alpha, self.photos)
        losses = self.per_channel if mode == "per_channel" else self.joint[:, None]
        bound = (losses.sum(axis=0) + 1) / (self.photos + 1)
        return np.asarray(np.argmax(bound <= alpha + SLACK, axis=-1))

    def half_widths(self, alpha: float, mode: str = "per_channel") -> np.ndarray:
        """Half widths of the bands in 8-bit levels, int64 (3,) for R, G and B; raises like `steps`."""
        steps = self.steps(alpha, mode)
        return steps if mode == "per_channel" else joint_half_widths(self.scale, int(steps[0]))

    def save(self, folder: Path) -> None:
        """Write calibration.npz and calibration.json; the same calibration gives the same bytes."""
        description = {
            "weights_sha256": self.weights_sha256,
            "preprocessing_sha256": self.preprocessing_sha256,
            "photos": self.photos,
            "smallest_alpha": self.smallest_alpha,
            "data_sha256": self.data_sha256,
            "certificate": [dict(entry) for entry in self.certificate],
        }
        tables = {"per_channel": self.per_channel, "joint": self.joint, "scale": self.scale}
        files.write(folder, tables, description)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read calibration.npz and calibration.json, and check that they agree.

        Raises:
            CalibrationError: naming the file and what is wrong with it.
        """
        tables, description = files.read(folder)
        try:
            result = cls(
                **tables,
                weights_sha256=description["weights_sha256"],
                preprocessing_sha256=description["preprocessing_sha256"],
                data_sha256=description["data_sha256"],
                certificate=tuple(description["certificate"]),
            )
        except CalibrationError as error:
            raise CalibrationError(f"{Path(folder) / files.TABLES}: {error}") from None
        result._check_description(Path(folder) / files.DESCRIPTION, description)
        return result

    def _check_description(self, path: Path, description: Mapping[str, Any]) -> None:
        for key, value in (("photos", self.photos), ("smallest_alpha", self.smallest_alpha)):
            if description[key] != value:
                raise CalibrationError(f"{path}: {key} (={description[key]!r}) must be {value}, as the tables say")
        for entry in self.certificate:
            try:
                half_widths = self.half_widths(entry["alpha"], entry["mode"]).tolist()
            except ValueError as error:
                raise CalibrationError(f"{path}: certificate: {error}") from None
            if entry["half_widths"] != half_widths:
                raise CalibrationError(
                    f"{path}: certificate at alpha {entry['alpha']}, {entry['mode']}: half_widths "
                    f"(={entry['half_widths']!r}) must be {half_widths}, as the tables say"
                )


def _check_scale(scale: np.ndarray) -> None:
    is_vector = scale.dtype == np.float64 and scale.shape == (3,)
    in_units = is_vector and np.all(scale >= SMALLEST_SCALE) and np.all(scale * SCALE_UNIT % 1 == 0)
    if not (in_units and scale.max() == 1):
        raise CalibrationError(
            f"scale (={scale!r}) must be float64 (3,), multiples of 1/{SCALE_UNIT} in "
            f"[{SMALLEST_SCALE}, 1], the largest 1"
        )


def _check_losses(name: str, losses: np.ndarray, shape: tuple[int, ...]) -> None:
    if losses.dtype != np.float64 or losses.shape != shape or 0 in shape:
        got = f"{losses.dtype} {losses.shape}"
        raise CalibrationError(f"{name} must be float64 {shape}, not empty; got {got}")
    in_range = np.all((losses >= 0) & (losses <= 1))
    if not (in_range and np.all(np.diff(losses) <= 0) and np.all(losses[..., -1] == 0)):
        raise CalibrationError(f"{name} must hold shares in [0, 1] that never rise and end at 0")
