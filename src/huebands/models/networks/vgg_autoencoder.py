"""The features of VGG16 as the encoder's answer, and a decoder that makes colours of them.

The encoder has learned to classify ImageNet's photos (Simonyan & Zisserman, 2015, https://arxiv.org/abs/1409.1556) and
stays as it is. The decoder gets its coarsest map alone, at stride 16: there are no skip connections.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.parts.normalisation import normalisation

_DOUBLINGS = 3  # from stride 16 to stride 2


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """A decoder on an encoder's coarsest map; `filters` are those of its finest block."""

    name: Literal["vgg_autoencoder"]


class Network(EncoderDecoder):
    """Map lightness to colour at half the resolution, as photos store it, and bring it up bilinearly."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.encoder = Encoder(params.encoder)
        widths = [self.encoder.channels[-1], *(params.filters * 2**level for level in reversed(range(_DOUBLINGS)))]
        layers: list[nn.Module] = [nn.Dropout2d(params.dropout)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), normalisation(params.norm, outputs)]
            layers += [nn.ReLU(), nn.Upsample(scale_factor=2.0, mode="nearest")]
        self.colour = nn.Sequential(*layers, nn.Conv2d(params.filters, 2, 3, padding=1), nn.Tanh())

    @property
    def finest(self) -> int:
        """The coarsest map: the decoder takes no other."""
        return len(self.encoder.channels) - 1

    def forward(self, L_unit_B1SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, S, S), both in [-1, 1]."""
        ab_unit = self.colour(self.encoder(L_unit_B1SS)[-1])
        return F.interpolate(ab_unit, size=L_unit_B1SS.shape[-2:], mode="bilinear", align_corners=False)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A decoder ({params.filters} filters) without skip connections, on the coarsest map of the encoder"
            f" {ORIGINS[params.encoder]}. {describe_encoder(params)}"
        )
