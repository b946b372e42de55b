"""Monitors the uploaded photos: are they still like the calibration photos, and are their bands still as promised?"""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

from huebands.conformal.calibration import Calibration
from huebands.serving.monitoring.alarm import DELTA, now
from huebands.serving.monitoring.coverage import Coverage
from huebands.serving.monitoring.drift import Drift
from huebands.serving.workers.jobs import Job, Measurements

REMEMBERED = 100_000  # digests of contents, 16 bytes each


class Monitor:
    """Watches the photos that one model has answered, since it was put in use.

    A repeated photo is no new evidence: it is skipped for as long as its digest is remembered.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.since = now()
        self.drift = Drift(calibration.photos)
        self.coverage = Coverage(calibration)
        self.repeated = 0
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def add(self, job: Job, measurements: Measurements) -> None:
        """Count an answered photo."""
        if not self._is_new(job.content):
            self.repeated += 1
            return
        self.drift.add(measurements.likeness)
        if measurements.outside is not None:
            self.coverage.add(measurements.outside, job)
        elif measurements.unwatched is not None:
            self.coverage.leave_out(measurements.unwatched)

    def describe(self) -> dict[str, Any]:
        """The state of both alarms, for GET /model."""
        return {
            "since": self.since,
            "chance_of_a_false_alarm": DELTA,
            "repeated": self.repeated,
            "drift": self.drift.describe(),
            "coverage": self.coverage.describe(),
        }

    def _is_new(self, content: bytes) -> bool:
        digest = sha256(content).digest()[:16]
        is_new = digest not in self._digests
        self._digests[digest] = None
        self._digests.move_to_end(digest)
        if len(self._digests) > REMEMBERED:
            self._digests.popitem(last=False)
        return is_new
