"""The plain convolutional autoencoder of Atienza, Advanced Deep Learning with Keras, 2018, chapter 3, for L to ab.

Strided convolutions make one vector of the whole photo, and transposed ones make colours of the vector. There are no
skip connections. The book's network ends in a sigmoid for RGB; this one ends in tanh for ab.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from huebands.models.interface import Network as BaseNetwork
from huebands.models.interface import NetworkParams
from huebands.models.parameters import check


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """A convolutional autoencoder."""

    name: Literal["autoencoder"]
    filters: int  # channels after the first halving; doubles with each further one
    depth: int  # number of halvings
    latent: int  # length of the vector

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be in [1, 1024]")
        check(1 <= self.depth <= 6, "depth", self.depth, "be in [1, 6]")
        check(1 <= self.latent <= 8192, "latent", self.latent, "be in [1, 8192]")

    @property
    def multiple(self) -> int:
        """The stride of the innermost map."""
        return int(2**self.depth)


class Network(BaseNetwork):
    """Map lightness to colour through one vector."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        channels = [1, *(params.filters * 2**level for level in range(params.depth))]
        side = image_size // params.multiple
        encoder: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            encoder += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(channels[-1] * side**2, params.latent))
        decoder: list[nn.Module] = [nn.Linear(params.latent, channels[-1] * side**2)]
        decoder += [nn.Unflatten(1, (channels[-1], side, side))]
        for inputs, outputs in zip(channels[:0:-1], [*channels[-2:0:-1], params.filters], strict=True):
            decoder += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(params.filters, 2, 3, padding=1), nn.Tanh())

    def forward(self, L_unit_B1SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, S, S), both in [-1, 1]."""
        ab_unit: Tensor = self.decoder(self.encoder(L_unit_B1SS))
        return ab_unit

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A convolutional autoencoder ({params.filters} filters, depth {params.depth}) that carries a photo through"
            f" {params.latent} numbers."
        )
