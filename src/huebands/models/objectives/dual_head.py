"""What the network `dual_head` learns: a colour for each place by Huber's loss, and the bins by cross-entropy.

A discriminator, where its weight is above 0, judges the colours at their low resolution, given the lightness. Spectral
normalisation, R1 (a penalty on its gradient at true colours) and a learning rate of its own hold it steady.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.parameters import check
from huebands.models.parts import ab_bins, adversarial
from huebands.models.parts.judging import unfreeze
from huebands.models.parts.losses import clipped_share, huber_loss
from huebands.models.parts.spectral_patchgan import SpectralPatchGAN, gradient_penalty
from huebands.models.parts.weighted_bins import WeighsBins


@dataclass(frozen=True, kw_only=True)
class DiscriminatorParams:
    """How the discriminator learns."""

    loss: adversarial.AdversarialLoss
    rate: float  # its learning rate, as a share of train.learning_rate
    beta1: float  # of its Adam; a short memory suits an opponent that moves
    r1: float  # weight of the penalty on its gradient at true colours; 0: none
    # Batches between penalties, each of which counts as many times. train.gradient_clip limits their gradient as any
    # other's, so that with it only 1 gives the penalty its weight.
    r1_every: int

    def __post_init__(self) -> None:
        check(self.rate > 0, "rate", self.rate, "be positive")
        check(0 <= self.beta1 < 1, "beta1", self.beta1, "be in [0, 1)")
        check(self.r1 >= 0, "r1", self.r1, "not be negative")
        check(self.r1_every >= 1, "r1_every", self.r1_every, "be at least 1")


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
    lambda_features: float  # of the discriminator's inner maps, which colours should share with the truth
    discriminator: DiscriminatorParams

    def __post_init__(self) -> None:
        for name in ("lambda_huber", "lambda_classes", "lambda_adversarial", "lambda_features"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "be at least 0")
        check(self.lambda_huber + self.lambda_classes > 0, "lambda_huber", 0, "be above 0 where lambda_classes is 0")
        check(self.huber_delta > 0, "huber_delta", self.huber_delta, "be above 0")
        check(0 < self.lambda_uniform <= 1, "lambda_uniform", self.lambda_uniform, "be in (0, 1]")
        judged = self.lambda_adversarial > 0 or self.lambda_features == 0
        must = "be 0 without a discriminator (lambda_adversarial = 0)"
        check(judged, "lambda_features", self.lambda_features, must)
        check(self.adversarial_from >= 1, "adversarial_from", self.adversarial_from, "be at least 1")

    @property
    def smallest(self) -> int:
        """The discriminator's patches need so many pixels at stride 4."""
        return 64

    @property
    def least_epochs(self) -> int:
        """At least those up to the discriminator's first."""
        return self.adversarial_from if self.lambda_adversarial > 0 else 1


class Objective(WeighsBins):
    """Huber's loss of the first head, the weighted cross-entropy of the second, and a discriminator.

    "adversarial" and "features" are the generator's terms, unweighted. "discriminator" is the discriminator's loss
    without R1; "r1" is the penalty, times `r1_every` in the batches that have it, so that means over batches are right.
    """

    figures = (
        "generator", "huber", "classes", "adversarial", "features", "discriminator", "discriminator_accuracy", "r1",
        "clipped", "generator_gradient", "discriminator_gradient",
    )  # fmt: skip
    chance = adversarial.CHANCE
    params: Params

    def helpers(self) -> dict[str, nn.Module]:
        """The discriminator, where its weight is above 0."""
        return {"discriminator": SpectralPatchGAN(filters=64, layers=2)} if self.params.lambda_adversarial > 0 else {}

    def optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """The discriminator has a learning rate and a memory of its own."""
        discriminator = self.params.discriminator
        return {"discriminator": {"share": discriminator.rate, "betas": (discriminator.beta1, 0.999)}}

    @property
    def judged_from(self) -> int | None:
        """`adversarial_from`, where the discriminator's weight is above 0."""
        return self.params.adversarial_from if self.params.lambda_adversarial > 0 else None

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator and, from its first epoch on, before it the discriminator."""
        with learners.autocast():
            ab_unit, logits = learners.generator.parallel(condition.L_unit_B1SS)
        ab_unit, logits = ab_unit.float(), logits.float()
        truth, L_unit = (
            F.interpolate(x, ab_unit.shape[-2:], mode="area") for x in (ab_unit_truth, condition.L_unit_B1SS)
        )
        figures = dict.fromkeys(self.figures, L_unit.new_zeros(()))
        terms = {
            "huber": huber_loss(ab_unit, truth, self.params.huber_delta),
            "classes": self._classes(logits, truth),
        }
        if self.judged_from is not None and epoch >= self.judged_from:
            real, fake = torch.cat((L_unit, truth), dim=1), torch.cat((L_unit, ab_unit), dim=1)
            figures |= self._update_discriminator(learners, real, fake.detach())
            terms |= self._judged_terms(learners, real, fake)
        weights = {name: float(getattr(self.params, f"lambda_{name}")) for name in terms}
        figures["generator"] = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        figures["generator_gradient"] = learners.generator.update(figures["generator"])
        figures["clipped"] = clipped_share(lab_to_srgb(from_units(L_unit, ab_unit.detach())))
        unfreeze(learners)
        return {name: figure.detach() for name, figure in (figures | terms).items()}

    def _update_discriminator(self, learners: Learners, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Update it on lightness with true and with made-up colours (B, 3, s, s), with R1 where it is due."""
        discriminator, params = learners.helpers["discriminator"], self.params.discriminator
        with learners.autocast():
            logits_real, logits_fake = discriminator.parallel(torch.cat((real, fake))).float().chunk(2)
        figures = {
            "discriminator": adversarial.discriminator_loss(params.loss, logits_real, logits_fake),
            "discriminator_accuracy": adversarial.accuracy(params.loss, logits_real, logits_fake),
        }
        loss = figures["discriminator"]
        if params.r1 > 0 and learners.step % params.r1_every == 0:
            figures["r1"] = params.r1_every * gradient_penalty(discriminator.network, real)
            loss = loss + params.r1 / 2 * figures["r1"]
        return {**figures, "discriminator_gradient": discriminator.update(loss)}

    def _judged_terms(self, learners: Learners, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The generator's terms that need the discriminator, whose weights they leave alone."""
        discriminator = cast(SpectralPatchGAN, learners.helpers["discriminator"].network.requires_grad_(False))
        loss, matching = self.params.discriminator.loss, self.params.lambda_features > 0
        logits_real, features_real = None, list[Tensor]()
        with learners.autocast():
            if matching or loss == "relativistic":
                with torch.no_grad():
                    logits_real, features_real = discriminator.judge(real)
            logits_fake, features_fake = discriminator.judge(fake)
        real_or_none = None if logits_real is None else logits_real.float()
        terms = {"adversarial": adversarial.generator_loss(loss, real_or_none, logits_fake.float())}
        if matching:
            terms["features"] = adversarial.feature_loss(
                [feature.float() for feature in features_fake], [feature.float() for feature in features_real]
            )
        return terms

    def _classes(self, logits: Tensor, truth: Tensor) -> Tensor:
        bins, shares = ab_bins.spread(truth)
        likelihoods = F.log_softmax(logits, dim=1).gather(1, bins)
        return -(self.weights_Q[ab_bins.nearest(truth)] * (shares * likelihoods).sum(dim=1)).mean()

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        judged, discriminator = "", params.discriminator
        if params.lambda_adversarial > 0:
            judged = (
                f" From epoch {params.adversarial_from} on a discriminator judged the colours, given the lightness"
                f" (lambda_adversarial {params.lambda_adversarial:g}, {discriminator.loss} loss, R1"
                f" {discriminator.r1:g}, lambda_features {params.lambda_features:g})."
            )
        weighing = "all pixels weighing alike" if params.lambda_uniform == 1 else "rare ones weighing more"
        return (
            f"It learned Huber's loss of a and b (lambda_huber {params.lambda_huber:g}) and the cross-entropy of"
            f" {ab_bins.BINS} colour bins (lambda_classes {params.lambda_classes:g}),"
            f" {weighing} (lambda_uniform {params.lambda_uniform:g}).{judged}"
        )
