"""What a discriminator and a generator learn from each other, by the logits of real and of made-up colours.

"hinge" is the loss of Lim & Ye, 2017, https://arxiv.org/abs/1705.02894. "relativistic" is the relativistic average
hinge loss of Jolicoeur-Martineau, 2018, https://arxiv.org/abs/1807.00734: a logit counts by how far it is above the
mean logit of the other kind. Several processes average over their own parts of a batch.
"""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from huebands.models.parts.spectral_patchgan import hinge_loss

AdversarialLoss = Literal["hinge", "relativistic"]
CHANCE = 2.0  # the discriminator's loss, by either formula, while it tells nothing apart


def discriminator_loss(kind: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """The loss that the discriminator descends on, a scalar of at least 0; real and fake are logits of any shape."""
    return hinge_loss(*_margins(kind, real, fake))


def generator_loss(kind: AdversarialLoss, real: Tensor | None, fake: Tensor) -> Tensor:
    """The loss that the generator descends on, a scalar.

    Args:
        kind: of the loss.
        real: logits, which "relativistic" needs.
        fake: logits, with their gradient.

    Raises:
        ValueError: when "relativistic" gets no logits of real colours.
    """
    if kind == "hinge":
        return -fake.mean()
    if real is None:
        raise ValueError("real (=None) must be logits of real colours for the relativistic loss")
    margin_real, margin_fake = _margins(kind, real, fake)
    return hinge_loss(margin_fake, margin_real)


def accuracy(kind: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """The share of logits on the right side of 0, in [0, 1]: the mean of both kinds' shares."""
    margin_real, margin_fake = _margins(kind, real.detach(), fake.detach())
    return ((margin_real > 0).float().mean() + (margin_fake < 0).float().mean()) / 2


def feature_loss(features: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Feature matching (Wang et al., 2018, https://arxiv.org/abs/1711.11585): mean absolute difference, over maps."""
    differences = [F.l1_loss(feature, target) for feature, target in zip(features, truth, strict=True)]
    return sum(differences[1:], differences[0]) / len(differences)


def _margins(kind: AdversarialLoss, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return (real, fake) if kind == "hinge" else (real - fake.mean(), fake - real.mean())
