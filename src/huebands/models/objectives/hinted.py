"""What the network `hinted` learns: colours and bins of photos with hints that are drawn from the truth.

    loss = lambda_huber (Huber(ab) + Huber(spread)) + lambda_classes cross-entropy of the bins

Pixels weigh alike. ab are the colours that follow the hints. spread are the hints' colours on a grey photo, by the same
kernel: so the kernel learns what looks alike also from photos whose colours the network knows by heart.

Source: Zhang et al., 2017, https://arxiv.org/abs/1705.02999: Huber's loss of the colours, and the classification of
their hint network's second branch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_units, lab_to_srgb
from huebands.models.interface import Condition, Learners, ObjectiveParams
from huebands.models.interface import Objective as BaseObjective
from huebands.models.parameters import check
from huebands.models.parts import ab_bins
from huebands.models.parts.losses import clipped_share, huber_loss
from huebands.models.parts.simulated_hints import simulate_hints


@dataclass(frozen=True, kw_only=True)
class Params(ObjectiveParams):
    """How the terms weigh."""

    name: Literal["hinted"]
    lambda_huber: float
    huber_delta: float  # ab_unit
    lambda_classes: float

    def __post_init__(self) -> None:
        for name in ("lambda_huber", "huber_delta"):
            check(getattr(self, name) > 0, name, getattr(self, name), "be above 0")
        check(self.lambda_classes >= 0, "lambda_classes", self.lambda_classes, "not be negative")


class Objective(BaseObjective):
    """Bring colours near the truth, with the help of the hints that a photo happens to get."""

    figures = ("generator", "huber", "spread", "classes", "clipped", "generator_gradient")
    params: Params

    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update the generator once, on hints drawn from torch's global generator."""
        L_unit, hints = condition.L_unit_B1SS, simulate_hints(ab_unit_truth)
        with learners.autocast():
            ab_unit, logits, hinted, shares = learners.generator.parallel(L_unit, hints)
        ab_unit, logits, shares = ab_unit.float(), logits.float(), shares.float()
        follow: Callable[..., Tensor] = learners.generator.network.follow  # type: ignore[assignment]
        followed, spread = (follow(start, hints, hinted, shares) for start in (ab_unit, torch.zeros_like(ab_unit)))
        truth = F.interpolate(ab_unit_truth, ab_unit.shape[-2:], mode="area")
        bins, shares = ab_bins.spread(truth)
        likelihoods = F.log_softmax(logits, dim=1).gather(1, bins)
        terms = {
            "huber": huber_loss(followed, truth, self.params.huber_delta),
            "spread": huber_loss(spread, truth, self.params.huber_delta),
            "classes": -(shares * likelihoods).sum(dim=1).mean(),
        }
        weights = {"huber": self.params.lambda_huber, "spread": self.params.lambda_huber}
        weights["classes"] = self.params.lambda_classes
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        shown = from_units(F.interpolate(L_unit, ab_unit.shape[-2:], mode="area"), followed.detach())
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
            f"It learned Huber's loss of a and b (lambda_huber {params.lambda_huber:g}) and the cross-entropy of"
            f" {ab_bins.BINS} colour bins (lambda_classes {params.lambda_classes:g}) on photos with hints drawn from"
            " their true colours."
        )
