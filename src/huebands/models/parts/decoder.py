"""The decoder block that U-Nets around a pretrained encoder are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.parts.normalisation import Norm, normalisation


class DecoderBlock(nn.Module):
    """Double the map, join the encoder's at that scale, and mix both."""

    def __init__(self, inputs: int, joined: int, outputs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(inputs + joined, outputs, 3, padding=1, bias=False),
            normalisation(norm, outputs),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            normalisation(norm, outputs),
            nn.ReLU(),
        )

    def forward(self, x_BCHW: Tensor, joined_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) and the encoder's (B, C', 2H, 2W) to (B, C'', 2H, 2W)."""
        doubled = F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        output: Tensor = self.mix(torch.cat((doubled, joined_BCHW), dim=1))
        return output
