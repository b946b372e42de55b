"""The evidence lower bound of the network `vae`, with rare colours and edges weighing more.

    loss = lambda_colour E[w(ab*) Huber(ab - ab*)] + lambda_gradient E[|grad ab - grad ab*|]
           + lambda_divergence KL(q(z | ab*, L) || p(z | L)) / Z

w are the weights of Zhang et al.'s classes. The divergence is a Monte-Carlo estimate from the one z that is drawn.

With these weights the bound is a weighted one, as in Higgins et al., 2017, beta-VAE.

Source: Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114; the two first terms follow Deshpande et al., 2017,
https://arxiv.org/abs/1612.01958, section 3.1: Huber's loss and the absolute difference replace the squares.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.networks.vae import STRIDE, Network
from huebands.models.parameters import check
from huebands.models.parts import ab_bins
from huebands.models.parts.losses import clipped_share
from huebands.models.parts.weighted_bins import WeighsBins


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """How the terms weigh."""

    name: Literal["vae"]
    lambda_colour: float
    huber_delta: float  # ab_unit
    lambda_uniform: float  # of the bins' weights: 1: every pixel weighs alike; near 0: every bin does, however rare
    lambda_gradient: float
    lambda_divergence: float  # of the mean over the latent numbers

    def __post_init__(self) -> None:
        for name in ("lambda_colour", "huber_delta", "lambda_divergence"):
            check(getattr(self, name) > 0, name, getattr(self, name), "be above 0")
        check(0 < self.lambda_uniform <= 1, "lambda_uniform", self.lambda_uniform, "be in (0, 1]")
        check(self.lambda_gradient >= 0, "lambda_gradient", self.lambda_gradient, "not be negative")


class Objective(WeighsBins):
    """Make the true colours likely, by way of a latent that says which of a photo's colourings they are."""

    figures = ("generator", "colour", "gradient", "divergence", "clipped", "generator_gradient")
    params: Params

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator once; "divergence" is in nats a latent number."""
        L_unit = condition.L_unit_B1SS
        truth = F.avg_pool2d(ab_unit_truth, STRIDE)
        with learners.autocast():
            ab_unit, divergence_B = learners.generator.parallel(L_unit, truth)
        ab_unit = ab_unit.float()
        weights = self.weights_Q[ab_bins.nearest(truth)][:, None]
        terms = {
            "colour": (weights * F.huber_loss(ab_unit, truth, reduction="none", delta=self.params.huber_delta)).mean(),
            "gradient": sum(
                ((ab_unit - truth).diff(dim=axis).abs().mean() for axis in (2, 3)), start=ab_unit.new_zeros(())
            ),
            "divergence": divergence_B.float().mean() / cast(Network, learners.generator.network).params.latent,
        }
        loss = torch.stack([getattr(self.params, f"lambda_{name}") * term for name, term in terms.items()]).sum()
        shown = from_units(F.avg_pool2d(L_unit, STRIDE), ab_unit.detach())
        return {
            **{name: term.detach() for name, term in terms.items()},
            "generator": loss.detach(),
            "clipped": clipped_share(lab_to_srgb(shown)),
            "generator_gradient": learners.generator.update(loss).detach(),
        }

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        return (
            "It learned the evidence lower bound. Weights of the objective: colour"
            f" {params.lambda_colour:g} (lambda_uniform {params.lambda_uniform:g}), gradient"
            f" {params.lambda_gradient:g}, divergence {params.lambda_divergence:g}."
        )
