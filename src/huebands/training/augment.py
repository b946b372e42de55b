"""Photos resident on the device as Lab in 16 bits, and how each epoch augments them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from huebands.color import decode_lab, encode_lab, grey_levels, lab_to_srgb, lightness_of_grey, to_bytes
from huebands.params import TrainParams
from huebands.photos.resize import resize


@dataclass(frozen=True)
class Photos:
    """One split: int16 hundredths of Lab (N, S, S, 3), channels last, and the photos' ids in the same order."""

    hundredths_NSS3: Tensor
    ids: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.hundredths_NSS3) or not len(self.ids):
            raise ValueError(
                f"{len(self.hundredths_NSS3)} photos with {len(self.ids)} ids: need one id for each, at least 1"
            )

    def lab(self, rows: slice = slice(None)) -> Tensor:
        """Decode whole photos: float32 (n, 3, S, S), channels last in memory."""
        return decode_lab(self.hundredths_NSS3[rows]).permute(0, 3, 1, 2)

    def to(self, device: torch.device) -> Self:
        """Move to the device."""
        return type(self)(self.hundredths_NSS3.to(device), self.ids)


def load_photos(hundredths_N3HW: np.ndarray, ids: Sequence[str], size: int) -> Photos:
    """Bring a prepared shard to another size, with the lightness that a colorizer gets: that of 8-bit grey levels.

    Args:
        hundredths_N3HW: int16 hundredths of Lab.
        ids: one for each photo.
        size: side of the result, pixels.
    """
    scaled = torch.empty(len(hundredths_N3HW), size, size, 3, dtype=torch.int16)
    for row, photo in enumerate(hundredths_N3HW):
        lab_3HW = decode_lab(torch.from_numpy(np.array(photo)))
        grey_HW = grey_levels(to_bytes(lab_to_srgb(lab_3HW)))
        lab_3HW = torch.cat((lightness_of_grey(grey_HW)[None], lab_3HW[1:]))
        if grey_HW.shape != (size, size):
            lab_3HW = resize(lab_3HW[None], (size, size))[0]
        scaled[row] = encode_lab(lab_3HW).permute(1, 2, 0)
    return Photos(scaled, ids)


@dataclass(frozen=True)
class Views:
    """Which photos are used, and how each is augmented: tensors of length B, one entry a photo."""

    rows: Tensor  # of the split
    top: Tensor  # of the crop, pixels
    left: Tensor
    mirrored: Tensor
    gamma: Tensor  # exponent of lightness

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> Self:
        """Move to the device."""
        return type(self)(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def part(self, index: int, parts: int) -> Self:
        """Take every `parts`-th photo from `index` on."""
        return type(self)(*(getattr(self, field.name)[index::parts] for field in fields(self)))

    def split(self, batches: int) -> list[Self]:
        """Cut into batches whose sizes differ by at most one."""
        columns = (getattr(self, field.name).tensor_split(batches) for field in fields(self))
        return [type(self)(*column) for column in zip(*columns, strict=True)]


def draw_views(photos: int, margin: int, params: TrainParams, random: torch.Generator) -> Views:
    """Draw an epoch: each photo once, in random order, with a random crop, mirroring and gamma.

    Args:
        photos: how many.
        margin: pixels by which a photo is larger than its crop.
        params: how much is varied.
        random: the only source of randomness.
    """
    spread = np.log1p(params.lightness_jitter)
    return Views(
        rows=torch.randperm(photos, generator=random),
        top=torch.randint(margin + 1, (photos,), generator=random),
        left=torch.randint(margin + 1, (photos,), generator=random),
        mirrored=(torch.rand(photos, generator=random) < 0.5) & params.flip,
        gamma=torch.empty(photos).uniform_(-1, 1, generator=random).mul_(spread).exp_(),
    )


def augment(photos: Photos, views: Views, size: int) -> Tensor:
    """Crop and mirror photos and vary their lightness, on their device.

    Args:
        photos: of a split.
        views: on the same device.
        size: side of the crop, pixels.

    Returns:
        Lab (B, 3, size, size), float32, channels last in memory.
    """
    pixels = torch.arange(size, device=views.rows.device)
    rows_BS, columns_BS = views.top[:, None] + pixels, views.left[:, None] + pixels
    columns_BS = torch.where(views.mirrored[:, None], columns_BS.flip(1), columns_BS)
    hundredths = photos.hundredths_NSS3[views.rows[:, None, None], rows_BS[:, :, None], columns_BS[:, None, :]]
    lab_BSS3 = decode_lab(hundredths)
    lightness = 100 * (lab_BSS3[..., :1] / 100).clamp(0, 1) ** views.gamma[:, None, None, None]
    return torch.cat((lightness, lab_BSS3[..., 1:]), dim=-1).permute(0, 3, 1, 2)
