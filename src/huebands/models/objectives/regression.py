"""Regression: the mean squared error of the colours.

Source: Atienza, Advanced Deep Learning with Keras, 2018, chapter 3, whose autoencoder learns RGB; here it is ab.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.parts.losses import clipped_share


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """The mean squared error has no knob."""

    name: Literal["regression"]


class Objective(BaseObjective):
    """Bring a network's ab near the truth; what is uncertain gets its mean, which is near grey."""

    figures = ("generator", "clipped", "generator_gradient")
    params: Params

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator on the mean of the squared differences of ab_unit."""
        with learners.autocast():
            ab_unit = learners.generator.parallel(condition.L_unit_B1SS).float()
        loss = F.mse_loss(ab_unit, ab_unit_truth)
        return {
            "generator": loss.detach(),
            "clipped": clipped_share(lab_to_srgb(from_units(condition.L_unit_B1SS, ab_unit.detach()))),
            "generator_gradient": learners.generator.update(loss).detach(),
        }

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return "It learned the least mean squared error of a and b."
