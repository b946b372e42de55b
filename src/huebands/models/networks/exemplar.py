"""Colours from a reference photo, without training: by statistics, and by correspondence of pretrained features.

Statistics: lightness of both photos is standardised by its mean and deviation, and each place gets the mean colour of
the reference's places of like lightness. Correspondence: features of a pretrained encoder are compared between all
places of both photos, and each place gets the mean colour of the reference's places, weighted by softmax(similarity /
temperature). Where its best similarity is low, the colours of the statistics take its place. Without a reference, all
stays grey.

Sources: Reinhard et al., 2001, Color transfer between images; Welsh et al., 2002, who match lightness for photos
without colour; He et al., 2018, https://arxiv.org/abs/1807.06587, whose networks for similarity and for colours are
trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS, STRIDES, Encoder, EncoderName, fetch_weights
from huebands.models.interface import Condition, NetworkParams
from huebands.models.interface import Network as BaseNetwork
from huebands.models.parameters import check
from huebands.models.parts.enlarge import enlarge

STRIDE = 4  # of the places that are compared
_MAPS = slice(1, 4)  # of the encoder's: those at the strides 4, 8 and 16
_LEVELS = 33  # of standardised lightness, from -3 to 3
_SMOOTH = 0.2  # deviation of the Gaussian over standardised lightness


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """How a photo takes its colours from a reference."""

    name: Literal["exemplar"]
    encoder: EncoderName
    method: Literal["statistics", "correspondence"]
    temperature: float  # of the correspondence, in units of the cosine
    doubted: float  # the best cosine of a place at and below which statistics alone give its colour; 1 is trusted fully

    def __post_init__(self) -> None:
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")
        check(-1 <= self.doubted < 1, "doubted", self.doubted, "be in [-1, 1)")

    @property
    def multiple(self) -> int:
        """The stride of the encoder's coarsest map."""
        return STRIDES[self.encoder]


class Network(BaseNetwork):
    """Map lightness and a reference to colour."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.encoder = Encoder(params.encoder)
        self.requires_grad_(False).eval()

    @property
    def takes_exemplar(self) -> bool:
        """It is all that it knows of colour."""
        return True

    def load_pretrained(self) -> None:
        """Load ImageNet's weights.

        Raises:
            FetchError, OSError: when the weights cannot be fetched.
        """
        self.encoder.load_imagenet()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation: nothing learns."""
        return super().train(False)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group without weights."""
        return [{"params": [], "share": 1.0}]

    @property
    def inputs(self) -> list[tuple[int, ...]]:
        """L_unit and the reference."""
        return [(1, self.image_size, self.image_size), (3, self.image_size, self.image_size)]

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the reference's colours: ab_unit (B, 2, S, S); grey without a reference."""
        L_unit, exemplar = condition.L_unit_B1SS, condition.exemplar_B3SS
        if exemplar is None:
            return torch.zeros_like(L_unit).repeat(1, 2, 1, 1)
        (ab_unit,) = self.run(L_unit, exemplar)
        return enlarge(ab_unit, STRIDE)

    def forward(self, L_unit_B1SS: Tensor, exemplar_B3SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) and a reference's L_unit and ab_unit (B, 3, S, S) to ab_unit (B, 2, s, s)."""
        L_unit, exemplar = F.avg_pool2d(L_unit_B1SS, STRIDE), F.avg_pool2d(exemplar_B3SS, STRIDE)
        by_lightness = match_lightness(L_unit, exemplar)
        if self.params.method == "statistics":
            return by_lightness
        photo, reference = (_described(self.encoder(x)[_MAPS], L_unit) for x in (L_unit_B1SS, exemplar_B3SS[:, :1]))
        similarity_BNM = photo.flatten(2).transpose(1, 2) @ reference.flatten(2)
        weights_BNM = torch.softmax(similarity_BNM / self.params.temperature, dim=2)
        matched = (exemplar[:, 1:].flatten(2) @ weights_BNM.transpose(1, 2)).unflatten(2, L_unit.shape[-2:])
        best = similarity_BNM.amax(dim=2).unflatten(1, L_unit.shape[-2:])[:, None]
        trust = ((best - self.params.doubted) / (1 - self.params.doubted)).clamp(0, 1)
        ab_unit: Tensor = by_lightness + trust * (matched - by_lightness)
        return ab_unit

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        how = "by statistics of lightness"
        if params.method == "correspondence":
            how = f"by correspondence of features of {ORIGINS[params.encoder]}, and by statistics where they differ"
        return f"A photo takes its colours from a reference photo, {how}. Without a reference a photo stays grey."

    @classmethod
    def judged_by_inception(cls, params: Params) -> bool:
        """Not where the encoder is Inception v3."""
        return params.encoder != "inception-v3"

    @classmethod
    def assets(cls, params: Params) -> Iterator[Path]:
        """Fetch the archive of the encoder's weights, where they are pinned."""
        if (archive := fetch_weights(params.encoder)) is not None:
            yield archive


def match_lightness(L_unit_B1HW: Tensor, exemplar_B3HW: Tensor) -> Tensor:
    """Give each place the mean ab_unit of the reference's places of like standardised lightness: (B, 2, H, W)."""
    levels_K = torch.linspace(-3, 3, _LEVELS, device=L_unit_B1HW.device)
    photo, reference = (_standardised(x).flatten(2) for x in (L_unit_B1HW, exemplar_B3HW[:, :1]))
    # The mean colour at each level, then at each place between its two nearest levels.
    near_BKM = torch.exp(-(levels_K[:, None] - reference).square() / (2 * _SMOOTH**2)) + 1e-6
    colours_B2K = exemplar_B3HW[:, 1:].flatten(2) @ near_BKM.transpose(1, 2) / near_BKM.sum(dim=2)[:, None]
    hat_BKN = (1 - (levels_K[:, None] - photo).abs() * ((_LEVELS - 1) / 6)).clamp_min(0)
    ab_unit: Tensor = (colours_B2K @ hat_BKN).unflatten(2, L_unit_B1HW.shape[-2:])
    return ab_unit


def _standardised(L_unit_B1HW: Tensor) -> Tensor:
    centred = L_unit_B1HW - L_unit_B1HW.mean(dim=(2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return (centred / (deviation + 1e-3)).clamp(-3, 3)


def _described(maps: list[Tensor], like: Tensor) -> Tensor:
    """Features of each place (B, C, h, w) of length 1; each map counts alike."""
    parts = [F.interpolate(part, size=like.shape[-2:], mode="bilinear", align_corners=False) for part in maps]
    unit = nn.functional.normalize
    return unit(torch.cat([unit(part - part.mean(dim=(2, 3), keepdim=True), dim=1) for part in parts], dim=1), dim=1)
