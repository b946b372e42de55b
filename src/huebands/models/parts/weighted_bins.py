"""What objectives share in which rare colours weigh more."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from huebands.models.interface import Objective
from huebands.models.parts import ab_bins


class WeighsBins(Objective):
    """An objective with the parameter `lambda_uniform`, see `ab_bins.class_weights`.

    Attributes:
        weights_Q: of the bins, 1 until the training photos are known.
    """

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.weights_Q = torch.ones(ab_bins.BINS)

    def prepare(self, ab_unit_truth: Iterable[Tensor]) -> None:
        """Weigh the bins by how often the training photos have them."""
        self.weights_Q = ab_bins.weigh_by_frequency(ab_unit_truth, self.params.lambda_uniform)
