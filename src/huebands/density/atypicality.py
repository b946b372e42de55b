"""The atypicality score of a photo: how far it is from the training photos, without knowledge of its true colours.

Mean and standard deviation over the photo of each of the encoder's feature maps, all but the coarsest, are compared
with those of the training photos. Of the scores that `studies/bands/atypicality.py` compares, this one tells changed
photos apart best: it notices blur, noise and low contrast. It does not notice what the photo shows. The scores of the
calibration photos turn that of a new photo into a conformal p-value: exchangeable photos have p <= q with probability
at most q.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

_LEAST_SPREAD = 1e-6  # a statistic that is the same for all training photos would divide by 0


@dataclass(frozen=True)
class Reference:
    """Mean and standard deviation over the training photos of each statistic, (F,) each."""

    mean_F: Tensor
    spread_F: Tensor

    @classmethod
    def fit(cls, statistics_NF: Tensor) -> Self:
        """Describe the training photos by their statistics."""
        return cls(statistics_NF.mean(dim=0), statistics_NF.std(dim=0, correction=0).clamp_min(_LEAST_SPREAD))

    def atypicality(self, statistics_F: Tensor) -> float:
        """The distance of a photo: root mean square of its statistics in standard deviations, at least 0."""
        return float(((statistics_F - self.mean_F) / self.spread_F).square().mean().sqrt())


def statistics_of(features: Sequence[Tensor]) -> Tensor:
    """Mean and standard deviation of each map of a photo's features (1, C, H, W), all but the coarsest: (F,)."""
    parts = [part.float()[0] for part in features[:-1]]
    return torch.cat(
        [statistic for part in parts for statistic in (part.mean(dim=(1, 2)), part.std(dim=(1, 2), correction=0))]
    )


def p_value(atypicality: float, calibration_scores: np.ndarray) -> float:
    """The conformal p-value of a photo: (1 + number of calibration photos at least as atypical) / (n + 1)."""
    return float((1 + (calibration_scores >= atypicality).sum()) / (len(calibration_scores) + 1))
