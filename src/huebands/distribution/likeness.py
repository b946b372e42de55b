"""How unlike the calibration photos a photo is, told without its true colours.

The encoder's coarsest features, averaged over the photo, are compared with those of the training photos: their
Mahalanobis distance on the leading principal components. The distances of the calibration photos turn that of a new
photo into a conformal p-value: exchangeable photos have p <= q with probability at most q.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

_COMPONENTS = 32
_SHRINKAGE = 0.1  # of variances towards their mean: few photos tell little of the last components


@dataclass(frozen=True)
class Reference:
    """The features of the training photos.

    Attributes:
        mean_C: of the features.
        whitening_DC: rows turn differences from the mean into coordinates of unit variance.
    """

    mean_C: Tensor
    whitening_DC: Tensor

    @classmethod
    def fit(cls, features_NC: Tensor) -> Self:
        """Find the mean and the leading components of pooled features."""
        mean_C = features_NC.mean(dim=0)
        _, singular_K, directions_KC = torch.linalg.svd(features_NC - mean_C, full_matrices=False)
        kept = min(_COMPONENTS, len(features_NC) - 1)
        variance_D = singular_K[:kept].square() / max(len(features_NC) - 1, 1)
        variance_D = (1 - _SHRINKAGE) * variance_D + _SHRINKAGE * variance_D.mean()
        return cls(mean_C, directions_KC[:kept] / variance_D.clamp_min(1e-12).sqrt()[:, None])

    def strangeness(self, features_C: Tensor) -> float:
        """The distance of a photo's pooled features, at least 0."""
        return float((self.whitening_DC @ (features_C - self.mean_C)).norm())


def pool(coarsest_1CHW: Tensor) -> Tensor:
    """Average a photo's coarsest features over its area, (C,)."""
    return coarsest_1CHW.float().mean(dim=(0, 2, 3))


def p_value(strangeness: float, of_calibration: np.ndarray) -> float:
    """The conformal p-value of a photo: (1 + number of calibration photos at least as strange) / (n + 1)."""
    return float((1 + (of_calibration >= strangeness).sum()) / (len(of_calibration) + 1))
