"""The calibration: one stored table of losses that gives the bands' steps for any alpha.

Conformal risk control over photos (Angelopoulos et al. 2024, arXiv:2208.02814): with n exchangeable photos whose mean
loss at a step is R, the first step with n/(n+1) R + 1/(n+1) <= alpha has an expected loss of at most alpha on the next
photo. With one pixel a photo this is split conformal prediction's quantile.

Two more guarantees use the same table. With delta, the expected loss of the chosen bands on new photos is at most
alpha with probability 1 - delta over the draw of the calibration photos (risk-controlling prediction sets). By group,
the guarantee also holds for the pixels of each group alone (Mondrian calibration). A pixel then gets the widest of the
bands that all pixels and each of its groups need, so that all of these guarantees hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from huebands.conformal.bands import STEPS
from huebands.conformal.error_map import MAPS, ErrorCurve, MapName
from huebands.conformal.groups import GROUPS
from huebands.conformal.guarantee import AlphaError, Guarantee, Mode
from huebands.conformal.law import HintLaw
from huebands.conformal.scores import JOINT, KINDS
from huebands.conformal.shape import Shape
from huebands.conformal.table import LossTable
from huebands.statistics.losses import SLACK
from huebands.statistics.risk_control import first_step, first_step_of_sums, rcps_step


@dataclass(frozen=True)
class Calibration:
    """Losses of the calibration photos, with the hashes of the model and the data that they belong to.

    Attributes:
        shape: shape of the nested bands.
        table: the losses.
        weights_sha256: hash of the generator's weights.
        distribution_sha256: hash of the density's two files.
        preprocessing_sha256: hash of network and preprocessing, as the model package has it.
        data_sha256: hash of the prepared data.
        min_chroma: least mean chroma of the calibration photos, CIELAB units; greyer ones were left out.
        unlike_p_value: atypicality p-value at or below which a photo counts as unlike the calibration photos.
        error_curve: calibrates the map of the expected error; None where the density is not one over colours.
        law: of the hints that the photos had; None: they had none.
        certificate: what was measured on the test split, as `coverage.certify` gives it; empty until then.

    Raises:
        CalibrationError: when a table has a wrong shape, or values that no photo can have.
    """

    shape: Shape
    table: LossTable
    weights_sha256: str
    distribution_sha256: str
    preprocessing_sha256: str
    data_sha256: str
    min_chroma: float
    unlike_p_value: float
    error_curve: ErrorCurve | None = None
    law: HintLaw | None = None
    certificate: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table.check()

    @property
    def photos(self) -> int:
        """The number of calibration photos."""
        return len(self.table.losses)

    @property
    def maps(self) -> tuple[MapName, ...]:
        """The maps of uncertainty that the model gives; the first is the usual one."""
        return MAPS if self.error_curve is not None else ("width",)

    @property
    def smallest_alpha(self) -> float:
        """The smallest alpha that n calibration photos support: 1/(n + 1)."""
        return 1 / (self.photos + 1)

    def supports(self, alpha: object) -> bool:
        """Whether alpha is a number in [1/(n + 1), 1)."""
        return _supports(alpha, self.photos)

    def steps(self, guarantee: Guarantee) -> np.ndarray:
        """Find the first steps of the nested bands that keep a guarantee, over all pixels.

        Returns:
            int64 (3,), for R, G and B.

        Raises:
            AlphaError: unless 1/(n + 1) <= alpha < 1.
            RiskError: when n photos cannot keep alpha with this delta.
        """
        alpha, delta = guarantee.alpha, guarantee.delta
        if not self.supports(alpha):
            raise AlphaError(alpha, self.photos)
        losses = self.table.losses[:, _kinds(guarantee.mode)]
        if delta is None:
            steps = first_step(losses, alpha)
        else:
            # The bets are on one loss after the other, in an order that must not depend on the losses. The guarantees
            # of all channels hold at the same time, so they share delta.
            order, sharing = np.random.default_rng(0).permutation(self.photos), losses.shape[1]
            steps = np.array([rcps_step(losses[order, kind], alpha, delta, sharing) for kind in range(sharing)])
        return self._channel_steps(steps, guarantee.mode)

    def group_steps(self, guarantee: Guarantee) -> np.ndarray:
        """Find the steps of each group that keep a guarantee in it and over all pixels: int64 (GROUPS, 3).

        Raises:
            AlphaError: when the smallest group has too few photos for alpha; else like `steps`.
        """
        common, alpha, photos = self.steps(guarantee), guarantee.alpha, self.table.group_photos
        smallest = int(photos[photos > 0].min(initial=self.photos))
        if not _supports(alpha, smallest):
            name = GROUPS[int(np.argmin(np.where(photos > 0, photos, self.photos + 1)))]
            raise AlphaError(alpha, smallest, f"calibration photos of the group {name!r}")
        steps = first_step_of_sums(self.table.group_sums[:, _kinds(guarantee.mode)], photos[:, None], alpha)
        # A group that no calibration photo shows needs no step. A merged group has the steps of its target.
        steps = np.where(photos[:, None] > 0, steps, 0)[list(self.shape.grouping.merged_into)]
        by_channel = np.stack([self._channel_steps(row, guarantee.mode) for row in steps])
        return np.asarray(np.maximum(by_channel, common))

    def check(self, guarantee: Guarantee) -> None:
        """Check that these calibration photos support a guarantee; raises like `steps` and `group_steps`."""
        if guarantee.grouped:
            self.group_steps(guarantee)
        else:
            self.steps(guarantee)

    def groups(self) -> dict[str, int]:
        """How many calibration photos show each group."""
        return {name: int(photos) for name, photos in zip(GROUPS, self.table.group_photos, strict=True) if photos}

    def _channel_steps(self, steps: np.ndarray, mode: Mode) -> np.ndarray:
        """The steps of R, G and B, from those of the kinds that a mode counts."""
        offsets = self.shape.joint_offsets if mode == "joint" else (0, 0, 0)
        return np.asarray(np.minimum(steps + np.array(offsets), STEPS - 1))


def _kinds(mode: Mode) -> slice:
    """The kinds of losses that a mode counts."""
    return slice(0, JOINT) if mode == "per_channel" else slice(JOINT, KINDS)


def _supports(alpha: object, photos: int) -> bool:
    is_number = isinstance(alpha, float | int | np.floating) and not isinstance(alpha, bool)
    return is_number and bool(1 / (photos + 1) - SLACK <= alpha < 1)  # type: ignore[operator]
