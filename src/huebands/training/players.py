"""The players as parameters ask for them, and how they are kept and taken up again."""

from typing import Any

import torch
from torch import Tensor, nn

from huebands.models.networks.encoder_unet import EncoderUNet
from huebands.models.parts.patchgan import PatchGAN
from huebands.models.parts.vgg import VGG16Features
from huebands.models.registry import build_generator
from huebands.params import EncoderUNetParams, TrainParams
from huebands.training.distributed import ALONE, World, count_whole_batch
from huebands.training.step import Player, Players


def build_players(params: TrainParams, world: World = ALONE) -> Players:
    """Build generator, discriminator and, where its weight is not 0, the perceptual term's VGG16, on the device.

    Raises:
        FetchError, OSError: when weights from ImageNet cannot be had.
    """
    generator = build_generator(params.generator.network())
    if isinstance(generator, EncoderUNet) and isinstance(params.generator, EncoderUNetParams):
        if params.generator.pretrained:
            generator.encoder.load_imagenet()
        if params.generator.encoder_rate == 0:
            generator.freeze_encoder()
    discriminator = PatchGAN(params.discriminator.filters, params.discriminator.layers, params.discriminator.norm)
    broken = torch.zeros((), device=world.device)
    vgg = None
    if params.loss.lambda_perceptual > 0:
        vgg = VGG16Features(params.vgg_weights)
        # Autocast would cast frozen weights at every use.
        vgg.layers.to(torch.bfloat16 if params.precision == "bfloat16" else torch.float32)
        _place(vgg, params, world)
    return Players(_player(generator, params, world, broken), _player(discriminator, params, world, broken), vgg)


def warning_of(params: TrainParams, world: World = ALONE) -> str | None:
    """What to know about this machine before training on it; None when there is nothing."""
    if params.precision == "float32" or _computes_in_bfloat16(world.device):
        return None
    return (
        f"the {world.device.type} does not compute in bfloat16 and only imitates it, slowly; train.precision=float32 is"
        " faster here, and gives somewhat other weights"
    )


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def capture(players: Players) -> dict[str, Any]:
    """Gather weights and optimisers."""
    return {
        f"{name}{part}": state
        for name, player in (("generator", players.generator), ("discriminator", players.discriminator))
        for part, state in (("", player.network.state_dict()), ("_optimizer", player.optimizer.state_dict()))
    }


def restore(players: Players, saved: dict[str, Any]) -> None:
    """Put captured weights and optimisers back."""
    for name, player in (("generator", players.generator), ("discriminator", players.discriminator)):
        player.network.load_state_dict(saved[name])
        player.optimizer.load_state_dict(saved[f"{name}_optimizer"])


def set_learning_rate(players: Players, rate: float) -> None:
    """Set both players' rate."""
    for player in (players.generator, players.discriminator):
        for group in player.optimizer.param_groups:
            group["lr"] = rate * group["share"]


def _player(network: nn.Module, params: TrainParams, world: World, broken: Tensor) -> Player:
    if world.size > 1:
        count_whole_batch(network)
    network = _place(network, params, world)
    settings: dict[str, Any] = {"lr": params.learning_rate, "betas": (params.beta1, 0.999), "fused": True}
    optimizer = torch.optim.Adam(_groups(network, params), **settings)
    optimizer.found_inf = broken  # type: ignore[attr-defined]  # as torch.amp.GradScaler does
    return Player(network, world.wrap(network), optimizer, broken)


def _groups(network: nn.Module, params: TrainParams) -> list[dict[str, Any]]:
    """Split what learns into groups, each with its share of the learning rate; a frozen encoder does not learn."""
    encoder: list[nn.Parameter] = []
    if isinstance(network, EncoderUNet) and isinstance(params.generator, EncoderUNetParams):
        encoder = [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]
    known = {id(parameter) for parameter in encoder}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
    groups = [{"params": rest, "share": 1.0}]
    if encoder:
        assert isinstance(params.generator, EncoderUNetParams)
        groups.append({"params": encoder, "share": params.generator.encoder_rate})
    return groups


def _place(network: nn.Module, params: TrainParams, world: World) -> nn.Module:
    network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if params.compile:
        network.compile()
    return network
