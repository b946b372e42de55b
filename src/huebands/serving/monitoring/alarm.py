"""An alarm that is raised once the wealth of bets against a hypothesis is large enough.

For photos that are independent draws from the distribution of the calibration photos, the chance that an alarm is ever
raised is at most DELTA, over the draw of the calibration photos and of all photos to come. Half of DELTA is the chance
that the calibration photos are a misleading draw, half that the bets are won by luck.
"""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from huebands.statistics.e_process import Bets

DELTA = 0.01


class Alarm:
    """Raised once by evidence; stays until the service is restarted, or another model is put in use.

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
        """The state and the evidence, for GET /model."""
        return {
            "state": "watching" if self.since is None else "alarm",
            "since": self.since,
            "log10_evidence": round(self.log10_evidence, 2),
            "alarm_at": round(math.log10(2 / DELTA), 2),
        }


def now() -> str:
    """The time now, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
