"""Photos on the device as bytes, and the augmentation of a batch: crops, mirroring, borders and changes of tone."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from huebands.color import srgb_to_lab, to_units


@dataclass(frozen=True)
class Photos:
    """uint8 sRGB (N, 3, S, S), the source of each (N,), and the sources' names."""

    rgb_N3SS: Tensor
    sources_N: Tensor
    names: Sequence[str]


def load(paths: Sequence[Path], device: torch.device) -> Photos:
    """Decode the parts that pack.py wrote, with all processors, and join them."""
    files: list[bytes] = []
    sources: list[int] = []
    names: list[str] = []
    for path in paths:
        part = np.load(path)
        content, ends = part["bytes"].tobytes(), part["ends"].tolist()
        files += [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        names += [name for name in part["names"].tolist() if name not in names]
        sources += [names.index(part["names"][source]) for source in part["sources"]]
    with Pool(len(os.sched_getaffinity(0))) as pool:
        decoded = pool.map(_decode, files, chunksize=256)
    rgb = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous()
    return Photos(rgb.to(device), torch.tensor(sources, device=device), names)


def _decode(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def sampling_weights(photos: Photos, shares: dict[str, float]) -> Tensor:
    """How often each photo is drawn: a source of n photos weighs n, times its share where one is given."""
    source_weights = torch.tensor([shares.get(name, 1.0) for name in photos.names], device=photos.sources_N.device)
    return source_weights[photos.sources_N]


@dataclass(frozen=True)
class Augmentation:
    """How far a photo is changed; 0 leaves it as it is."""

    crop: float  # the smallest crop lacks this share of each side
    border: float  # share of the photos that get a border of one tone, 3 to 15% of the side
    tone: float  # standard deviation of the logarithm of lightness's exponent


def augment(rgb_B3SS: Tensor, size: int, augmentation: Augmentation, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augment photos.

    Args:
        rgb_B3SS: uint8.
        size: side of the result, pixels.
        augmentation: how far photos may be changed.
        random: on the photos' device.

    Returns:
        L_unit (B, 1, size, size) and ab_unit (B, 2, size, size). A border has no colour; another tone keeps colours.
    """
    count, device = len(rgb_B3SS), rgb_B3SS.device

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random, device=device)

    bordered = draw(count) < augmentation.border
    scale = 1 - augmentation.crop * draw(count, 2)
    offset = (2 * draw(count, 2) - 1) * (1 - scale)
    width = 0.03 + 0.12 * draw(count, 2)
    scale = torch.where(bordered[:, None], 1 / (1 - 2 * width), scale)
    offset = torch.where(bordered[:, None], 0.0, offset)
    mirror = torch.where(draw(count) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 2] = scale[:, 0] * mirror, offset[:, 0]
    theta[:, 1, 1], theta[:, 1, 2] = scale[:, 1], offset[:, 1]
    grid = F.affine_grid(theta, [count, 3, size, size], align_corners=False)
    rgb = F.grid_sample(rgb_B3SS.float() / 255, grid, padding_mode="border", align_corners=False)
    outside = (grid.abs().amax(dim=-1) > 1)[:, None] & bordered[:, None, None, None]
    L_unit, ab_unit = to_units(srgb_to_lab(rgb.clamp(0, 1)))
    normal = torch.randn(count, 1, 1, 1, generator=random, device=device)
    L_unit = 2 * ((L_unit + 1) / 2).clamp(0, 1) ** torch.exp(augmentation.tone * normal) - 1
    # Half of the borders are white paper, the others of any tone.
    tone = torch.where(draw(count) < 0.5, 0.8 + 0.2 * draw(count), 2 * draw(count) - 1)
    return torch.where(outside, tone[:, None, None, None], L_unit), ab_unit.masked_fill(outside, 0.0)
