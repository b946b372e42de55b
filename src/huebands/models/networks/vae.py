"""A conditional variational autoencoder: one photo, many colourings, each of them a point of a small latent space.

A pretrained encoder and a decoder make a map of the photo's lightness. The latent z says which of the colourings that
suit this map is meant. The prior p(z | L) is a mixture of Gaussians, a mixture density network of the photo's features;
q(z | ab, L), which training needs, sees the true colours.

Source: Deshpande et al., 2017, https://arxiv.org/abs/1612.01958, whose autoencoder and mixture density network learn
one after the other; here they learn together, as in Sohn, Lee & Yan, 2015, Learning Structured Output Representation.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.interface import Condition
from huebands.models.parameters import check
from huebands.models.parts.enlarge import enlarge
from huebands.models.parts.normalisation import normalisation

STRIDE = 4  # of the colours
_WIDEST, _DROPPING = 4, 1  # of the decoder
_HIDDEN = 256  # units of the prior's layer
_LAYOUT = 4  # places on each side of the map that z becomes
_LOG_DEVIATION = (-5.0, 2.0)  # least and largest, of prior and posterior


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """A conditional variational autoencoder."""

    name: Literal["vae"]
    latent: int  # length of z
    components: int  # of the prior's mixture
    averaged: int  # samples whose mean a photo is shown; 1: the colouring of the likeliest component

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.latent <= 1024, "latent", self.latent, "be in [1, 1024]")
        check(1 <= self.components <= 64, "components", self.components, "be in [1, 64]")
        check(1 <= self.averaged <= 64, "averaged", self.averaged, "be in [1, 64]")


class Mixture(NamedTuple):
    """Gaussians with diagonal covariance, of B photos."""

    logits_BK: Tensor
    mean_BKZ: Tensor
    log_deviation_BKZ: Tensor

    def log_density(self, z_BZ: Tensor) -> Tensor:
        """Log p(z), nats, (B,)."""
        components_BK = log_normal(z_BZ[:, None], self.mean_BKZ, self.log_deviation_BKZ)
        return torch.logsumexp(torch.log_softmax(self.logits_BK, dim=1) + components_BK, dim=1)

    def draw(self, gumbel_BK: Tensor, normal_BZ: Tensor) -> Tensor:
        """Give the point (B, Z) that this noise stands for; noise of zeros gives the likeliest component's mean."""
        scores_BK = self.logits_BK + gumbel_BK
        chosen_BK1 = (scores_BK == scores_BK.amax(dim=1, keepdim=True)).to(scores_BK.dtype)[..., None]
        mean_BZ, log_deviation_BZ = (
            (chosen_BK1 * values).sum(dim=1) / chosen_BK1.sum(dim=1)
            for values in (self.mean_BKZ, self.log_deviation_BKZ)
        )
        return mean_BZ + log_deviation_BZ.exp() * normal_BZ


class Evidence(NamedTuple):
    """What training needs, for one z a photo that the posterior has drawn.

    Attributes:
        ab_unit: (B, 2, s, s), s = S / STRIDE.
        divergence_B: log q(z | ab, L) - log p(z | L), nats: its mean is the Kullback-Leibler divergence.
    """

    ab_unit: Tensor
    divergence_B: Tensor


class Network(EncoderDecoder):
    """Map lightness to a distribution of colourings."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.build(STRIDE, _WIDEST, _DROPPING)
        width, latent = self.decoder.outputs, params.latent
        numbers = params.components * (2 * latent + 1)
        self.prior = nn.Sequential(
            nn.Linear(self.encoder.channels[-1], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, numbers)
        )
        self.posterior = _Posterior(width, latent, params)
        self.layout = nn.Sequential(
            nn.Linear(latent, width * _LAYOUT**2), nn.ReLU(), nn.Unflatten(1, (width, _LAYOUT, _LAYOUT))
        )
        self.colour = nn.Sequential(
            *(nn.Conv2d(2 * width, width, 3, padding=1, bias=False), normalisation(params.norm, width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), normalisation(params.norm, width), nn.ReLU()),
            nn.Conv2d(width, 2, 1),
        )

    @property
    def gives_samples(self) -> bool:
        """It knows a distribution of z."""
        return True

    def forward(self, L_unit_B1SS: Tensor, ab_unit_B2ss: Tensor) -> Evidence:
        """Draw z from the posterior of true colours at `STRIDE`, and colour with it; see `Evidence`."""
        features = self.encoder(L_unit_B1SS)
        x, prior = self.decoder(features), self._prior(features)
        mean_BZ, log_deviation_BZ = self.posterior(x, ab_unit_B2ss)
        z_BZ = mean_BZ + log_deviation_BZ.exp() * torch.randn_like(mean_BZ)
        divergence_B = log_normal(z_BZ, mean_BZ, log_deviation_BZ) - prior.log_density(z_BZ)
        return Evidence(self._colour(x, z_BZ), divergence_B)

    def draw(self, L_unit_B1SS: Tensor, noise_BN: Tensor) -> Tensor:
        """Colour with the z that K + Z numbers of noise stand for: ab_unit (B, 2, s, s); see `Mixture.draw`."""
        features, components = self.encoder(L_unit_B1SS), self.params.components
        z_BZ = self._prior(features).draw(noise_BN[:, :components], noise_BN[:, components:])
        return self._colour(self.decoder(features), z_BZ)

    def _prior(self, features: list[Tensor]) -> Mixture:
        components, latent = self.params.components, self.params.latent
        numbers = self.prior(features[-1].mean(dim=(2, 3))).float()
        logits_BK, gaussians = numbers[:, :components], numbers[:, components:].unflatten(1, (components, 2 * latent))
        mean_BKZ, log_deviation_BKZ = gaussians.chunk(2, dim=2)
        return Mixture(logits_BK, mean_BKZ, log_deviation_BKZ.clamp(*_LOG_DEVIATION))

    def _colour(self, x_BCss: Tensor, z_BZ: Tensor) -> Tensor:
        layout = F.interpolate(self.layout(z_BZ), size=x_BCss.shape[-2:], mode="bilinear", align_corners=False)
        return torch.tanh(self.colour(torch.cat((x_BCss, layout), dim=1)))

    @property
    def inputs(self) -> list[tuple[int, ...]]:
        """L_unit, and the noise that `draw` takes."""
        return [(1, self.image_size, self.image_size), (self.params.components + self.params.latent,)]

    def core(self) -> nn.Module:
        """All that `draw` does."""
        return _Drawing(self)

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the mean of `averaged` samples, or the likeliest component's colouring: ab_unit (B, 2, S, S)."""
        L_unit = condition.L_unit_B1SS
        if self.params.averaged > 1:
            return self.samples(condition, self.params.averaged, random).mean(dim=0)
        return self._drawn(L_unit, L_unit.new_zeros(len(L_unit), *self.inputs[1]))

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw z from the prior, for each sample anew; see `Network.samples`."""
        L_unit, components = condition.L_unit_B1SS.repeat(count, 1, 1, 1), self.params.components
        noise_BN = torch.randn(len(L_unit), *self.inputs[1], generator=random, device=random.device)
        uniform_BK = torch.rand(len(L_unit), components, generator=random, device=random.device)
        noise_BN[:, :components] = -(-uniform_BK.clamp_min(1e-30).log()).log()  # Gumbel's distribution
        samples: Tensor = self._drawn(L_unit, noise_BN.to(L_unit.device)).unflatten(0, (count, -1))
        return samples

    def _drawn(self, L_unit_B1SS: Tensor, noise_BN: Tensor) -> Tensor:
        (ab_unit,) = self.run(L_unit_B1SS, noise_BN)
        return enlarge(ab_unit, STRIDE)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        likeliest = "the colouring of the prior's likeliest component"
        shown = likeliest if params.averaged == 1 else f"the mean of {params.averaged} samples"
        return (
            f"A conditional variational autoencoder: {params.latent} latent numbers, whose prior is a mixture of"
            f" {params.components} Gaussians, choose between the colourings of a photo. It has a decoder"
            f" ({params.filters} filters) that ends at stride {STRIDE}, around the encoder {ORIGINS[params.encoder]}."
            f" {describe_encoder(params)} A photo is shown {shown}."
        )


class _Posterior(nn.Module):
    """Mean and log deviation of q(z | ab, L), (B, Z) each, of the decoder's map and the true colours."""

    def __init__(self, width: int, latent: int, params: Params) -> None:
        super().__init__()
        layers, inputs = list[nn.Module](), width + 2
        for level in range(3):
            outputs = params.filters * 2 ** min(level, 1)
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_LAYOUT), nn.Flatten())
        self.numbers = nn.Linear(inputs * _LAYOUT**2, 2 * latent)

    def forward(self, x_BCss: Tensor, ab_unit_B2ss: Tensor) -> tuple[Tensor, Tensor]:
        numbers = self.numbers(self.layers(torch.cat((x_BCss, ab_unit_B2ss), dim=1))).float()
        mean_BZ, log_deviation_BZ = numbers.chunk(2, dim=1)
        return mean_BZ, log_deviation_BZ.clamp(*_LOG_DEVIATION)


class _Drawing(nn.Module):
    """`Network.draw` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, L_unit_B1SS: Tensor, noise_BN: Tensor) -> Tensor:
        return self.network.draw(L_unit_B1SS, noise_BN)


def log_normal(z: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Log density of Gaussians with diagonal covariance, nats: (..., Z) to (...)."""
    squared = ((z - mean) / log_deviation.exp()).square()
    return -(squared / 2 + log_deviation + math.log(2 * math.pi) / 2).sum(dim=-1)
