"""One training step of the conditional GAN: the discriminator first, then the generator.

G* = arg min_G max_D  L_cGAN(G, D) + lambda_huber Huber_delta(ab)
     + lambda_perceptual sum_l |VGG_l(rgb) - VGG_l(rgb*)| - lambda_chroma E[sqrt(a^2 + b^2 + eps)]

The host only launches: nothing in a step waits for a figure. A loss or gradient that is not finite is noticed on the
device, where it keeps this and all later updates from the weights; the loop finds it in the figures of the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from huebands.color import from_units, lab_to_srgb, to_units
from huebands.models.parts.losses import adversarial_loss, clipped_share, huber_loss, mean_chroma, perceptual_loss
from huebands.params import LossParams, TrainParams
from huebands.training.distributed import ALONE, World

TERMS = ("generator", "discriminator", "adversarial", "huber", "perceptual", "chroma")
FIGURES = (*TERMS, "clipped", "generator_gradient", "discriminator_gradient")


@dataclass(frozen=True)
class Player:
    """A network that learns.

    Attributes:
        network: its weights.
        parallel: the network, as the world computes it; the network itself in one process.
        optimizer: fused Adam; it skips its update where `broken` is 1.
        broken: on the device, 0 or 1, the same tensor for both players.
    """

    network: nn.Module
    parallel: nn.Module
    optimizer: torch.optim.Optimizer
    broken: Tensor


@dataclass(frozen=True)
class Players:
    """The two players, and the frozen features (absent when no term needs them)."""

    generator: Player
    discriminator: Player
    vgg: nn.Module | None


def training_step(
    players: Players,
    lab_B3HW: Tensor,
    params: TrainParams,
    world: World = ALONE,
    *,
    features_truth: Sequence[Tensor] | None = None,
    share: float = 1.0,
    pretraining: bool = False,
) -> dict[str, Tensor]:
    """Update the discriminator, then the generator, on one batch.

    Args:
        players: in training mode.
        lab_B3HW: this process's part of the batch, on its device.
        params: precision and the weights of the terms.
        world: the processes that train together.
        features_truth: VGG16's features of the photos, where they are kept; None computes them.
        share: this process's photos over those of an average process.
        pretraining: the generator alone learns, on Huber's loss.

    Returns:
        `FIGURES` of this process's part, each a detached scalar on the device: the terms, unweighted, 0 where switched
        off; the share of clipped pixels; the norms of the gradients before they are clipped.
    """
    loss = params.loss
    L_unit, ab_unit_truth = to_units(lab_B3HW)
    autocast = torch.autocast(lab_B3HW.device.type, torch.bfloat16, enabled=params.precision == "bfloat16")
    figures = dict.fromkeys(FIGURES, lab_B3HW.new_zeros(()))
    with autocast:
        ab_unit = players.generator.parallel(L_unit).float()
    adversarial = loss.lambda_adversarial > 0 and not pretraining
    if adversarial:
        real, fake = (torch.cat((L_unit, ab), dim=1) for ab in (ab_unit_truth, ab_unit.detach()))
        with autocast:
            figures["discriminator"] = discriminator_loss(
                players.discriminator.parallel, real, fake, params.label_smoothing
            )
        figures["discriminator_gradient"] = _update(
            players.discriminator, figures["discriminator"], share, params.gradient_clip, world
        )
    players.discriminator.network.requires_grad_(False)
    with autocast:
        figures |= generator_figures(players, loss, L_unit, ab_unit, ab_unit_truth, features_truth, pretraining)
    figures["generator_gradient"] = _update(players.generator, figures["generator"], share, params.gradient_clip, world)
    players.discriminator.network.requires_grad_(True)
    return {name: figure.detach() for name, figure in figures.items()}


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Half the sum of the losses on real and made-up photos: the half slows D down, as in pix2pix."""
    losses = (
        adversarial_loss(discriminator(fake).float(), smoothing),
        adversarial_loss(discriminator(real).float(), 1 - smoothing),
    )
    return (losses[0] + losses[1]) / 2


def generator_figures(
    players: Players,
    loss: LossParams,
    L_unit: Tensor,
    ab_unit: Tensor,
    ab_unit_truth: Tensor,
    features_truth: Sequence[Tensor] | None,
    pretraining: bool,
) -> dict[str, Tensor]:
    """The generator's terms that are switched on, their weighted sum as "generator", and the clipped share."""
    terms = {}
    with torch.autocast(L_unit.device.type, enabled=False):
        rgb = lab_to_srgb(from_units(L_unit, ab_unit))
    if loss.lambda_adversarial > 0 and not pretraining:
        logits = players.discriminator.network(torch.cat((L_unit, ab_unit), dim=1)).float()
        terms["adversarial"] = adversarial_loss(logits, 1.0)
    if loss.lambda_huber > 0:
        terms["huber"] = huber_loss(ab_unit, ab_unit_truth, loss.huber_delta)
    if players.vgg is not None and not pretraining:
        if features_truth is None:
            features_truth = real_features(players.vgg, L_unit, ab_unit_truth)
        # Clamped, because VGG16's ImageNet photos never left [0, 1].
        features = [feature.float() for feature in players.vgg(rgb.clamp(0, 1))]
        terms["perceptual"] = perceptual_loss(features, features_truth)
    if loss.lambda_chroma > 0 and not pretraining:
        terms["chroma"] = mean_chroma(ab_unit, loss.chroma_epsilon)
    weights = {
        "adversarial": loss.lambda_adversarial,
        "huber": loss.lambda_huber,
        "perceptual": loss.lambda_perceptual,
        "chroma": -loss.lambda_chroma,
    }
    objective = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return {**terms, "generator": objective, "clipped": clipped_share(rgb)}


@torch.no_grad()
def real_features(vgg: nn.Module, L_unit: Tensor, ab_unit_truth: Tensor) -> list[Tensor]:
    """VGG16's features of the true colours, float32."""
    with torch.autocast(L_unit.device.type, enabled=False):
        rgb = lab_to_srgb(from_units(L_unit, ab_unit_truth)).clamp(0, 1)
    return [feature.float() for feature in vgg(rgb)]


def _update(player: Player, loss: Tensor, share: float, clip: float, world: World) -> Tensor:
    """Descend, unless something is not finite, here or in another process; returns the gradient's norm."""
    player.optimizer.zero_grad(set_to_none=True)
    (loss * share).backward()
    parameters = [parameter for parameter in player.network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    finite = torch.isfinite(loss.detach()) & torch.isfinite(norm)
    player.broken.copy_(world.maximum(torch.maximum(player.broken, 1 - finite.float())))
    if clip > 0:
        nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    player.optimizer.step()
    return norm
