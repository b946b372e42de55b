"""A pretrained encoder and a decoder that ends early, with two heads: one colour, and the probabilities of many.

Colour is soft and lightness carries the edges: a quarter of the photo's resolution is enough, and guided upsampling
brings it up. One head gives a colour for each place, the other the probabilities of the bins of the ab plane.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, STRIDES, Encoder, EncoderName, fetch_weights
from huebands.models.interface import Condition, NetworkParams
from huebands.models.interface import Network as BaseNetwork
from huebands.models.parameters import TRAINING_ONLY, check
from huebands.models.parts.ab_bins import BINS, annealed_mean
from huebands.models.parts.decoder import DecoderBlock
from huebands.models.parts.normalisation import Norm

_WIDEST = 4  # times `filters`: the innermost decoder blocks


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """Two heads on a decoder around a pretrained encoder."""

    name: Literal["dual_head"]
    encoder: EncoderName
    filters: int  # channels of the finest decoder block; doubles inwards up to 4 times that
    stride: int  # of the colours: 2, 4 or 8
    dropout: float  # share dropped in the innermost decoder block
    norm: Norm  # of the decoder
    shown: Literal["mean", "annealed"]  # what a photo gets: the first head's colour, or the second's annealed mean
    temperature: float  # of the annealed mean: 1 for the mean colour, near 0 for the likeliest
    pretrained: bool = field(default=True, metadata=TRAINING_ONLY)  # start from ImageNet's weights
    # The encoder's learning rate, as a share of train.learning_rate; 0: it stays as it is.
    encoder_rate: float = field(default=0.1, metadata=TRAINING_ONLY)

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be in [1, 1024]")
        check(self.stride in (2, 4, 8), "stride", self.stride, "be 2, 4 or 8")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")
        check(0 <= self.encoder_rate <= 1, "encoder_rate", self.encoder_rate, "be in [0, 1]")
        learns = self.pretrained or self.encoder_rate > 0
        must = "be above 0 where pretrained is false: the encoder would stay random"
        check(learns, "encoder_rate", self.encoder_rate, must)

    @property
    def multiple(self) -> int:
        """The stride of the encoder's coarsest map."""
        return STRIDES[self.encoder]

    @property
    def smallest(self) -> int:
        """One photo's coarsest map needs more than one pixel to be normalised, where the encoder normalises."""
        return self.multiple if self.encoder == "vgg16" else 2 * self.multiple


class Network(BaseNetwork):
    """Map lightness to colours, and to logits of the bins, at `stride`."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.encoder = Encoder(params.encoder)
        channels, self._finest = self.encoder.channels, params.stride.bit_length() - 2
        blocks: list[nn.Module] = []
        inputs = channels[-1]
        for level in reversed(range(self._finest, len(channels) - 1)):
            outputs = params.filters * min(2 ** (level - self._finest), _WIDEST)
            dropout = 0.0 if blocks else params.dropout
            blocks.append(DecoderBlock(inputs, channels[level], outputs, params.norm, dropout))
            inputs = outputs
        self.decoder = nn.ModuleList(blocks)
        self.colour = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, 2, 1))
        self.bins = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, BINS, 1))
        for module in (*self.decoder.modules(), *self.colour.modules(), *self.bins.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # What is not known yet is grey, or any colour.
        for head in (self.colour, self.bins):
            nn.init.normal_(head[-1].get_parameter("weight"), 0.0, 0.01)

    def load_pretrained(self) -> None:
        """Take over ImageNet's weights, and freeze the encoder where its rate is 0.

        Raises:
            FetchError, OSError: when the weights cannot be had.
        """
        if self.params.pretrained:
            self.encoder.load_imagenet()
        if self.params.encoder_rate == 0:
            self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; the encoder keeps ImageNet's statistics: batches of photos are small."""
        super().train(mode)
        if self.params.pretrained:
            self.encoder.eval()
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The decoder with its heads, and the encoder at its own rate."""
        encoder = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        known = {id(parameter) for parameter in self.encoder.parameters()}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in known]
        groups: list[dict[str, Any]] = [{"params": rest, "share": 1.0}]
        return [*groups, {"params": encoder, "share": self.params.encoder_rate}] if encoder else groups

    def forward(self, L_unit_B1SS: Tensor) -> tuple[Tensor, Tensor]:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, s, s) in [-1, 1] and logits (B, BINS, s, s), s = S / stride."""
        *joined, x = self.encoder(L_unit_B1SS)
        for block in self.decoder:
            x = block(x, joined.pop())
        return torch.tanh(self.colour(x)), self.bins(x)

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give what is shown, brought to the photo's size bilinearly: ab_unit (B, 2, S, S)."""
        ab_unit, logits = self.run(condition.L_unit_B1SS)
        if self.params.shown == "annealed":
            ab_unit = annealed_mean(logits, self.params.temperature)
        return F.interpolate(ab_unit.float(), scale_factor=float(self.params.stride), mode="bilinear")

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        origin = "began with weights learned on ImageNet" if params.pretrained else "began at random"
        rate = params.encoder_rate
        learned = "stayed as it was" if rate == 0 else f"learned on at {rate:g} times the learning rate"
        mean = f"the annealed mean (temperature {params.temperature:g}) of their probabilities"
        shown = "its colour" if params.shown == "mean" else mean
        return (
            f"A decoder ({params.filters} filters) that ends at stride {params.stride}, around the encoder"
            f" {ORIGINS[params.encoder]}, with two heads: a colour for each place, and the probabilities of {BINS} bins"
            f" of the ab plane. The encoder {origin} and {learned}. A photo is shown {shown}."
        )

    @classmethod
    def assets(cls, params: Params) -> Iterator[Path]:
        """Fetch the archive of the encoder's weights, where they are pinned."""
        if params.pretrained and (archive := fetch_weights(params.encoder)) is not None:
            yield archive
