"""The conditional GAN of pix2pix, with Huber's loss, VGG16's features and a reward for chroma beside it.

G* = arg min_G max_D  L_cGAN(G, D) + lambda_huber Huber_delta(ab)
     + lambda_perceptual sum_l |VGG_l(rgb) - VGG_l(rgb*)| - lambda_chroma E[sqrt(a^2 + b^2 + eps)]

Source: Isola et al., 2017, https://arxiv.org/abs/1611.07004.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.parameters import check
from huebands.models.parts.judging import discriminator_loss
from huebands.models.parts.losses import adversarial_loss, clipped_share, huber_loss, mean_chroma, perceptual_loss
from huebands.models.parts.normalisation import Norm
from huebands.models.parts.patchgan import PatchGAN
from huebands.models.parts.vgg import VGG16Features, VGGWeights, fetch_lpips

_TERMS = {
    "lambda_adversarial": "adversarial",
    "lambda_huber": "Huber",
    "lambda_perceptual": "perceptual (VGG16)",
    "lambda_chroma": "reward for chroma",
}


@dataclass(frozen=True, kw_only=True)
class DiscriminatorParams:
    """PatchGAN: one logit for each patch."""

    filters: int  # channels of the first block
    layers: int  # strided blocks; 3 gives patches of 70x70
    norm: Norm
    rate: float = 1.0  # its learning rate, as a share of train.learning_rate

    def __post_init__(self) -> None:
        check(self.rate > 0, "rate", self.rate, "be positive")
        check(self.filters >= 1, "filters", self.filters, "be at least 1")
        check(self.layers >= 1, "layers", self.layers, "be at least 1")


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """Weights of the generator's objective; a weight of 0 switches its term and its cost off."""

    name: Literal["cgan"]
    pretrain_epochs: int  # the first epochs train the generator alone, on Huber's loss
    lambda_adversarial: float
    lambda_huber: float
    huber_delta: float  # in ab_unit; quadratic below, linear above
    lambda_perceptual: float
    lambda_chroma: float  # reward for chroma: subtracted
    chroma_epsilon: float  # under the root, in ab_unit squared
    vgg_weights: VGGWeights  # where the perceptual term's VGG16 comes from
    discriminator: DiscriminatorParams

    def __post_init__(self) -> None:
        for name in _TERMS:
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")
        weights = tuple(getattr(self, name) for name in _TERMS)
        check(any(weights), "lambda_*", weights, "have one above 0")
        for name in ("huber_delta", "chroma_epsilon"):
            check(getattr(self, name) > 0, name, getattr(self, name), "be positive")
        check(self.pretrain_epochs >= 0, "pretrain_epochs", self.pretrain_epochs, "not be negative")
        without_huber = self.pretrain_epochs == 0 or self.lambda_huber > 0
        must = "be 0 without Huber's loss (lambda_huber = 0)"
        check(without_huber, "pretrain_epochs", self.pretrain_epochs, must)

    @property
    def smallest(self) -> int:
        """Three times the discriminator's stride: smaller squares hold no patch."""
        return int(3 * 2**self.discriminator.layers)

    @property
    def least_epochs(self) -> int:
        """At least those of the pretraining."""
        return max(self.pretrain_epochs, 1)


class Objective(BaseObjective):
    """Update the discriminator, then the generator."""

    figures = (
        "generator", "discriminator", "adversarial", "huber", "perceptual", "chroma", "clipped",
        "generator_gradient", "discriminator_gradient",
    )  # fmt: skip
    chance = math.log(2)
    params: Params

    @property
    def judged_from(self) -> int | None:
        """The first epoch after the pretraining, where the adversarial term has a weight."""
        return self.params.pretrain_epochs + 1 if self.params.lambda_adversarial > 0 else None

    def optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """The discriminator has a learning rate of its own."""
        return {"discriminator": {"share": self.params.discriminator.rate}}

    def helpers(self) -> dict[str, nn.Module]:
        """The discriminator, and VGG16 where the perceptual term's weight is not 0.

        Raises:
            FetchError, OSError: when VGG16's weights cannot be fetched.
        """
        discriminator = self.params.discriminator
        networks: dict[str, nn.Module] = {
            "discriminator": PatchGAN(discriminator.filters, discriminator.layers, discriminator.norm)
        }
        return networks | ({"vgg": VGG16Features(self.params.vgg_weights)} if self.params.lambda_perceptual > 0 else {})

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the discriminator, then the generator: the terms unweighted, 0 where switched off."""
        L_unit, pretraining = condition.L_unit_B1SS, epoch <= self.params.pretrain_epochs
        discriminator = learners.helpers["discriminator"]
        figures = dict.fromkeys(self.figures, L_unit.new_zeros(()))
        with learners.autocast():
            ab_unit = learners.generator.parallel(L_unit).float()
        if self.params.lambda_adversarial > 0 and not pretraining:
            real, fake = (torch.cat((L_unit, ab), dim=1) for ab in (ab_unit_truth, ab_unit.detach()))
            with learners.autocast():
                figures["discriminator"] = discriminator_loss(discriminator.parallel, real, fake)
            figures["discriminator_gradient"] = discriminator.update(figures["discriminator"])
        discriminator.network.requires_grad_(False)
        with learners.autocast():
            figures |= self._generator_figures(learners, L_unit, ab_unit, ab_unit_truth, pretraining)
        figures["generator_gradient"] = learners.generator.update(figures["generator"])
        discriminator.network.requires_grad_(True)
        return {name: figure.detach() for name, figure in figures.items()}

    def _generator_figures(
        self, learners: Learners, L_unit: Tensor, ab_unit: Tensor, ab_unit_truth: Tensor, pretraining: bool
    ) -> dict[str, Tensor]:
        """The generator's terms that are switched on, their weighted sum as "generator", and the clipped share."""
        params, terms, vgg = self.params, dict[str, Tensor](), learners.frozen.get("vgg")
        rgb = _rgb(L_unit, ab_unit)
        if params.lambda_adversarial > 0 and not pretraining:
            discriminator = learners.helpers["discriminator"].network
            terms["adversarial"] = adversarial_loss(discriminator(torch.cat((L_unit, ab_unit), dim=1)).float(), 1.0)
        if params.lambda_huber > 0:
            terms["huber"] = huber_loss(ab_unit, ab_unit_truth, params.huber_delta)
        if vgg is not None and not pretraining:
            # Clamped, because VGG16 has learned from photos in [0, 1].
            with torch.no_grad():
                truth = [feature.float() for feature in vgg(_rgb(L_unit, ab_unit_truth).clamp(0, 1))]
            terms["perceptual"] = perceptual_loss([feature.float() for feature in vgg(rgb.clamp(0, 1))], truth)
        if params.lambda_chroma > 0 and not pretraining:
            terms["chroma"] = mean_chroma(ab_unit, params.chroma_epsilon)
        weights = {
            "adversarial": params.lambda_adversarial,
            "huber": params.lambda_huber,
            "perceptual": params.lambda_perceptual,
            "chroma": -params.lambda_chroma,
        }
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "generator": loss, "clipped": clipped_share(rgb)}

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        first = (
            f", for the first {params.pretrain_epochs} epochs on Huber's loss alone" if params.pretrain_epochs else ""
        )
        weights = ", ".join(f"{term} {getattr(params, key):g}" for key, term in _TERMS.items() if getattr(params, key))
        return f"It learned as a conditional GAN{first}. Weights of the objective: {weights}."

    @classmethod
    def assets(cls, params: Params) -> Iterator[Path]:
        """Fetch the archive of VGG16's weights, where they are needed and pinned."""
        if params.lambda_perceptual > 0 and params.vgg_weights == "lpips":
            yield fetch_lpips()


def _rgb(L_unit: Tensor, ab_unit: Tensor) -> Tensor:
    """SRGB (B, 3, S, S) in float32, whatever else is computed in."""
    with torch.autocast(L_unit.device.type, enabled=False):
        return lab_to_srgb(from_units(L_unit, ab_unit))
