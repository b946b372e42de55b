"""The U-Net generator of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004), for L to ab."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from huebands.models.interface import NetworkParams
from huebands.models.parameters import check
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm
from huebands.models.parts.samples_by_dropout import SamplesByDropout
from huebands.models.parts.unet import UNet


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """pix2pix's U-Net."""

    name: Literal["unet"]
    filters: int  # channels after the first halving; doubles inwards up to 8 times that
    depth: int  # number of halvings
    dropout: float  # share dropped in the decoder blocks of full width: the noise z
    norm: Norm

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be in [1, 1024]")
        check(2 <= self.depth <= 10, "depth", self.depth, "be in [2, 10]")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")

    @property
    def multiple(self) -> int:
        """The stride of the innermost map, which has no normalisation and may be one pixel."""
        return int(2**self.depth)


class Network(SamplesByDropout):
    """Map lightness to colour with skip connections at every scale."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        unet = UNet(1, 2, params.filters, params.depth, params.dropout, params.norm)
        self.down, self.inner, self.up = unet.down, unet.inner, unet.up  # the names that packages have
        initialise(self)

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to ab_unit (B, 2, H, W), both in [-1, 1]."""
        output: Tensor = self.up(self.inner(self.down(L_unit_B1HW)))
        return output

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return f"A U-Net generator ({params.filters} filters, depth {params.depth})."
