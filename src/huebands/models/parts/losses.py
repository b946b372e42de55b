"""The terms of the generator's and the discriminator's objectives.

Colours are ab_unit (B, 2, H, W) in [-1, 1]; every term is a mean, so its weight does not depend on the size.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def adversarial_loss(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy of the patches' logits (Goodfellow et al., 2014).

    Args:
        logits: any shape.
        target: 1 for real, 0 for made up.
    """
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def huber_loss(ab_unit: Tensor, truth: Tensor, delta: float) -> Tensor:
    """Huber's loss (1964): quadratic below `delta`, linear above."""
    return F.huber_loss(ab_unit, truth, delta=delta)


def perceptual_loss(features: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Sum over the layers of the mean absolute difference of features (Johnson et al., 2016)."""
    return torch.stack([F.l1_loss(feature, target) for feature, target in zip(features, truth, strict=True)]).sum()


def mean_chroma(ab_unit: Tensor, epsilon: float) -> Tensor:
    """Mean chroma E[sqrt(a^2 + b^2 + epsilon)]; epsilon keeps the gradient finite at grey."""
    return (ab_unit.square().sum(dim=1) + epsilon).sqrt().mean()


@torch.no_grad()
def clipped_share(rgb: Tensor) -> Tensor:
    """Share of the pixels of sRGB (B, 3, H, W) that leave [0, 1] by more than half an 8-bit level."""
    return ((rgb < -0.5 / 255) | (rgb > 1 + 0.5 / 255)).any(dim=1).float().mean()
