"""The networks that give, for samples of a photo, the distribution of the true colour."""

from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import Encoder, EncoderName
from huebands.models.parts.decoder import Decoder
from huebands.models.parts.initialisation import initialise


class DensityNetwork(nn.Module):
    """Map lightness to a joint histogram of the colour (`density.joint`), at a quarter of the resolution.

    The encoder has learned on ImageNet and stays as it is. It has not learned from the training photos, so its features
    of these are like those of new photos.

    Args:
        encoder: its name.
        filters: channels of the finest decoder block; doubled inwards.
        dropout: share of the encoder's maps, and of those inside every decoder block, dropped while fitting.
        bins: of each side of the histogram.
    """

    stride: ClassVar[int] = 4
    _widest: ClassVar[int] = 4  # times `filters`: the innermost decoder blocks

    def __init__(self, encoder: EncoderName, filters: int, dropout: float, bins: int) -> None:
        super().__init__()
        feature_encoder = Encoder(encoder)
        self.bins, self.dropout = bins, dropout
        self._finest = self.stride.bit_length() - 2  # of the encoder's maps, which begin at stride 2
        channels = feature_encoder.channels[self._finest :]
        self.decoder = Decoder(channels, filters, self._widest, "batch", dropout)
        self.histograms = self._head(self.decoder.outputs)
        initialise(self)  # all but the encoder
        self.encoder = feature_encoder
        self.encoder.requires_grad_(False)

    def _head(self, inputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, self.bins * self.bins, 1)
        )

    def train(self, mode: bool = True) -> Self:
        """Switch to fitting or evaluation; the encoder stays in evaluation."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to what `decode` gives."""
        return self.decode(self.encoder(L_unit_B1HW))

    def decode(self, features: list[Tensor]) -> Tensor:
        """Map the encoder's features to log probabilities of the cells, (B, bins^2, H/4, W/4)."""
        return torch.log_softmax(self._logits(features), dim=1)

    def _logits(self, features: list[Tensor]) -> Tensor:
        finest = features[-len(self.decoder) - 1 :]
        logits: Tensor = self.histograms(
            self.decoder([F.dropout2d(part, self.dropout, self.training) for part in finest])
        )
        return logits


class ChannelDensityNetwork(DensityNetwork):
    """Map lightness to a histogram over positions for each of R, G and B, at half the resolution.

    Packages of format 1 have it; none is fitted any more.
    """

    stride = 2
    _widest = 8

    def _head(self, inputs: int) -> nn.Module:
        return nn.Conv2d(inputs, 3 * self.bins, 1)

    def decode(self, features: list[Tensor]) -> Tensor:
        """Map the encoder's features to log probabilities (B, 3, bins, H/2, W/2)."""
        return torch.log_softmax(self._logits(features).unflatten(1, (3, self.bins)), dim=2)
