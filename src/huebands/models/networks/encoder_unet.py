"""A U-Net whose encoder has learned on ImageNet: the generator of two-stage training."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, STRIDES, Encoder, EncoderName, fetch_weights
from huebands.models.interface import Network as BaseNetwork
from huebands.models.interface import NetworkParams
from huebands.models.parameters import TRAINING_ONLY, check
from huebands.models.parts.decoder import DecoderBlock
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """A U-Net around a pretrained encoder."""

    name: Literal["encoder_unet"]
    encoder: EncoderName
    filters: int  # channels of the finest decoder block; doubles inwards up to 8 times that
    dropout: float  # share dropped in the two innermost decoder blocks: the noise z
    norm: Norm  # of the decoder
    pretrained: bool = field(default=True, metadata=TRAINING_ONLY)  # start from ImageNet's weights
    # The encoder's learning rate, as a share of train.learning_rate; 0: it stays as it is.
    encoder_rate: float = field(default=0.0, metadata=TRAINING_ONLY)

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be in [1, 1024]")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
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
    """Map lightness to colour at half the resolution, as photos store it, and bring it up bilinearly."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        seen = Encoder(params.encoder)
        blocks: list[nn.Module] = []
        inputs = seen.channels[-1]
        for level in reversed(range(len(seen.channels) - 1)):
            outputs = params.filters * min(2**level, 8)
            dropout = params.dropout if len(blocks) < 2 else 0.0
            blocks.append(DecoderBlock(inputs, seen.channels[level], outputs, params.norm, dropout))
            inputs = outputs
        self.decoder = nn.ModuleList(blocks)
        self.colour = nn.Conv2d(inputs, 2, 3, padding=1)
        initialise(self)
        self.encoder = seen

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
        """Switch to training or evaluation; a frozen encoder stays in evaluation, its statistics as they are."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The decoder, and the encoder at its own rate."""
        encoder = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        known = {id(parameter) for parameter in encoder}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        groups: list[dict[str, Any]] = [{"params": rest, "share": 1.0}]
        return [*groups, {"params": encoder, "share": self.params.encoder_rate}] if encoder else groups

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to ab_unit (B, 2, H, W), both in [-1, 1]."""
        *joined, x = self.encoder(L_unit_B1HW)
        for block in self.decoder:
            x = block(x, joined.pop())
        ab_unit = torch.tanh(self.colour(x))
        return F.interpolate(ab_unit, scale_factor=2.0, mode="bilinear", align_corners=False)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        origin = "began with weights learned on ImageNet" if params.pretrained else "began at random"
        rate = params.encoder_rate
        learned = "stayed as it was" if rate == 0 else f"learned on at {rate:g} times the learning rate"
        return (
            f"A U-Net generator ({params.filters} filters) around the encoder {ORIGINS[params.encoder]}. The encoder"
            f" {origin} and {learned}."
        )

    @classmethod
    def assets(cls, params: Params) -> Iterator[Path]:
        """Fetch the archive of the encoder's weights, where they are pinned."""
        if params.pretrained and (archive := fetch_weights(params.encoder)) is not None:
            yield archive
