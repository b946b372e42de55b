"""The decoder of the networks around a pretrained encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.parts.dropout import Dropout
from huebands.models.parts.normalisation import Norm, normalisation


class DecoderBlock(nn.Module):
    """Double the map, join the encoder's at that scale, and mix both."""

    def __init__(self, inputs: int, joined: int, outputs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(inputs + joined, outputs, 3, padding=1, bias=False),
            normalisation(norm, outputs),
            nn.ReLU(),
            Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            normalisation(norm, outputs),
            nn.ReLU(),
        )

    def forward(self, x_BCHW: Tensor, joined_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) and the encoder's (B, C', 2H, 2W) to (B, C'', 2H, 2W)."""
        doubled = F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        output: Tensor = self.mix(torch.cat((doubled, joined_BCHW), dim=1))
        return output


class Decoder(nn.ModuleList):
    """Double an encoder's coarsest map until it has the size of its finest one, and join the maps between.

    Args:
        channels: of the encoder's maps, the finest that is joined first.
        filters: channels of the finest block; doubled inwards up to `widest` times that.
        widest: a power of 2.
        norm: of the blocks.
        dropout: share dropped in the innermost blocks.
        dropping: how many blocks that are; by default all.

    Attributes:
        outputs: channels of the finest block.
    """

    def __init__(
        self,
        channels: Sequence[int],
        filters: int,
        widest: int,
        norm: Norm,
        dropout: float,
        dropping: int | None = None,
    ) -> None:
        blocks: list[nn.Module] = []
        inputs = channels[-1]
        for level in reversed(range(len(channels) - 1)):
            outputs = filters * min(2**level, widest)
            dropped = dropout if dropping is None or len(blocks) < dropping else 0.0
            blocks.append(DecoderBlock(inputs, channels[level], outputs, norm, dropped))
            inputs = outputs
        super().__init__(blocks)
        self.outputs = inputs

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map all of the encoder's maps, the finest first, to (B, outputs, H, W) of the finest that is joined."""
        *joined, x = features
        for block in self:
            x = block(x, joined.pop())
        return x
