"""Whether the photos that come in are still like the calibration photos, and still covered as promised.

Both are questions of evidence: for photos that are independent draws from where the calibration photos came from, the
chance that an alarm is ever raised is at most DELTA each, over the draw of the calibration photos and of all photos to
come. Half of DELTA is the chance that the calibration photos are a misleading draw, half that the bets are won by luck.
An alarm stays until the service is started anew, which forgets everything.
"""

import math
from collections import OrderedDict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np

from huebands.conformal.calibration import Calibration
from huebands.conformal.guarantee import MODES
from huebands.conformal.scores import JOINT, KINDS
from huebands.serving.workers.jobs import Facts, Job
from huebands.statistics.e_process import Bets
from huebands.statistics.risk_bounds import SLACK, RiskError, rcps_step

DELTA = 0.01
QUANTILES = (0.05, 0.1, 0.2)  # of the likeness: small p-values should be no more frequent than these
REMEMBERED = 100_000  # contents, 16 bytes each
_RISKS = np.geomspace(0.02, 0.8, 24)  # between which the expected loss of the calibrated bands is located
_LOUD = 3  # times as many small p-values as there should be
_PATIENCE = 2_000  # photos


class Alarm:
    """Raised once by evidence, and then kept.

    Attributes:
        since: when it was raised, in ISO 8601; None: it was not.
        count: values that the evidence is from.
    """

    def __init__(self, bets: Bets) -> None:
        self._bets = bets
        self.since: str | None = None

    def add(self, value: float | np.ndarray, bound: float | np.ndarray) -> None:
        """Bet on a value, see `Bets.add`."""
        self._bets.add(value, bound)
        if self.since is None and self.log10_evidence >= math.log10(2 / DELTA):
            self.since = now()

    @property
    def count(self) -> int:
        """Values so far."""
        return self._bets.count

    @property
    def log10_evidence(self) -> float:
        """Decimal logarithm of the wealth of all bets, on average over those side by side."""
        wealth = self._bets.log_wealth
        return float((np.logaddexp.reduce(wealth, axis=None) - math.log(wealth.size)) / math.log(10))

    def describe(self) -> dict[str, Any]:
        """Its state and its evidence, for people."""
        return {
            "state": "watching" if self.since is None else "alarm",
            "since": self.since,
            "log10_evidence": round(self.log10_evidence, 2),
            "alarm_at": round(math.log10(2 / DELTA), 2),
        }


class Drift:
    """Watches the p-values of likeness.

    A photo's p-value is at most k/(n + 1) when it is stranger than the k-th strangest of n calibration photos. How
    often new photos are, given these n, is not known; over their draw it follows the beta distribution (k, n + 1 - k)
    or lies below. Bets are against its upper quantile.

    Args:
        photos: n, of the calibration.
    """

    def __init__(self, photos: int) -> None:
        self._photos = photos
        # The slack is for quantiles that floating point rounds.
        self._ranks = np.unique([max(math.floor(quantile * (photos + 1) + SLACK), 1) for quantile in QUANTILES])
        self._bounds = frequency_bounds(self._ranks, photos)
        self._noticed_after = photos_to_notice(self._ranks, photos)
        self.alarm = Alarm(Bets(self._ranks.shape))

    def add(self, likeness: float) -> None:
        """Count a photo by its p-value."""
        rank = round(likeness * (self._photos + 1))
        self.alarm.add((rank <= self._ranks).astype(float), self._bounds)

    def describe(self) -> dict[str, Any]:
        """What /model says of it."""
        return self.alarm.describe() | {
            "photos": self.alarm.count,
            "watched": [
                {"p_value_at_most": round(rank / (self._photos + 1), 4), "share_explained": round(bound, 4)}
                for rank, bound in zip(self._ranks.tolist(), self._bounds.tolist(), strict=True)
            ],
            "three_times_as_many_noticed_after": self._noticed_after,
        }


def frequency_bounds(ranks: np.ndarray, photos: int) -> np.ndarray:
    """Bound how often new photos are stranger than the k-th strangest of the calibration, for all ranks k at once."""
    from scipy.special import betaincinv  # see `conformal.risk`

    return np.asarray(betaincinv(ranks, photos + 1 - ranks, 1 - DELTA / 2 / len(ranks)))


def photos_to_notice(ranks: np.ndarray, photos: int) -> int | None:
    """How many new photos raise the alarm when those that are strange are `_LOUD` times as many as they should be.

    They are taken to come at an even pace; chance brings them sooner or later. None: no less than `_PATIENCE` photos.
    """
    alarm, bounds = Alarm(Bets(ranks.shape)), frequency_bounds(ranks, photos)
    often = np.minimum(_LOUD * ranks / (photos + 1), 1)
    for count in range(1, _PATIENCE + 1):
        alarm.add(np.floor(count * often) - np.floor((count - 1) * often), bounds)
        if alarm.since is not None:
            return count
    return None


class Coverage:
    """Watches how much of the photos in colour leaves its bands.

    What the bands should lose at most, given these calibration photos, is located between `_RISKS` by risk-controlling
    prediction sets, for all steps of the bands at once; no less than alpha. Bets are against that.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._bounds = risk_bounds(calibration.table.losses)
        self.alarm = Alarm(Bets())
        self._counts = dict.fromkeys(MODES, 0)
        self._outside = dict.fromkeys(MODES, 0.0)
        self._alphas = dict.fromkeys(MODES, 0.0)

    def add(self, outside: float, job: Job) -> None:
        """Count a photo in colour by the share that left its bands."""
        self._counts[job.guarantee.mode] += 1
        self._outside[job.guarantee.mode] += outside
        self._alphas[job.guarantee.mode] += job.guarantee.alpha
        self.alarm.add(outside, self.bound(job))

    def bound(self, job: Job) -> float:
        """Bound the expected share outside: by alpha, or more where the calibration photos do not tell so exactly."""
        steps = self._calibration.steps(job.guarantee)
        if job.guarantee.mode == "joint":
            offsets = np.array(self._calibration.shape.joint_offsets)
            explained = self._bounds[JOINT, (steps - offsets).max()]
        else:
            explained = self._bounds[range(JOINT), steps].mean()
        return max(job.guarantee.alpha, float(explained))

    def shares(self) -> dict[str, dict[str, float]]:
        """By mode, of which photos came in colour: their number, the mean share outside, and the mean alpha asked."""
        return {
            mode: {"photos": count, "outside": self._outside[mode] / count, "alpha": self._alphas[mode] / count}
            for mode, count in self._counts.items()
            if count
        }

    def describe(self) -> dict[str, Any]:
        """What /model says of it."""
        modes = {
            mode: {name: round(value, 4) for name, value in shares.items()} for mode, shares in self.shares().items()
        }
        return self.alarm.describe() | {"photos": self.alarm.count, "modes": modes}


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
                first = rcps_step(losses[order, kind], risk, DELTA / 2, sharing=KINDS * len(_RISKS))
            except RiskError:  # so few photos cannot tell
                continue
            bounds[kind, first:] = risk
    return bounds


class Monitor:
    """What a service has seen since it was started.

    The same content again is no new evidence, and is passed over as long as it is remembered.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.since = now()
        self.drift = Drift(calibration.photos)
        self.coverage = Coverage(calibration)
        self.repeated = 0
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def add(self, job: Job, facts: Facts) -> None:
        """Take note of an answered photo."""
        if not self._is_new(job.content):
            self.repeated += 1
            return
        self.drift.add(facts.likeness)
        if facts.outside is not None:
            self.coverage.add(facts.outside, job)

    def describe(self) -> dict[str, Any]:
        """What /model says."""
        return {
            "since": self.since,
            "chance_of_a_false_alarm": DELTA,
            "repeated": self.repeated,
            "drift": self.drift.describe(),
            "coverage": self.coverage.describe(),
        }

    def _is_new(self, content: bytes) -> bool:
        digest = sha256(content).digest()[:16]
        new = digest not in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return new


def now() -> str:
    """The time, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
