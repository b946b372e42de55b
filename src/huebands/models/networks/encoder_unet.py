"""A U-Net whose encoder has learned on ImageNet: the generator of two-stage training."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import Encoder, EncoderName
from huebands.models.parts.initialisation import initialise
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


class EncoderUNet(nn.Module):
    """Map lightness to colour at half the resolution, as photos store it, and bring it up bilinearly.

    Args:
        encoder: its name.
        filters: channels of the finest decoder block; doubled inwards up to 8 times that.
        dropout: share dropped in the two innermost decoder blocks while training: the noise z.
        norm: of the decoder; the encoder keeps its own.
    """

    def __init__(self, encoder: EncoderName, filters: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        seen = Encoder(encoder)
        blocks: list[nn.Module] = []
        inputs = seen.channels[-1]
        for level in reversed(range(len(seen.channels) - 1)):
            outputs = filters * min(2**level, 8)
            deep = len(blocks) < 2
            blocks.append(DecoderBlock(inputs, seen.channels[level], outputs, norm, dropout if deep else 0.0))
            inputs = outputs
        self.decoder = nn.ModuleList(blocks)
        self.colour = nn.Conv2d(inputs, 2, 3, padding=1)
        initialise(self)
        self.encoder = seen

    def freeze_encoder(self) -> None:
        """Keep the encoder as it is: its weights, and its normalisation's statistics."""
        self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; a frozen encoder stays in evaluation."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to ab_unit (B, 2, H, W), both in [-1, 1]."""
        *joined, x = self.encoder(L_unit_B1HW)
        for block in self.decoder:
            x = block(x, joined.pop())
        ab_unit = torch.tanh(self.colour(x))
        return F.interpolate(ab_unit, scale_factor=2.0, mode="bilinear", align_corners=False)
