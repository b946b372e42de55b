"""One training step of the conditional GAN: the discriminator first, then the generator.

G* = arg min_G max_D  L_cGAN(G, D) + lambda_huber Huber_delta(ab)
     + lambda_perceptual sum_l |VGG_l(rgb) - VGG_l(rgb*)| - lambda_chroma E[sqrt(a^2 + b^2 + eps)]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb, to_units
from huebands.params import LossParams, TrainParams
from huebands.training.losses import adversarial_loss, huber_loss, mean_chroma, perceptual_loss

TERMS = ("generator", "discriminator", "adversarial", "huber", "perceptual", "chroma")


class NonFiniteLossError(RuntimeError):
    """A loss is no longer a finite number; the weights were not touched by it."""

    def __init__(self, step: int, terms: Sequence[str], ids: Sequence[str]) -> None:
        super().__init__(
            f"step {step}: {', '.join(terms)} not finite, on photos {', '.join(ids)}; weights and checkpoint are as "
            "they were before; lower train.learning_rate or the term's weight and delete the checkpoint to start anew"
        )
        self.step, self.terms, self.ids = step, tuple(terms), tuple(ids)


@dataclass(frozen=True)
class Networks:
    """What is trained, and the frozen features (absent when no term needs them)."""

    generator: nn.Module
    discriminator: nn.Module
    vgg: nn.Module | None


@dataclass(frozen=True)
class Optimizers:
    """Adam for each of the two players."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer


def training_step(
    networks: Networks,
    optimizers: Optimizers,
    lab_B3HW: Tensor,
    ids: Sequence[str],
    params: TrainParams,
    step: int,
) -> dict[str, Tensor]:
    """Update the discriminator, then the generator, on one batch.

    Args:
        networks: in training mode.
        optimizers: of the two players.
        lab_B3HW: a batch of photos.
        ids: the photos' ids, for the error.
        params: precision and the weights of the terms.
        step: counted from 1, for the error.

    Returns:
        The terms of `TERMS`, each a detached scalar, unweighted; a term that is switched off is 0.

    Raises:
        NonFiniteLossError: before the update that a loss would have spoilt.
    """
    loss = params.loss
    L_unit, ab_unit_truth = to_units(lab_B3HW)
    autocast = torch.autocast(lab_B3HW.device.type, torch.bfloat16, enabled=params.precision == "bfloat16")
    terms = dict.fromkeys(TERMS, lab_B3HW.new_zeros(()))
    with autocast:
        ab_unit = networks.generator(L_unit).float()
    if loss.lambda_adversarial > 0:
        real, fake = (torch.cat((L_unit, ab), dim=1) for ab in (ab_unit_truth, ab_unit.detach()))
        with autocast:
            terms["discriminator"] = discriminator_loss(networks.discriminator, real, fake)
        _check_finite(terms, step, ids)
        _update(optimizers.discriminator, terms["discriminator"])
    networks.discriminator.requires_grad_(False)
    with autocast:
        terms |= generator_terms(networks, loss, L_unit, ab_unit, ab_unit_truth)
    _check_finite(terms, step, ids)
    _update(optimizers.generator, terms["generator"])
    networks.discriminator.requires_grad_(True)
    return {name: term.detach() for name, term in terms.items()}


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Half the sum of the losses on real and made-up photos: the half slows D down, as in pix2pix."""
    losses = (
        adversarial_loss(discriminator(fake).float(), real=False),
        adversarial_loss(discriminator(real).float(), real=True),
    )
    return (losses[0] + losses[1]) / 2


def generator_terms(
    networks: Networks, loss: LossParams, L_unit: Tensor, ab_unit: Tensor, ab_unit_truth: Tensor
) -> dict[str, Tensor]:
    """The generator's terms that are switched on, and under "generator" their weighted sum."""
    terms = {}
    if loss.lambda_adversarial > 0:
        logits = networks.discriminator(torch.cat((L_unit, ab_unit), dim=1)).float()
        terms["adversarial"] = adversarial_loss(logits, real=True)
    if loss.lambda_huber > 0:
        terms["huber"] = huber_loss(ab_unit, ab_unit_truth, loss.huber_delta)
    if networks.vgg is not None:
        with torch.no_grad():
            features_truth = [feature.float() for feature in networks.vgg(_rgb(L_unit, ab_unit_truth))]
        features = [feature.float() for feature in networks.vgg(_rgb(L_unit, ab_unit))]
        terms["perceptual"] = perceptual_loss(features, features_truth)
    if loss.lambda_chroma > 0:
        terms["chroma"] = mean_chroma(ab_unit, loss.chroma_epsilon)
    weights = {
        "adversarial": loss.lambda_adversarial,
        "huber": loss.lambda_huber,
        "perceptual": loss.lambda_perceptual,
        "chroma": -loss.lambda_chroma,
    }
    terms["generator"] = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return terms


def _rgb(L_unit: Tensor, ab_unit: Tensor) -> Tensor:
    """What VGG16 gets to see. Clamped, because its ImageNet photos never left [0, 1]."""
    with torch.autocast(L_unit.device.type, enabled=False):
        return lab_to_srgb(from_units(L_unit, ab_unit)).clamp(0, 1)


def _check_finite(terms: dict[str, Tensor], step: int, ids: Sequence[str]) -> None:
    if not bool(torch.isfinite(torch.stack(list(terms.values()))).all()):
        raise NonFiniteLossError(step, [name for name, term in terms.items() if not torch.isfinite(term)], ids)


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
