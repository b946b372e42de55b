"""What the network `parallel` learns: two conditional GANs, each on its part of the photo, and their fusion.

    sum over p in {foreground, background} of
        lambda_adversarial L_cGAN(G_p, D_p) + lambda_huber E[m_p Huber(ab_p)] / E[m_p]
    + lambda_fusion Huber(ab)

m_p is the mask of the part, and each discriminator sees the photo with the colours of its part alone.

Source: Kumar, Banerjee, Saurav & Singh, 2022, https://arxiv.org/abs/2208.08295.
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
from huebands.models.parts.judging import judge, unfreeze
from huebands.models.parts.losses import clipped_share, huber_loss
from huebands.models.parts.normalisation import Norm
from huebands.models.parts.patchgan import PatchGAN

_PARTS = ("foreground", "background")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorParams:
    """Two PatchGANs of one kind."""

    filters: int  # channels of the first block
    layers: int  # strided blocks
    norm: Norm
    rate: float  # their learning rate, as a share of train.learning_rate

    def __post_init__(self) -> None:
        check(self.filters >= 1, "filters", self.filters, "be at least 1")
        check(self.layers >= 1, "layers", self.layers, "be at least 1")
        check(self.rate > 0, "rate", self.rate, "be positive")


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """Weights of the terms; an adversarial weight of 0 switches the discriminators and their cost off."""

    name: Literal["parallel_gan"]
    lambda_adversarial: float
    lambda_huber: float
    lambda_fusion: float
    huber_delta: float  # ab_unit; quadratic below, linear above
    discriminator: DiscriminatorParams

    def __post_init__(self) -> None:
        check(self.lambda_adversarial >= 0, "lambda_adversarial", self.lambda_adversarial, "not be negative")
        for name in ("lambda_huber", "lambda_fusion", "huber_delta"):
            check(getattr(self, name) > 0, name, getattr(self, name), "be above 0")

    @property
    def smallest(self) -> int:
        """Three times the discriminators' stride: smaller squares hold no patch."""
        return int(3 * 2**self.discriminator.layers)


class Objective(BaseObjective):
    """Update both discriminators, then both generators and the fusion network together."""

    figures = (
        "generator", "discriminator", "adversarial", "huber", "fusion", "clipped", "generator_gradient",
        "discriminator_gradient",
    )  # fmt: skip
    chance = math.log(2)
    params: Params

    @property
    def judged_from(self) -> int | None:
        """The first epoch, where the adversarial term has a weight."""
        return 1 if self.params.lambda_adversarial > 0 else None

    def helpers(self) -> dict[str, nn.Module]:
        """The discriminators, where the adversarial term has a weight."""
        of = self.params.discriminator
        parts = _PARTS if self.params.lambda_adversarial > 0 else ()
        return {part: PatchGAN(of.filters, of.layers, of.norm) for part in parts}

    def optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """The discriminators have a learning rate of their own."""
        return {part: {"share": self.params.discriminator.rate} for part in _PARTS}

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update all; the terms are sums over both parts, and "discriminator" is the mean of both losses."""
        L_unit, params = condition.L_unit_B1SS, self.params
        figures = dict.fromkeys(self.figures, L_unit.new_zeros(()))
        with learners.autocast():
            outputs = learners.generator.parallel(L_unit)
        ab_unit, *parts, mask = (output.float() for output in outputs)
        for name, part, share in zip(_PARTS, parts, (mask, 1 - mask), strict=True):
            errors = F.huber_loss(part, ab_unit_truth, delta=params.huber_delta, reduction="none")
            figures["huber"] = figures["huber"] + (share * errors).mean() / share.mean()
            if params.lambda_adversarial > 0:
                real, fake = (torch.cat((L_unit, share * ab), dim=1) for ab in (ab_unit_truth, part))
                for figure, value in judge(learners, name, real, fake).items():
                    figures[figure] = figures[figure] + value / (1 if figure == "adversarial" else len(_PARTS))
        figures["fusion"] = huber_loss(ab_unit, ab_unit_truth, params.huber_delta)
        terms = ("adversarial", "huber", "fusion")
        figures["generator"] = torch.stack([getattr(params, f"lambda_{term}") * figures[term] for term in terms]).sum()
        figures["generator_gradient"] = learners.generator.update(figures["generator"])
        unfreeze(learners)
        figures["clipped"] = clipped_share(lab_to_srgb(from_units(L_unit, ab_unit.detach())))
        return {name: figure.detach() for name, figure in figures.items()}

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return (
            "Its generators learned as two conditional GANs, each on its part of the photo, and their fusion on Huber's"
            f" loss. Weights of the objective: adversarial {params.lambda_adversarial:g}, Huber"
            f" {params.lambda_huber:g}, fusion {params.lambda_fusion:g}."
        )
