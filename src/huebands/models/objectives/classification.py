"""Classification: the cross-entropy of colour bins, in which rare colours count more.

Most pixels of photos are nearly grey: without weights, nothing vivid would ever be the likeliest. A bin weighs
w ~ ((1 - lambda_uniform) p + lambda_uniform / BINS)^-1, where p is how often the training photos have it, smoothed by a
Gaussian over the ab plane; the mean weight of their pixels is 1.

Source: Zhang, Isola & Efros, 2016, https://arxiv.org/abs/1603.08511, section 2.2.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.parameters import check
from huebands.models.parts import ab_bins
from huebands.models.parts.losses import clipped_share
from huebands.models.parts.weighted_bins import WeighsBins


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """How the bins weigh."""

    name: Literal["classification"]
    lambda_uniform: float  # 1: every pixel weighs alike; near 0: every bin does, however rare

    def __post_init__(self) -> None:
        check(0 < self.lambda_uniform <= 1, "lambda_uniform", self.lambda_uniform, "be in (0, 1]")


class Objective(WeighsBins):
    """Make the truth's bins likely; for networks that give logits of `ab_bins`."""

    figures = ("generator", "accuracy", "clipped", "generator_gradient")
    params: Params

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator on the weighted cross-entropy, a mean over places; "accuracy" counts likeliest bins."""
        L_unit = condition.L_unit_B1SS
        with learners.autocast():
            logits = learners.generator.parallel(L_unit)
        logits = logits.float()
        size = logits.shape[-2:]
        truth = ab_bins.encode(F.interpolate(ab_unit_truth, size, mode="area"))
        likeliest = truth.argmax(dim=1)
        loss = (self.weights_Q[likeliest] * F.cross_entropy(logits, truth, reduction="none")).mean()
        with torch.no_grad():
            shown = from_units(F.interpolate(L_unit, size, mode="area"), ab_bins.annealed_mean(logits, 1.0))
        return {
            "generator": loss.detach(),
            "accuracy": (logits.argmax(dim=1) == likeliest).float().mean(),
            "clipped": clipped_share(lab_to_srgb(shown)),
            "generator_gradient": learners.generator.update(loss).detach(),
        }

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what was learned, for the model card."""
        weighing = "all pixels weighing alike" if params.lambda_uniform == 1 else "rare ones weighing more"
        return (
            f"It learned the cross-entropy of {ab_bins.BINS} colour bins, {weighing} (lambda_uniform"
            f" {params.lambda_uniform:g})."
        )
