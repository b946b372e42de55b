"""No objective: the network has no weights to learn."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """Nothing to choose."""

    name: Literal["untrained"]


class Objective(BaseObjective):
    """Leave the network as it is, so that it passes through the stages as every other."""

    figures = ("generator", "clipped", "generator_gradient")

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update nothing: all figures are 0."""
        return dict.fromkeys(self.figures, condition.L_unit_B1SS.new_zeros(()))

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return "It learned nothing from photos."
