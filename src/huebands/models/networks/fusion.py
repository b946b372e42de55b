"""Deep Koalarization: what a classifier says of the whole photo is fused into the map of an encoder that learns.

The encoder's map has S / 8 places on each side. Each of them gets the same features of
the whole photo beside its own, and a convolution of 1 x 1 mixes both. A decoder makes colours of the result.

Source: Baldassarre, Gonzalez Morin & Rodes-Guirao, 2017, https://arxiv.org/abs/1712.03400. Their classifier is
Inception-ResNet-v2; this one is Inception v3, whose weights are pinned, and what it gives are the 2,048 features before
its classes. Normalisation and dropout are added.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, STRIDES, Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.parameters import check
from huebands.models.parts.normalisation import normalisation

_STRIDE = 8  # of the fused map
# Of the encoder's convolutions: width in filters, stride.
_ENCODER = ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 1), (4, 1))


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """An encoder that learns, features of the whole photo, and a decoder; the source has 64 filters."""

    name: Literal["fusion"]
    classifier_size: int  # side of the square in which the classifier (`encoder`) sees the photo, pixels

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = STRIDES[self.encoder]
        fits = self.classifier_size >= 2 * multiple and self.classifier_size % multiple == 0
        check(fits, "classifier_size", self.classifier_size, f"be a multiple of {multiple}, at least {2 * multiple}")

    @property
    def multiple(self) -> int:
        """The stride of the fused map."""
        return _STRIDE

    @property
    def smallest(self) -> int:
        """One photo's fused map needs more than one pixel to be normalised."""
        return 2 * _STRIDE


class Network(EncoderDecoder):
    """Map lightness to colour at half the resolution, and bring it up."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        filters = params.filters
        self.encoder = Encoder(params.encoder, params.classifier_size)
        layers, inputs = list[nn.Module](), 1
        for width, stride in _ENCODER:
            layers += self._block(inputs, width * filters, stride)
            inputs = width * filters
        self.local = nn.Sequential(*layers)
        self.whole = nn.Dropout(params.dropout)
        self.mix = nn.Sequential(*self._block(inputs + self.encoder.channels[-1], 4 * filters, kernel=1))
        doubling = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.colour = nn.Sequential(
            *self._block(4 * filters, 2 * filters),
            doubling,
            *self._block(2 * filters, filters),
            *self._block(filters, filters),
            doubling,
            *self._block(filters, filters // 2),
            nn.Conv2d(filters // 2, 2, 3, padding=1),
            nn.Tanh(),
        )

    def _block(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [convolution, normalisation(self.params.norm, outputs), nn.ReLU()]

    @property
    def finest(self) -> int:
        """The classifier's coarsest map: the features are its means."""
        return len(self.encoder.channels) - 1

    def forward(self, L_unit_B1SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, S, S), both in [-1, 1]."""
        whole_BC11 = self.whole(self.encoder(L_unit_B1SS)[-1].mean(dim=(2, 3), keepdim=True))
        local = self.local(L_unit_B1SS)
        mixed = self.mix(torch.cat((local, whole_BC11.expand(-1, -1, *local.shape[-2:])), dim=1))
        return F.interpolate(self.colour(mixed), size=L_unit_B1SS.shape[-2:], mode="bilinear", align_corners=False)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"An encoder and a decoder ({params.filters} filters); between them, features of the whole photo join the"
            f" map. These come from {ORIGINS[params.encoder]}, which sees the photo at"
            f" {params.classifier_size} x {params.classifier_size} pixels. {describe_encoder(params)}"
        )
