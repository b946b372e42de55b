"""The network that gives, for every pixel and channel, the distribution of the true value."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import Encoder, EncoderName
from huebands.models.parts.decoder import Decoder
from huebands.models.parts.initialisation import initialise

_WIDEST = 8  # times `filters`: the innermost decoder blocks


class DensityNetwork(nn.Module):
    """Map lightness to a histogram over positions for each of R, G and B, at half the resolution.

    The encoder has learned on ImageNet and stays as it is. It has not learned from the training photos, so its features
    of these are like those of new photos.

    Args:
        encoder: its name.
        filters: channels of the finest decoder block; doubled inwards up to 8 times that.
        dropout: share of the encoder's maps, and of those inside every decoder block, dropped while fitting.
        bins: of each histogram.
    """

    def __init__(self, encoder: EncoderName, filters: int, dropout: float, bins: int) -> None:
        super().__init__()
        feature_encoder = Encoder(encoder)
        self.bins, self.dropout = bins, dropout
        self.decoder = Decoder(feature_encoder.channels, filters, _WIDEST, "batch", dropout)
        self.histograms = nn.Conv2d(self.decoder.outputs, 3 * bins, 1)
        initialise(self)  # all but the encoder
        self.encoder = feature_encoder
        self.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to fitting or evaluation; the encoder stays in evaluation."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, L_unit_B1HW: Tensor) -> Tensor:
        """Map L_unit (B, 1, H, W) to log probabilities (B, 3, bins, H/2, W/2)."""
        return self.decode(self.encoder(L_unit_B1HW))

    def decode(self, features: list[Tensor]) -> Tensor:
        """Map the encoder's features to log probabilities (B, 3, bins, H/2, W/2)."""
        x = self.decoder([F.dropout2d(part, self.dropout, self.training) for part in features])
        logits = self.histograms(x).unflatten(1, (3, self.bins))
        return torch.log_softmax(logits, dim=2)
