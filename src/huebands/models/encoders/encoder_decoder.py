"""What networks of a pretrained encoder and a decoder share: parameters, ImageNet's weights, and the encoder's rate."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from huebands.models.encoders.encoder import STRIDES, Encoder, EncoderName, fetch_weights
from huebands.models.interface import Network, NetworkParams
from huebands.models.parameters import TRAINING_ONLY, check
from huebands.models.parts.decoder import Decoder
from huebands.models.parts.normalisation import Norm


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderParams(NetworkParams):
    """A pretrained encoder and a decoder."""

    encoder: EncoderName
    filters: int  # channels of the finest decoder block; doubles inwards
    dropout: float  # share dropped in the innermost decoder blocks
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


class EncoderDecoder(Network):
    """A network with a pretrained encoder, which learns at a rate of its own or not at all.

    Where `decoder` is another one than `Decoder`, the network overrides `finest`.
    """

    params: EncoderDecoderParams
    encoder: Encoder
    decoder: Decoder

    def build(self, stride: int, widest: int, dropping: int, joined: int = 0) -> None:
        """Build the encoder, and a decoder that ends at a stride.

        Args:
            stride: of the decoder's map: 2, 4 or 8.
            widest: times `filters`: the innermost decoder blocks.
            dropping: how many of these drop.
            joined: further channels of each of the encoder's maps.
        """
        self.encoder = Encoder(self.params.encoder)
        finest = stride.bit_length() - 2  # of the encoder's maps, which begin at stride 2
        channels = [channels + joined for channels in self.encoder.channels[finest:]]
        params = self.params
        self.decoder = Decoder(channels, params.filters, widest, params.norm, params.dropout, dropping)

    def load_pretrained(self) -> None:
        """Load ImageNet's weights, and freeze the encoder where its rate is 0.

        Raises:
            FetchError, OSError: when the weights cannot be fetched.
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

    @property
    def encoder_is_frozen(self) -> bool:
        """Whether it gives the same maps from the first step to the last."""
        return self.params.pretrained and self.params.encoder_rate == 0

    @property
    def finest(self) -> int:
        """Place of the finest map that the decoder joins among the encoder's."""
        return len(self.encoder.channels) - 1 - len(self.decoder)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All but the encoder, and the encoder at its own rate."""
        encoder = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        encoder_ids = {id(parameter) for parameter in self.encoder.parameters()}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in encoder_ids]
        groups: list[dict[str, Any]] = [{"params": rest, "share": 1.0}]
        return [*groups, {"params": encoder, "share": self.params.encoder_rate}] if encoder else groups

    @classmethod
    def judged_by_inception(cls, params: EncoderDecoderParams) -> bool:
        """Not where the encoder is Inception v3."""
        return params.encoder != "inception-v3"

    @classmethod
    def assets(cls, params: EncoderDecoderParams) -> Iterator[Path]:
        """Fetch the archive of the encoder's weights, where they are pinned."""
        if params.pretrained and (archive := fetch_weights(params.encoder)) is not None:
            yield archive


def describe_encoder(params: EncoderDecoderParams) -> str:
    """Say how the encoder learned, in a sentence for the model card."""
    origin = "began with weights learned on ImageNet" if params.pretrained else "began at random"
    rate = params.encoder_rate
    learned = "stayed as it was" if rate == 0 else f"learned on at {rate:g} times the learning rate"
    return f"The encoder {origin} and {learned}."
