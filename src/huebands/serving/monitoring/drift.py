"""Drift: are the uploaded photos still like the calibration photos?"""

import math
from typing import Any

import numpy as np

from huebands.serving.monitoring.alarm import DELTA, Alarm
from huebands.statistics.e_process import Bets
from huebands.statistics.losses import SLACK

QUANTILES = (0.05, 0.1, 0.2)  # of the likeness: small p-values should be no more frequent than these
_SHIFT = 3  # times as many small p-values as there should be, for `photos_to_notice`
_MAX_PHOTOS = 2_000  # that `photos_to_notice` looks ahead


class Drift:
    """Watches the p-values of likeness.

    A photo's p-value is at most k/(n + 1) when it is more atypical than the k-th most atypical of n calibration photos.
    How often that happens to new photos, given these n, is not known; over their draw it follows the beta distribution
    (k, n + 1 - k) or lies below. Bets are against its upper quantile.

    Args:
        photos: n, of the calibration.
    """

    def __init__(self, photos: int) -> None:
        self._photos = photos
        # The slack is for quantiles that floating point rounds.
        self._ranks = np.unique([max(math.floor(quantile * (photos + 1) + SLACK), 1) for quantile in QUANTILES])
        self._bounds = frequency_bounds(self._ranks, photos)
        self._photos_to_notice = photos_to_notice(self._ranks, photos)
        self.alarm = Alarm(Bets(self._ranks.shape))

    def add(self, likeness: float) -> None:
        """Count a photo by its p-value."""
        rank = round(likeness * (self._photos + 1))
        self.alarm.add((rank <= self._ranks).astype(float), self._bounds)

    def describe(self) -> dict[str, Any]:
        """The state and the evidence, for GET /model."""
        return self.alarm.describe() | {
            "photos": self.alarm.count,
            "watched": [
                {"p_value_at_most": round(rank / (self._photos + 1), 4), "share_explained": round(bound, 4)}
                for rank, bound in zip(self._ranks.tolist(), self._bounds.tolist(), strict=True)
            ],
            "three_times_as_many_noticed_after": self._photos_to_notice,
        }


def frequency_bounds(ranks: np.ndarray, photos: int) -> np.ndarray:
    """Bound how often new photos are more atypical than the k-th most atypical of the calibration, all k at once."""
    from scipy.special import betaincinv  # see `statistics.risk_bounds`

    return np.asarray(betaincinv(ranks, photos + 1 - ranks, 1 - DELTA / 2 / len(ranks)))


def photos_to_notice(ranks: np.ndarray, photos: int) -> int | None:
    """The number of photos after which the alarm is raised when `_SHIFT` times as many as expected are atypical.

    The atypical photos are assumed evenly spread; chance makes it fewer or more. None: more than `_MAX_PHOTOS` photos.
    """
    alarm, bounds = Alarm(Bets(ranks.shape)), frequency_bounds(ranks, photos)
    frequencies = np.minimum(_SHIFT * ranks / (photos + 1), 1)
    for count in range(1, _MAX_PHOTOS + 1):
        alarm.add(np.floor(count * frequencies) - np.floor((count - 1) * frequencies), bounds)
        if alarm.since is not None:
            return count
    return None
