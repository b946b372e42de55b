"""The U-Net of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004)."""

import torch
from torch import Tensor, nn

from huebands.models.parts.dropout import Dropout
from huebands.models.parts.normalisation import Norm, normalisation


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
            Dropout(dropout),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 2C, H, W): the input and what the block made of it."""
        return torch.cat((x_BCHW, self.up(self.inner(self.down(x_BCHW)))), dim=1)


class UNet(nn.Module):
    """Map (B, inputs, H, W) to (B, outputs, H, W) in [-1, 1], with skip connections at every scale.

    Args:
        inputs: channels.
        outputs: channels.
        filters: channels after the first halving; doubles inwards up to 8 times that.
        depth: number of halvings, at least 2.
        dropout: share dropped in the decoder blocks of full width.
        norm: "batch" or "instance".
    """

    def __init__(self, inputs: int, outputs: int, filters: int, depth: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        channels = [filters * min(2**level, 8) for level in range(depth)]
        block: UNetBlock | None = None
        for level in reversed(range(1, depth)):
            widest = channels[level - 1] == channels[level]
            block = UNetBlock(channels[level - 1], channels[level], block, dropout if widest else 0.0, norm)
        assert block is not None, "depth is at least 2"
        self.down = nn.Conv2d(inputs, filters, 4, stride=2, padding=1)
        self.inner = block
        up = nn.ConvTranspose2d(2 * filters, outputs, 4, stride=2, padding=1)
        self.up = nn.Sequential(nn.ReLU(), up, nn.Tanh())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W), in [-1, 1]."""
        output: Tensor = self.up(self.inner(self.down(x_BCHW)))
        return output
