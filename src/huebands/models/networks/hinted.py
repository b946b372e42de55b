"""A colorizer that takes hints: colours that someone has painted on the photo are further inputs.

A pretrained encoder sees the photo. The decoder, which ends at stride 4, gets the hints beside the encoder's map at
every scale. One head gives a colour for each place, the other the probabilities of the bins of the ab plane.

A network memorises the colours of some hundred photos, and no longer looks at hints. So what the hints add to its
colours is computed, by regression over places: each place takes the hints' differences from the network's colours,
weighted by how alike the places are in learned features and how near, and by nothing where no hint is alike.

Source: Zhang et al., 2017, https://arxiv.org/abs/1705.02999, whose network sees the hints at the photo's size only; the
regression is that of Nadaraya, 1964, and Watson, 1964, with a learned kernel and a prior that nothing differs.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.interface import Condition
from huebands.models.parameters import check
from huebands.models.parts.ab_bins import BINS, draw
from huebands.models.parts.enlarge import enlarge
from huebands.models.parts.heads import build_heads, initialise_heads

STRIDE = 4  # of the colours
_WIDEST, _DROPPING = 4, 1  # of the decoder
_HINT = 3  # channels
_ALIKE = 16  # numbers by which places are compared
_MOST = 256  # hinted places that the regression uses; a quarter of those of a square of 128 pixels


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """A pretrained encoder, and a decoder that gets hints at every scale."""

    name: Literal["hinted"]
    temperature: float  # of the samples' annealed mean

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")


class Network(EncoderDecoder):
    """Map lightness and hints to colours, and to logits of the bins, at `STRIDE`."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.build(STRIDE, _WIDEST, _DROPPING, _HINT)
        inputs = self.decoder.outputs
        self.colour, self.bins = build_heads(inputs)
        self.alike = nn.Conv2d(inputs, _ALIKE, 1)
        # Of the kernel: what likeness and distance (in sides of the photo) weigh, and the weight of the prior, as logs.
        self.log_kernel_3 = nn.Parameter(torch.tensor([1.5, 2.5, -2.0]))
        initialise_heads(self.colour, self.bins, self.decoder, self.alike)

    @property
    def takes_hints(self) -> bool:
        """They are its further inputs."""
        return True

    @property
    def gives_samples(self) -> bool:
        """It knows the probabilities of the bins."""
        return True

    @property
    def inputs(self) -> list[tuple[int, ...]]:
        """L_unit and the hints."""
        return [(1, self.image_size, self.image_size), (_HINT, self.image_size, self.image_size)]

    def forward(self, L_unit_B1SS: Tensor, hints_B3SS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Look at a photo with its hints.

        Args:
            L_unit_B1SS: lightness.
            hints_B3SS: as `Condition.hints_B3SS`.

        Returns:
            The first head's ab_unit (B, 2, s, s), before the regression; logits (B, BINS, s, s); the numbers (B, K) of
            hinted places, and of others where there are fewer; and the share (B, s^2, K) of each one's difference that
            each place takes, 0 of places without a hint.
        """
        features, side = self.encoder(L_unit_B1SS)[-len(self.decoder) - 1 :], L_unit_B1SS.shape[-1]
        joined = [torch.cat((part, pool_hints(hints_B3SS, side // part.shape[-1])), dim=1) for part in features]
        x = self.decoder(joined)
        mask_BN = pool_hints(hints_B3SS, STRIDE)[:, 2].flatten(1)
        mask_BK, hinted_BK = mask_BN.topk(min(_MOST, mask_BN.shape[1]), dim=1)
        return torch.tanh(self.colour(x)), self.bins(x), hinted_BK, self._shares(self.alike(x), mask_BK, hinted_BK)

    def _shares(self, alike_BEss: Tensor, mask_BK: Tensor, hinted_BK: Tensor) -> Tensor:
        """The regression's weights, (B, N, K): rows add up to less than 1, and to 0 where there are no hints."""
        likeness, nearness, prior = self.log_kernel_3.exp()
        place = torch.arange(alike_BEss.shape[-1], device=mask_BK.device) / alike_BEss.shape[-1]
        places_N2 = torch.stack(torch.meshgrid(place, place, indexing="ij"), dim=-1).flatten(0, 1)
        unit_BNE = F.normalize(alike_BEss.flatten(2), dim=1).transpose(1, 2)
        cosine_BNK = unit_BNE @ _at(unit_BNE, hinted_BK).transpose(1, 2)
        squared_BNK = (places_N2[:, None] - places_N2[hinted_BK][:, None]).square().sum(dim=3)
        weights_BNK = torch.exp(likeness * (cosine_BNK - 1) - nearness * squared_BNK) * mask_BK[:, None]
        shares_BNK: Tensor = weights_BNK / (weights_BNK.sum(dim=2, keepdim=True) + prior)
        return shares_BNK

    @staticmethod
    def follow(ab_unit_B2ss: Tensor, hints_B3SS: Tensor, hinted_BK: Tensor, shares_BNK: Tensor) -> Tensor:
        """Bring colours to the hints: ab_unit (B, 2, s, s).

        Args:
            ab_unit_B2ss: without the regression.
            hints_B3SS: as `Condition.hints_B3SS`.
            hinted_BK: as `forward` gives them.
            shares_BNK: likewise.
        """
        difference_BN2 = (pool_hints(hints_B3SS, STRIDE)[:, :2] - ab_unit_B2ss).flatten(2).transpose(1, 2)
        change_BN2 = shares_BNK @ _at(difference_BN2, hinted_BK)
        change = change_BN2.transpose(1, 2).unflatten(2, ab_unit_B2ss.shape[-2:])
        ab_unit: Tensor = (ab_unit_B2ss + change).clamp(-1, 1)
        return ab_unit

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the first head's colours as they follow the hints, enlarged bilinearly: ab_unit (B, 2, S, S)."""
        hints = condition.painted
        ab_unit, _, hinted, shares = self.run(condition.L_unit_B1SS, hints)
        return enlarge(self.follow(ab_unit.float(), hints, hinted, shares), STRIDE)

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw bins, see `ab_bins.draw`, and let each colouring follow the hints; see `Network.samples`."""
        hints = condition.painted
        _, logits, hinted, shares = self.run(condition.L_unit_B1SS, hints)
        drawn = draw(logits, count, self.params.temperature, random)
        return enlarge(torch.stack([self.follow(ab_unit, hints, hinted, shares) for ab_unit in drawn]), STRIDE)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A decoder ({params.filters} filters) that gets painted hints at every scale and ends at stride {STRIDE},"
            f" around the encoder {ORIGINS[params.encoder]}, with two heads: a colour for each place, which a photo is"
            f" shown, and the probabilities of {BINS} bins of the ab plane. A regression over places with a learned"
            f" kernel lets the colours follow the hints. {describe_encoder(params)}"
        )


def _at(values_BNC: Tensor, places_BK: Tensor) -> Tensor:
    """The values at places, (B, K, C)."""
    return values_BNC.gather(1, places_BK.long()[..., None].expand(-1, -1, values_BNC.shape[2]))


def pool_hints(hints_B3SS: Tensor, stride: int) -> Tensor:
    """Give every place of a coarser map the mean colour of the hints on it and 1, or zeros: (B, 3, S / n, S / n)."""
    sums = F.avg_pool2d(hints_B3SS, stride) * stride**2
    count = sums[:, 2:]
    return torch.cat((sums[:, :2] / count.clamp_min(1), count.clamp_max(1)), dim=1)
