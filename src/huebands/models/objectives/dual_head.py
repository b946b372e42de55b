"""What the network `dual_head` learns: a colour for each place by Huber's loss, and the bins by cross-entropy.

A discriminator, where its weight is above 0, judges the colours at their low resolution, given the lightness.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.parameters import check
from huebands.models.parts import ab_bins
from huebands.models.parts.losses import clipped_share, huber_loss
from huebands.models.parts.spectral_patchgan import SpectralPatchGAN, hinge_loss


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """How the terms weigh."""

    name: Literal["dual_head"]
    lambda_huber: float
    huber_delta: float  # ab_unit
    lambda_classes: float
    lambda_uniform: float  # of the bins' weights: 1: every pixel weighs alike; near 0: every bin does, however rare
    lambda_adversarial: float  # 0: no discriminator
    adversarial_from: int  # epoch, from 1

    def __post_init__(self) -> None:
        for name in ("lambda_huber", "lambda_classes", "lambda_adversarial"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "be at least 0")
        check(self.lambda_huber + self.lambda_classes > 0, "lambda_huber", 0, "be above 0 where lambda_classes is 0")
        check(self.huber_delta > 0, "huber_delta", self.huber_delta, "be above 0")
        check(0 < self.lambda_uniform <= 1, "lambda_uniform", self.lambda_uniform, "be in (0, 1]")
        check(self.adversarial_from >= 1, "adversarial_from", self.adversarial_from, "be at least 1")

    @property
    def smallest(self) -> int:
        """The discriminator's patches need so many pixels at stride 4."""
        return 64

    @property
    def least_epochs(self) -> int:
        """At least those up to the discriminator's first."""
        return self.adversarial_from if self.lambda_adversarial > 0 else 1


class Objective(BaseObjective):
    """Huber's loss of the first head, the weighted cross-entropy of the second, and a hinge-loss discriminator."""

    figures = ("generator", "huber", "classes", "adversarial", "discriminator", "clipped", "generator_gradient")
    params: Params

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.weights_Q = torch.ones(ab_bins.BINS)

    def helpers(self) -> dict[str, nn.Module]:
        """The discriminator, where its weight is above 0."""
        return {"discriminator": SpectralPatchGAN(filters=64, layers=2)} if self.params.lambda_adversarial > 0 else {}

    def prepare(self, ab_unit_truth: Iterable[Tensor]) -> None:
        """Weigh the bins by how often the training photos have them."""
        self.weights_Q = ab_bins.weigh_by_frequency(ab_unit_truth, self.params.lambda_uniform)

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator, and the discriminator from its first epoch on."""
        with learners.autocast():
            ab_unit, logits = learners.generator.parallel(condition.L_unit_B1SS)
        ab_unit, logits = ab_unit.float(), logits.float()
        truth, L_unit = (
            F.interpolate(x, ab_unit.shape[-2:], mode="area") for x in (ab_unit_truth, condition.L_unit_B1SS)
        )
        huber = huber_loss(ab_unit, truth, self.params.huber_delta)
        classes = self._classes(logits, truth)
        loss = self.params.lambda_huber * huber + self.params.lambda_classes * classes
        adversarial = discriminator_loss = torch.zeros_like(loss)
        if self.params.lambda_adversarial > 0 and epoch >= self.params.adversarial_from:
            discriminator = learners.helpers["discriminator"]
            discriminator_loss = _judge(
                learners, torch.cat((L_unit, truth), 1), torch.cat((L_unit, ab_unit.detach()), 1)
            )
            discriminator.network.requires_grad_(False)
            adversarial = -discriminator.network(torch.cat((L_unit, ab_unit), dim=1)).mean()
            loss = loss + self.params.lambda_adversarial * adversarial
        figures = {
            "generator": loss.detach(),
            "huber": huber.detach(),
            "classes": classes.detach(),
            "adversarial": adversarial.detach(),
            "discriminator": discriminator_loss.detach(),
            "clipped": clipped_share(lab_to_srgb(from_units(L_unit, ab_unit.detach()))),
            "generator_gradient": learners.generator.update(loss).detach(),
        }
        for helper in learners.helpers.values():
            helper.network.requires_grad_(True)
        return figures

    def _classes(self, logits: Tensor, truth: Tensor) -> Tensor:
        bins, shares = ab_bins.spread(truth)
        likelihoods = F.log_softmax(logits, dim=1).gather(1, bins)
        return -(self.weights_Q[ab_bins.nearest(truth)] * (shares * likelihoods).sum(dim=1)).mean()

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        adversarial = ""
        if params.lambda_adversarial > 0:
            adversarial = (
                f" From epoch {params.adversarial_from} on a discriminator judged the colours, given the lightness"
                f" (lambda_adversarial {params.lambda_adversarial:g})."
            )
        return (
            f"It learned Huber's loss of a and b (lambda_huber {params.lambda_huber:g}) and the cross-entropy of"
            f" {ab_bins.BINS} colour bins (lambda_classes {params.lambda_classes:g}), rare ones weighing more"
            f" (lambda_uniform {params.lambda_uniform:g}).{adversarial}"
        )


def _judge(learners: Learners, real: Tensor, fake: Tensor) -> Tensor:
    """Update the discriminator; gives its loss."""
    discriminator = learners.helpers["discriminator"]
    with learners.autocast():
        logits_real, logits_fake = discriminator.parallel(torch.cat((real, fake))).float().chunk(2)
    loss = hinge_loss(logits_real, logits_fake)
    discriminator.update(loss)
    return loss
