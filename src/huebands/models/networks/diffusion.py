"""Diffusion: colours are what is left of noise after a few steps, each guided by the photo's lightness.

A pretrained encoder and a decoder make a map of the photo once. A small U-Net sees it with the noisy colours, at a
quarter of the photo's resolution, and estimates v = alpha noise - sigma ab (Salimans & Ho, 2022,
https://arxiv.org/abs/2202.00512), from which both noise and colours follow. Sampling takes `steps` steps of DDIM (Song
et al., 2021, https://arxiv.org/abs/2010.02502): from one noise comes one colouring.

Source: Ho, Jain & Abbeel, 2020, https://arxiv.org/abs/2006.11239; colorization as conditional diffusion is that of
Saharia et al., 2022, Palette, https://arxiv.org/abs/2111.05826.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from huebands.models.encoders.encoder import ORIGINS
from huebands.models.encoders.encoder_decoder import EncoderDecoder, EncoderDecoderParams, describe_encoder
from huebands.models.interface import Condition
from huebands.models.parameters import check
from huebands.models.parts.enlarge import enlarge

STRIDE = 4  # of the colours
DEVIATION = 0.15  # of a and b of photos, ab_unit: colours are diffused in units of it
_WIDEST, _DROPPING = 4, 1  # of the decoder
_FREQUENCIES = 16  # of the sines and cosines of time
_GROUPS = 8  # of the group normalisation


@dataclass(frozen=True, kw_only=True)
class Params(EncoderDecoderParams):
    """Diffusion of colours."""

    name: Literal["diffusion"]
    channels: int  # of the denoiser's finest maps; a multiple of 8
    steps: int  # of DDIM
    averaged: int  # samples whose mean a photo is shown; 1: one sample

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 8 <= self.channels <= 512 and self.channels % _GROUPS == 0
        check(fits, "channels", self.channels, f"be a multiple of {_GROUPS} in [8, 512]")
        check(1 <= self.steps <= 1000, "steps", self.steps, "be in [1, 1000]")
        check(1 <= self.averaged <= 64, "averaged", self.averaged, "be in [1, 64]")


class Network(EncoderDecoder):
    """Map lightness to a distribution of colourings."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        self.build(STRIDE, _WIDEST, _DROPPING)
        self.denoiser = Denoiser(self.decoder.outputs, params.channels)

    @property
    def gives_samples(self) -> bool:
        """Other noise gives another colouring."""
        return True

    def forward(self, L_unit_B1SS: Tensor, noisy_NB2ss: Tensor, time_NB: Tensor) -> Tensor:
        """Estimate v of N noisy colourings of each photo, as `Denoiser` does, from one look at the photo."""
        x = self.decoder(self.encoder(L_unit_B1SS))
        count = len(noisy_NB2ss)
        v = self.denoiser(x.repeat(count, 1, 1, 1), noisy_NB2ss.flatten(0, 1), time_NB.flatten())
        by_colouring: Tensor = v.unflatten(0, (count, -1))
        return by_colouring

    def denoise(self, L_unit_B1SS: Tensor, noise_B2ss: Tensor) -> Tensor:
        """Take `steps` steps of DDIM from noise to colours: ab_unit (B, 2, s, s), s = S / STRIDE."""
        x, noisy = self.decoder(self.encoder(L_unit_B1SS)), noise_B2ss
        times = torch.linspace(1, 0, self.params.steps + 1).tolist()
        for time, earlier in pairwise(times):
            v = self.denoiser(x, noisy, x.new_full((len(x),), time))
            alpha, sigma = schedule(time)
            colours = ((alpha * noisy - sigma * v) * DEVIATION).clamp(-1, 1) / DEVIATION
            noise = sigma * noisy + alpha * v
            alpha, sigma = schedule(earlier)
            noisy = alpha * colours + sigma * noise
        return noisy * DEVIATION

    @property
    def inputs(self) -> list[tuple[int, ...]]:
        """L_unit, and the noise that `denoise` takes."""
        side = self.image_size
        return [(1, side, side), (2, side // STRIDE, side // STRIDE)]

    def core(self) -> nn.Module:
        """All that `denoise` does."""
        return _Denoising(self)

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the mean of `averaged` samples: ab_unit (B, 2, S, S)."""
        return self.samples(condition, self.params.averaged, random).mean(dim=0)

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Start from noise, for each sample anew; see `Network.samples`."""
        L_unit = condition.L_unit_B1SS.repeat(count, 1, 1, 1)
        noise = torch.randn(len(L_unit), *self.inputs[1], generator=random, device=random.device).to(L_unit.device)
        (ab_unit,) = self.run(L_unit, noise)
        return enlarge(ab_unit.unflatten(0, (count, -1)), STRIDE)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        shown = "one sample" if params.averaged == 1 else f"the mean of {params.averaged} samples"
        return (
            f"Diffusion of colours at stride {STRIDE}: a denoiser ({params.channels} channels) takes {params.steps}"
            f" steps of DDIM, guided by a decoder ({params.filters} filters) around the encoder"
            f" {ORIGINS[params.encoder]}. {describe_encoder(params)} A photo is shown {shown}."
        )


class Denoiser(nn.Module):
    """A U-Net of residual blocks at three scales; an embedding of time scales and shifts their maps.

    Args:
        condition: channels of the photo's map.
        channels: of the finest maps; the coarser ones have twice as many.
    """

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        wide, embedding = 2 * channels, 4 * channels
        self.time = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.first = nn.Conv2d(condition + 2, channels, 3, padding=1)
        self.down = nn.ModuleList(
            [_Block(channels, channels, embedding), _Block(channels, wide, embedding), _Block(wide, wide, embedding)]
        )
        self.up = nn.ModuleList([_Block(2 * wide, wide, embedding), _Block(wide + channels, channels, embedding)])
        self.last = nn.Sequential(nn.GroupNorm(_GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, 2, 3, padding=1))
        nn.init.zeros_(self.last[-1].get_parameter("weight"))

    def forward(self, x_BCss: Tensor, noisy_B2ss: Tensor, time_B: Tensor) -> Tensor:
        """Estimate v (B, 2, s, s) of noisy colours at times in [0, 1], in units of `DEVIATION`."""
        embedding = self.time(_waves(time_B))
        x, kept = self.first(torch.cat((x_BCss, noisy_B2ss), dim=1)), list[Tensor]()
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x, embedding)
            kept.append(x)
        x = kept.pop()
        for block in self.up:
            x = block(torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), kept.pop()), dim=1), embedding)
        v: Tensor = self.last(x)
        return v


class _Block(nn.Module):
    """Two convolutions, with an embedding of time between them, added to the input."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1 if inputs % _GROUPS else _GROUPS, inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.inner_norm = nn.GroupNorm(_GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.straight = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x_BCHW: Tensor, embedding_BC: Tensor) -> Tensor:
        x = self.first(F.silu(self.norm(x_BCHW)))
        scale, shift = self.modulation(embedding_BC)[..., None, None].chunk(2, dim=1)
        y: Tensor = self.straight(x_BCHW) + self.second(F.silu(self.inner_norm(x) * (1 + scale) + shift))
        return y


class _Denoising(nn.Module):
    """`Network.denoise` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, L_unit_B1SS: Tensor, noise_B2ss: Tensor) -> Tensor:
        return self.network.denoise(L_unit_B1SS, noise_B2ss)


def schedule(time: float) -> tuple[float, float]:
    """Share of the colours and of the noise at a time in [0, 1]: their squares add up to 1."""
    return math.cos(time * math.pi / 2), math.sin(time * math.pi / 2)


def _waves(time_B: Tensor) -> Tensor:
    """Sines and cosines of time, (B, 2 _FREQUENCIES)."""
    frequencies = torch.logspace(0, 2, _FREQUENCIES, device=time_B.device)
    angles = time_B[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1)
