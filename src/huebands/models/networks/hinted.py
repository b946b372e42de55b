"""A colorizer that takes hints: colours that someone has painted on the photo are further inputs.

A pretrained encoder sees the photo. The decoder, which ends at stride 4, gets the hints beside the encoder's map at
every scale, so that a hint reaches far where the photo is of one kind. One head gives a colour for each place, the
other the probabilities of the bins of the ab plane.

Source: Zhang et al., 2017, https://arxiv.org/abs/1705.02999, whose network sees the hints at the photo's size only.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.interface import Condition
from huebands.models.parameters import check
from huebands.models.parts.ab_bins import BINS, draw
from huebands.models.parts.decoder import Decoder
from huebands.models.parts.simulated_hints import pool_hints

STRIDE = 4  # of the colours
_WIDEST, _DROPPING = 4, 1  # of the decoder
_HINT = 3  # channels


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """A pretrained encoder, and a decoder that gets hints at every scale."""

    name: Literal["hinted"]
    temperature: float  # of the samples' annealed mean

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")


class Network(EncoderDecoder):
    """Map lightness and hints to colours, and to logits of the bins, at `STRIDE`."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.encoder = Encoder(params.encoder)
        channels = [channels + _HINT for channels in self.encoder.channels[STRIDE.bit_length() - 2 :]]
        self.decoder = Decoder(channels, params.filters, _WIDEST, params.norm, params.dropout, _DROPPING)
        inputs = self.decoder.outputs
        self.colour = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, 2, 1))
        self.bins = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, BINS, 1))
        for module in (*self.decoder.modules(), *self.colour.modules(), *self.bins.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Before the training the first head gives grey, and the second makes all bins nearly equally likely.
        for head in (self.colour, self.bins):
            nn.init.normal_(head[-1].get_parameter("weight"), 0.0, 0.01)

    @property
    def takes_hints(self) -> bool:
        """They are its further inputs."""
        return True

    @property
    def gives_samples(self) -> bool:
        """It knows the probabilities of the bins."""
        return True

    @property
    def inputs(self) -> list[tuple[int, ...]]:
        """L_unit and the hints."""
        return [(1, self.image_size, self.image_size), (_HINT, self.image_size, self.image_size)]

    def forward(self, L_unit_B1SS: Tensor, hints_B3SS: Tensor) -> tuple[Tensor, Tensor]:
        """Map L_unit (B, 1, S, S) and hints (B, 3, S, S) to ab_unit (B, 2, s, s) and logits (B, BINS, s, s)."""
        features, side = self.encoder(L_unit_B1SS)[-len(self.decoder) - 1 :], L_unit_B1SS.shape[-1]
        joined = [torch.cat((part, pool_hints(hints_B3SS, side // part.shape[-1])), dim=1) for part in features]
        x = self.decoder(joined)
        return torch.tanh(self.colour(x)), self.bins(x)

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the first head's colours, brought to the photo's size bilinearly: ab_unit (B, 2, S, S)."""
        ab_unit, _ = self.run(condition.L_unit_B1SS, condition.painted)
        return F.interpolate(ab_unit.float(), scale_factor=float(STRIDE), mode="bilinear", align_corners=False)

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw bins, see `ab_bins.draw`; and `Network.samples`."""
        _, logits = self.run(condition.L_unit_B1SS, condition.painted)
        ab_unit = draw(logits, count, self.params.temperature, random)
        upsampled = F.interpolate(ab_unit.flatten(0, 1), scale_factor=float(STRIDE), mode="bilinear")
        samples: Tensor = upsampled.unflatten(0, (count, -1))
        return samples

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A decoder ({params.filters} filters) that gets painted hints at every scale and ends at stride {STRIDE},"
            f" around the encoder {ORIGINS[params.encoder]}, with two heads: a colour for each place, which a photo is"
            f" shown, and the probabilities of {BINS} bins of the ab plane. {describe_encoder(params)}"
        )
