"""Coverage: do the bands of uploaded colour photos still hold as many true values as promised?"""

from typing import Any, get_args

import numpy as np

from huebands.conformal.calibration import Calibration
from huebands.conformal.guarantee import MODES
from huebands.conformal.scores import JOINT, KINDS
from huebands.serving.monitoring.alarm import DELTA, Alarm
from huebands.serving.workers.jobs import Job, Unwatched
from huebands.statistics.e_process import Bets
from huebands.statistics.losses import RiskError
from huebands.statistics.risk_control import rcps_step

_RISKS = np.geomspace(0.02, 0.8, 24)  # between which the expected loss of the calibrated bands is located


class Coverage:
    """Watches the share of the true values of colour photos that is outside the bands.

    Bets are against an upper bound of the expected share, given these calibration photos: risk-controlling prediction
    sets locate it between `_RISKS`, for all steps of the bands at once. The bound is never below alpha.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._bounds = risk_bounds(calibration.table.losses)
        self.alarm = Alarm(Bets())
        self._counts = dict.fromkeys(MODES, 0)
        self._outside = dict.fromkeys(MODES, 0.0)
        self._alphas = dict.fromkeys(MODES, 0.0)
        self._unwatched: dict[str, int] = dict.fromkeys(get_args(Unwatched), 0)

    def add(self, outside: float, job: Job) -> None:
        """Count a colour photo by the share outside its bands."""
        self._counts[job.guarantee.mode] += 1
        self._outside[job.guarantee.mode] += outside
        self._alphas[job.guarantee.mode] += job.guarantee.alpha
        self.alarm.add(outside, self.bound(job))

    def leave_out(self, reason: Unwatched) -> None:
        """Count a photo without known true values, or with another guarantee."""
        self._unwatched[reason] += 1

    def bound(self, job: Job) -> float:
        """Bound the expected share outside: alpha, or more where the calibration photos are too few."""
        steps = self._calibration.steps(job.guarantee)
        if job.guarantee.mode == "joint":
            offsets = np.array(self._calibration.shape.joint_offsets)
            bound = self._bounds[JOINT, (steps - offsets).max()]
        else:
            bound = self._bounds[range(JOINT), steps].mean()
        return max(job.guarantee.alpha, float(bound))

    def shares(self) -> dict[str, dict[str, float]]:
        """By mode with any colour photos: their number, the mean share outside, and the mean alpha requested."""
        return {
            mode: {"photos": count, "outside": self._outside[mode] / count, "alpha": self._alphas[mode] / count}
            for mode, count in self._counts.items()
            if count
        }

    def describe(self) -> dict[str, Any]:
        """The state, the evidence, the shares, and the photos that are left out by reason, for GET /model."""
        modes = {
            mode: {name: round(value, 4) for name, value in shares.items()} for mode, shares in self.shares().items()
        }
        return self.alarm.describe() | {
            "photos": self.alarm.count,
            "modes": modes,
            "left_out": dict(self._unwatched),
        }


def risk_bounds(losses: np.ndarray) -> np.ndarray:
    """Bound the expected losses of new photos at every step.

    Args:
        losses: (n, KINDS, STEPS), of the calibration photos.

    Returns:
        (KINDS, STEPS): all hold at once with probability 1 - DELTA/2 over the draw of the calibration photos.
    """
    order = np.random.default_rng(0).permutation(len(losses))  # see `Calibration.steps`
    bounds = np.ones(losses.shape[1:])
    for risk in _RISKS[::-1]:
        for kind in range(KINDS):
            try:
                first_step = rcps_step(losses[order, kind], risk, DELTA / 2, sharing=KINDS * len(_RISKS))
            except RiskError:  # there are too few photos for this risk
                continue
            bounds[kind, first_step:] = risk
    return bounds
