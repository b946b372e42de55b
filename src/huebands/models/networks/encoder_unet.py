"""A U-Net whose encoder has learned on ImageNet: the generator of two-stage training."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.parts.decoder import Decoder
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.samples_by_dropout import SamplesByDropout

_WIDEST = 8  # times `filters`: the innermost decoder blocks
_DROPPING = 2  # innermost decoder blocks with dropout: the noise z


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """A U-Net around a pretrained encoder."""

    name: Literal["encoder_unet"]


class Network(SamplesByDropout, EncoderDecoder):
    """Map lightness to colour at half the resolution, as photos store it, and bring it up bilinearly."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        encoder = Encoder(params.encoder)
        self.decoder = Decoder(encoder.channels, params.filters, _WIDEST, params.norm, params.dropout, _DROPPING)
        self.colour = nn.Conv2d(self.decoder.outputs, 2, 3, padding=1)
        initialise(self)  # all but the encoder
        self.encoder = encoder

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to ab_unit (B, 2, H, W), both in [-1, 1]."""
        ab_unit = torch.tanh(self.colour(self.decoder(self.encoder(L_unit_B1HW))))
        return F.interpolate(ab_unit, scale_factor=2.0, mode="bilinear", align_corners=False)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A U-Net generator ({params.filters} filters) around the encoder {ORIGINS[params.encoder]}."
            f" {describe_encoder(params)}"
        )
