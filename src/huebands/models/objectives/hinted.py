"""What the network `hinted` learns: colours and bins of photos with hints that are drawn from the truth.

    loss = lambda_huber (Huber(ab) + Huber(spread)) + lambda_classes cross-entropy of the bins

Pixels weigh alike. ab are the colours that follow the hints. spread are the hints' colours on a grey photo, by the same
kernel: so the kernel learns what looks alike also from photos whose colours the network has memorised.

Hints are given as a person might. Most photos get few: their number has a geometric distribution from 0 on, with a mean
of 7, so an eighth of the photos gets none. A hint is a square of up to 1/28 of the photo's side, more often near the
middle than at the edges, and shows the mean colour of what it covers.

Source: Zhang et al., 2017, https://arxiv.org/abs/1705.02999: Huber's loss of the colours, the classification of their
hint network's second branch, and the hints of section 3.2; there the number begins at 1, and some photos get all of
their colours.
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
from huebands.models.networks.hinted import STRIDE, Network
from huebands.models.parameters import check
from huebands.models.parts import ab_bins
from huebands.models.parts.losses import clipped_share, huber_loss

_CHANCE_OF_NO_MORE = 1 / 8
_MOST = 64  # hints of one photo
_LARGEST = 1 / 28  # side of a hint's square, of the photo's
_SPREAD = 1 / 4  # deviation of a hint's place from the middle, of the photo's side


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
        starts = (ab_unit, torch.zeros_like(ab_unit))
        followed, spread = (Network.follow(start, hints, hinted, shares) for start in starts)
        truth = F.avg_pool2d(ab_unit_truth, STRIDE)
        bins, probabilities = ab_bins.spread(truth)
        likelihoods = F.log_softmax(logits, dim=1).gather(1, bins)
        terms = {
            "huber": huber_loss(followed, truth, self.params.huber_delta),
            "spread": huber_loss(spread, truth, self.params.huber_delta),
            "classes": -(probabilities * likelihoods).sum(dim=1).mean(),
        }
        loss = self.params.lambda_huber * (terms["huber"] + terms["spread"])
        loss = loss + self.params.lambda_classes * terms["classes"]
        shown = from_units(F.avg_pool2d(L_unit, STRIDE), followed.detach())
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


def simulate_hints(ab_unit_B2SS: Tensor, random: torch.Generator | None = None) -> Tensor:
    """Draw hints.

    Args:
        ab_unit_B2SS: true colours.
        random: on the CPU; None: torch's global generator.

    Returns:
        As `Condition.hints_B3SS`: (B, 3, S, S), on the colours' device.
    """
    side = ab_unit_B2SS.shape[-1]
    largest = max(1, round(_LARGEST * side))
    hints = F.pad(torch.zeros_like(ab_unit_B2SS), (0, 0, 0, 0, 0, 1))
    uniform_B = torch.rand(len(ab_unit_B2SS), generator=random).clamp_min(1e-12)
    numbers = (uniform_B.log() / math.log(1 - _CHANCE_OF_NO_MORE)).floor().clamp_max(_MOST).int().tolist()
    for hints_3SS, ab_unit_2SS, number in zip(hints, ab_unit_B2SS, numbers, strict=True):
        sizes = torch.randint(1, largest + 1, (number,), generator=random)
        middles = side * (0.5 + _SPREAD * torch.randn(number, 2, generator=random))
        corners = (middles - sizes[:, None] / 2).round().long().clamp_min(0)
        corners = torch.minimum(corners, side - sizes[:, None])
        for size, (top, left) in zip(sizes.tolist(), corners.tolist(), strict=True):
            square = (..., slice(top, top + size), slice(left, left + size))
            hints_3SS[:2][square] = ab_unit_2SS[square].mean(dim=(1, 2), keepdim=True)
            hints_3SS[2][square[1:]] = 1
    return hints
