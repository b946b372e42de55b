"""A conditional GAN whose discriminator gives one answer for the whole photo, with the absolute error beside it.

G* = arg min_G max_D  lambda_adversarial L_cGAN(G, D) + lambda_l1 |ab - ab*|

Source: Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661; Mirza & Osindero, 2014,
https://arxiv.org/abs/1411.1784; the discriminator is DCGAN's (Radford et al., 2016,
https://arxiv.org/abs/1511.06434).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.parameters import check
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.judging import judge, unfreeze
from huebands.models.parts.losses import clipped_share

_LAYERS = 4  # strided blocks


@dataclass(frozen=True, kw_only=True)
class DiscriminatorParams:
    """One logit for each photo."""

    filters: int  # channels of the first block; doubles with each further one
    rate: float  # its learning rate, as a share of train.learning_rate

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 256, "filters", self.filters, "be in [1, 256]")
        check(self.rate > 0, "rate", self.rate, "be positive")


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """Weights of the generator's terms; without the first there is no discriminator."""

    name: Literal["photo_gan"]
    lambda_adversarial: float
    lambda_l1: float
    discriminator: DiscriminatorParams

    def __post_init__(self) -> None:
        for name in ("lambda_adversarial", "lambda_l1"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")
        check(self.lambda_adversarial + self.lambda_l1 > 0, "lambda_l1", 0, "be above 0 where lambda_adversarial is 0")

    @property
    def smallest(self) -> int:
        """Twice the discriminator's stride."""
        return int(2 ** (_LAYERS + 1))


class Discriminator(nn.Module):
    """Judge a coloured photo as a whole: real or made up.

    Args:
        filters: channels of the first block; doubled with each further one.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, filters, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for level in range(1, _LAYERS):
            inputs = filters * 2 ** (level - 1)
            layers += [nn.Conv2d(inputs, 2 * inputs, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(2 * inputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Linear(filters * 2 ** (_LAYERS - 1), 1)
        initialise(self)

    def forward(self, lab_unit_B3SS: Tensor) -> Tensor:
        """Map L_unit and ab_unit (B, 3, S, S) to one logit a photo (B, 1)."""
        logits: Tensor = self.logit(self.layers(lab_unit_B3SS).mean(dim=(2, 3)))
        return logits


class Objective(BaseObjective):
    """Update the discriminator, then the generator."""

    figures = (
        "generator", "discriminator", "adversarial", "l1", "clipped", "generator_gradient", "discriminator_gradient",
    )  # fmt: skip
    chance = math.log(2)
    params: Params

    @property
    def judged_from(self) -> int | None:
        """The first epoch, where the adversarial term has a weight."""
        return 1 if self.params.lambda_adversarial > 0 else None

    def helpers(self) -> dict[str, nn.Module]:
        """The discriminator, where the adversarial term has a weight."""
        is_judged = self.params.lambda_adversarial > 0
        return {"discriminator": Discriminator(self.params.discriminator.filters)} if is_judged else {}

    def optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """The discriminator has a learning rate of its own."""
        return {"discriminator": {"share": self.params.discriminator.rate}}

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the discriminator, then the generator: the terms unweighted, 0 where switched off."""
        L_unit = condition.L_unit_B1SS
        figures = dict.fromkeys(self.figures, L_unit.new_zeros(()))
        with learners.autocast():
            ab_unit = learners.generator.parallel(L_unit).float()
        figures["l1"] = F.l1_loss(ab_unit, ab_unit_truth)
        loss = self.params.lambda_l1 * figures["l1"]
        if self.params.lambda_adversarial > 0:
            real, fake = (torch.cat((L_unit, ab), dim=1) for ab in (ab_unit_truth, ab_unit))
            figures |= judge(learners, "discriminator", real, fake)
            loss = loss + self.params.lambda_adversarial * figures["adversarial"]
        figures["generator"] = loss
        figures["generator_gradient"] = learners.generator.update(loss)
        unfreeze(learners)
        figures["clipped"] = clipped_share(lab_to_srgb(from_units(L_unit, ab_unit.detach())))
        return {name: figure.detach() for name, figure in figures.items()}

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return (
            "It learned as a conditional GAN, whose discriminator judges the photo as a whole. Weights of the"
            f" objective: adversarial {params.lambda_adversarial:g}, absolute error {params.lambda_l1:g}."
        )
