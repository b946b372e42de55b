"""What the network `diffusion` learns: v of true colours with noise of a random strength.

    loss = E |v(alpha ab* + sigma noise, time, L) - (alpha noise - sigma ab*)|^2

Colours are in units of the network's `DEVIATION`, times are uniform, and each photo is looked at once for `noises`
noisy colourings.

Source: Ho, Jain & Abbeel, 2020, https://arxiv.org/abs/2006.11239; v is that of Salimans & Ho, 2022,
https://arxiv.org/abs/2202.00512.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.networks.diffusion import DEVIATION, STRIDE
from huebands.models.parameters import check
from huebands.models.parts.losses import clipped_share


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """How often a photo is diffused in a step."""

    name: Literal["diffusion"]
    noises: int  # noisy colourings of each photo

    def __post_init__(self) -> None:
        check(1 <= self.noises <= 64, "noises", self.noises, "be in [1, 64]")


class Objective(BaseObjective):
    """Tell noise and colours apart."""

    figures = ("generator", "clipped", "generator_gradient")
    params: Params

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator on the squared error of v; "clipped" counts the colours that it implies."""
        L_unit = condition.L_unit_B1SS
        truth = F.avg_pool2d(ab_unit_truth, STRIDE)[None] / DEVIATION
        noise = torch.randn(self.params.noises, *truth.shape[1:], device=truth.device)
        time_NB = torch.rand(noise.shape[:2], device=truth.device)
        alpha, sigma = (wave(time_NB * math.pi / 2)[..., None, None, None] for wave in (torch.cos, torch.sin))
        noisy = alpha * truth + sigma * noise
        with learners.autocast():
            v = learners.generator.parallel(L_unit, noisy, time_NB)
        loss = F.mse_loss(v.float(), alpha * noise - sigma * truth)
        implied = (alpha * noisy - sigma * v.detach().float())[0] * DEVIATION
        return {
            "generator": loss.detach(),
            "clipped": clipped_share(lab_to_srgb(from_units(F.avg_pool2d(L_unit, STRIDE), implied.clamp(-1, 1)))),
            "generator_gradient": learners.generator.update(loss).detach(),
        }

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return f"It learned to tell noise and colours apart ({params.noises} noisy colourings of each photo in a step)."
