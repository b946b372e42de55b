"""The U-Net generator of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004), for L to ab."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from huebands.models.interface import Network as BaseNetwork
from huebands.models.interface import NetworkParams
from huebands.models.parameters import check
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm, normalisation


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


class UNetBlock(nn.Module):
    """One halving, what lies inside it, one doubling; the input is handed on beside the output."""

    def __init__(self, channels: int, inner_channels: int, inner: nn.Module | None, dropout: float, norm: Norm) -> None:
        super().__init__()
        innermost = inner is None
        self.down = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, inner_channels, 4, stride=2, padding=1, bias=innermost),
            # The innermost map may be 1x1, where normalisation would erase it.
            nn.Identity() if innermost else normalisation(norm, inner_channels),
        )
        self.inner = inner or nn.Identity()
        self.up = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(
                inner_channels if innermost else 2 * inner_channels,
                channels,
                4,
                stride=2,
                padding=1,
                bias=False,
            ),
            normalisation(norm, channels),
            nn.Dropout(dropout),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 2C, H, W): the input and what the block made of it."""
        return torch.cat((x_BCHW, self.up(self.inner(self.down(x_BCHW)))), dim=1)


class Network(BaseNetwork):
    """Map lightness to colour with skip connections at every scale."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        channels = [params.filters * min(2**level, 8) for level in range(params.depth)]
        block: UNetBlock | None = None
        for level in reversed(range(1, params.depth)):
            widest = channels[level - 1] == channels[level]
            dropout = params.dropout if widest else 0.0
            block = UNetBlock(channels[level - 1], channels[level], block, dropout, params.norm)
        assert block is not None, "depth is at least 2"
        self.down = nn.Conv2d(1, params.filters, 4, stride=2, padding=1)
        self.inner = block
        up = nn.ConvTranspose2d(2 * params.filters, 2, 4, stride=2, padding=1)
        self.up = nn.Sequential(nn.ReLU(), up, nn.Tanh())
        initialise(self)

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to ab_unit (B, 2, H, W), both in [-1, 1]."""
        output: Tensor = self.up(self.inner(self.down(L_unit_B1HW)))
        return output

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return f"A U-Net generator ({params.filters} filters, depth {params.depth})."
