"""Networks, built by name from parameters."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from huebands.models.networks.encoder_unet import EncoderUNet
from huebands.models.networks.unet import UNet


def build_generator(network: Mapping[str, Any]) -> nn.Module:
    """Build a generator that maps L_unit (B, 1, S, S) to ab_unit (B, 2, S, S), both in [-1, 1].

    Args:
        network: the name and the arguments, such as {"name": "unet", "filters": 32, "depth": 6, "dropout": 0.5}.

    Raises:
        ValueError: when no generator has that name.
    """
    generators: dict[str, Callable[..., nn.Module]] = {"unet": UNet, "encoder-unet": EncoderUNet}
    arguments = dict(network)
    name = arguments.pop("name", None)
    if name not in generators:
        raise ValueError(f"network name (={name!r}) must be one of {', '.join(generators)}")
    return generators[name](**arguments)
