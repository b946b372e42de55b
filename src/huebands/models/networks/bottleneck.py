"""An encoder and a decoder without skip connections: all that a photo's colours depend on passes a narrow map.

Strided convolutions halve the map `depth` times, and transposed ones double it as often.

Source: the generator of DCGAN (Radford et al., 2016, https://arxiv.org/abs/1511.06434) behind the encoder that its
discriminator is.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from huebands.models.interface import Network as BaseNetwork
from huebands.models.interface import NetworkParams
from huebands.models.parameters import check
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm, normalisation


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """An encoder and a decoder without skip connections."""

    name: Literal["bottleneck"]
    filters: int  # channels after the first halving; doubles with each further one
    depth: int  # number of halvings
    norm: Norm

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 256, "filters", self.filters, "be in [1, 256]")
        check(2 <= self.depth <= 6, "depth", self.depth, "be in [2, 6]")

    @property
    def multiple(self) -> int:
        """The stride of the innermost map."""
        return int(2**self.depth)

    @property
    def smallest(self) -> int:
        """One photo's innermost map needs more than one pixel to be normalised."""
        return 2 * self.multiple


class Network(BaseNetwork):
    """Map lightness to colour through a narrow map."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        channels = [1, *(params.filters * 2**level for level in range(params.depth))]
        encoder, decoder = list[nn.Module](), list[nn.Module]()
        for inputs, outputs in pairwise(channels):
            encoder += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
            encoder += [normalisation(params.norm, outputs), nn.LeakyReLU(0.2)]
        for inputs, outputs in pairwise(channels[:0:-1]):
            decoder += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
            decoder += [normalisation(params.norm, outputs), nn.ReLU()]
        last = nn.ConvTranspose2d(params.filters, 2, 4, stride=2, padding=1)
        self.layers = nn.Sequential(*encoder, *decoder, last, nn.Tanh())
        initialise(self)

    def forward(self, L_unit_B1SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) to ab_unit (B, 2, S, S), both in [-1, 1]."""
        ab_unit: Tensor = self.layers(L_unit_B1SS)
        return ab_unit

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return f"An encoder and a decoder without skip connections ({params.filters} filters, depth {params.depth})."
