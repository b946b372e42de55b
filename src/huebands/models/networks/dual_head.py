"""A pretrained encoder and a decoder that ends early, with two heads: one colour, and the probabilities of many.

Colour changes slowly, and its edges are those of lightness: a quarter of the photo's resolution is enough, and guided
upsampling brings the colours to the photo's size. One head gives a colour for each place, the other the probabilities
of the bins of the ab plane.
"""

from dataclasses import dataclass, field
from typing import Literal, Self

import torch
from torch import Tensor

from huebands.models.encoders.encoder import ORIGINS
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.interface import Condition
from huebands.models.parameters import TRAINING_ONLY, check
from huebands.models.parts.ab_bins import BINS, annealed_mean, draw
from huebands.models.parts.enlarge import enlarge
from huebands.models.parts.heads import build_heads, initialise_heads

_WIDEST = 4  # times `filters`: the innermost decoder blocks
_DROPPING = 1  # innermost decoder block with dropout


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """Two heads on a decoder around a pretrained encoder."""

    name: Literal["dual_head"]
    stride: int  # of the colours: 2, 4 or 8
    shown: Literal["mean", "annealed"]  # what a photo gets: the first head's colour, or the second's annealed mean
    temperature: float  # of the annealed mean: 1 for the mean colour, near 0 for the likeliest
    # The encoder's learning rate, as a share of train.learning_rate; 0: it stays as it is.
    encoder_rate: float = field(default=0.1, metadata=TRAINING_ONLY)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.stride in (2, 4, 8), "stride", self.stride, "be 2, 4 or 8")
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")


class Network(EncoderDecoder):
    """Map lightness to colours, and to logits of the bins, at `stride`."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.build(params.stride, _WIDEST, _DROPPING)
        self.colour, self.bins = build_heads(self.decoder.outputs)
        initialise_heads(self.colour, self.bins, self.decoder)

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; the encoder keeps ImageNet's statistics: batches of photos are small."""
        super().train(mode)
        if self.params.pretrained:
            self.encoder.eval()
        return self

    def forward(self, L_unit_B1SS: Tensor) -> tuple[Tensor, Tensor]:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, s, s) in [-1, 1] and logits (B, BINS, s, s), s = S / stride."""
        x = self.decoder(self.encoder(L_unit_B1SS))
        return torch.tanh(self.colour(x)), self.bins(x)

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give what is shown, brought to the photo's size bilinearly: ab_unit (B, 2, S, S)."""
        ab_unit, logits = self.run(condition.L_unit_B1SS)
        if self.params.shown == "annealed":
            ab_unit = annealed_mean(logits, self.params.temperature)
        return enlarge(ab_unit, self.params.stride)

    @property
    def gives_samples(self) -> bool:
        """It knows the probabilities of the bins."""
        return True

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw bins, see `ab_bins.draw`; and `Network.samples`."""
        _, logits = self.run(condition.L_unit_B1SS)
        return enlarge(draw(logits, count, self.params.temperature, random), self.params.stride)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        mean = f"the annealed mean (temperature {params.temperature:g}) of their probabilities"
        shown = "its colour" if params.shown == "mean" else mean
        return (
            f"A decoder ({params.filters} filters) that ends at stride {params.stride}, around the encoder"
            f" {ORIGINS[params.encoder]}, with two heads: a colour for each place, and the probabilities of {BINS} bins"
            f" of the ab plane. {describe_encoder(params)} A photo is shown {shown}."
        )
