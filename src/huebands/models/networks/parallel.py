"""Two generators side by side, one for what stands in the foreground and one for the background, and a fusion network.

Both see the whole photo. What counts as foreground is a mask of saliency: how far a place's lightness is from that of
the whole photo, more in the middle than at the edges. The fusion network gets lightness, mask and both colourings.

Source: Kumar, Banerjee, Saurav & Singh, 2022, ParaColorizer, https://arxiv.org/abs/2208.08295; saliency by lightness is
that of Achanta et al., 2009, Frequency-tuned salient region detection.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.interface import Condition, NetworkParams
from huebands.models.interface import Network as BaseNetwork
from huebands.models.parameters import check
from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm
from huebands.models.parts.unet import UNet

_BLUR = 5  # places: noise and fine texture are averaged before lightness is compared
_SHARPNESS = 3.0  # of the mask, in deviations of the photo's own saliency
_MIDDLE = 0.5  # of the photo's half side: the deviation of the Gaussian that favours the middle


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """Two U-Nets and a fusion network."""

    name: Literal["parallel"]
    filters: int  # of each U-Net: channels after the first halving
    depth: int  # of each U-Net: number of halvings
    dropout: float  # of each U-Net: share dropped in the decoder blocks of full width
    norm: Norm
    fusion_filters: int  # channels of each of the fusion network's maps

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be in [1, 1024]")
        check(2 <= self.depth <= 10, "depth", self.depth, "be in [2, 10]")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
        check(1 <= self.fusion_filters <= 256, "fusion_filters", self.fusion_filters, "be in [1, 256]")

    @property
    def multiple(self) -> int:
        """The stride of the innermost maps."""
        return int(2**self.depth)


class Fusion(nn.Module):
    """Densely connected convolutions, as in DenseFuse (Li & Wu, 2019, https://arxiv.org/abs/1804.08361).

    What they give is added to the colours that the mask alone would choose.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        widths = (6, 6 + filters, 6 + 2 * filters)
        self.layers = nn.ModuleList(nn.Conv2d(width, filters, 3, padding=1) for width in widths)
        self.colour = nn.Conv2d(6 + 3 * filters, 2, 3, padding=1)

    def forward(self, L_unit: Tensor, mask: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
        """Map L_unit, the mask (B, 1, S, S) and two colourings (B, 2, S, S) to ab_unit (B, 2, S, S)."""
        x = torch.cat((L_unit, mask, foreground, background), dim=1)
        for layer in self.layers:
            x = torch.cat((x, F.relu(layer(x))), dim=1)
        chosen = mask * foreground + (1 - mask) * background
        ab_unit: Tensor = (chosen + self.colour(x)).clamp(-1, 1)
        return ab_unit


class Network(BaseNetwork):
    """Map lightness to the fused colours, and to what they were fused from."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        unet = (1, 2, params.filters, params.depth, params.dropout, params.norm)
        self.foreground, self.background = UNet(*unet), UNet(*unet)
        self.fusion = Fusion(params.fusion_filters)
        initialise(self)

    def forward(self, L_unit_B1SS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map L_unit (B, 1, S, S) to fused ab_unit, both generators' ab_unit (B, 2, S, S), and the mask."""
        mask = saliency(L_unit_B1SS)
        foreground, background = self.foreground(L_unit_B1SS), self.background(L_unit_B1SS)
        return self.fusion(L_unit_B1SS, mask, foreground, background), foreground, background, mask

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the fused colours: ab_unit (B, 2, S, S)."""
        return self.run(condition.L_unit_B1SS)[0]

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"Two U-Net generators ({params.filters} filters, depth {params.depth} each), for foreground and"
            " background as saliency by lightness tells them apart, and a fusion network"
            f" ({params.fusion_filters} filters)."
        )


def saliency(L_unit_B1SS: Tensor) -> Tensor:
    """How likely each place of a photo is to be foreground, (B, 1, S, S) in [0, 1]; 0.5 where a photo is flat."""
    side = L_unit_B1SS.shape[-1]
    smooth = F.avg_pool2d(L_unit_B1SS, _BLUR, 1, _BLUR // 2, count_include_pad=False)
    difference = (smooth - L_unit_B1SS.mean(dim=(2, 3), keepdim=True)).abs()
    place_S = torch.linspace(-1, 1, side, device=L_unit_B1SS.device)
    bell_S = torch.exp(-place_S.square() / (2 * _MIDDLE**2))
    salient = difference * bell_S[:, None] * bell_S
    centred = salient - salient.mean(dim=(2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return torch.sigmoid(_SHARPNESS * centred / (deviation + 1e-4))
