"""Photos resident in memory as Lab, cropped and mirrored batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from huebands.color import decode_lab
from huebands.networks.resize import resize


@dataclass(frozen=True)
class Photos:
    """One split: Lab squares, decoded, and the photos' ids in the same order."""

    lab_N3HW: Tensor
    ids: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.lab_N3HW) or not len(self.ids):
            raise ValueError(f"{len(self.lab_N3HW)} photos with {len(self.ids)} ids: need one id for each, at least 1")


def load_photos(hundredths_N3HW: np.ndarray, ids: Sequence[str], size: int) -> Photos:
    """Decode a prepared shard and scale it down.

    Args:
        hundredths_N3HW: int16 hundredths of Lab.
        ids: one for each photo.
        size: side of the result, pixels.
    """
    shrunk = [resize(decode_lab(torch.from_numpy(np.array(photo)))[None], (size, size)) for photo in hundredths_N3HW]
    return Photos(torch.cat(shrunk), ids)


def batches(
    photos: Photos, batch_size: int, crop: int, flip: bool, random: torch.Generator
) -> Iterator[tuple[Tensor, list[str]]]:
    """Go once through the photos in random order, each cropped at random and mirrored half of the time.

    Args:
        photos: Lab squares whose sides are at least `crop`.
        batch_size: photos in a batch; the last one may hold fewer.
        crop: side of the crop, pixels.
        flip: whether to mirror.
        random: the only source of randomness.

    Yields:
        Lab (B, 3, crop, crop) and the ids.
    """
    for chosen in torch.randperm(len(photos.ids), generator=random).split(batch_size):
        room = photos.lab_N3HW.shape[-1] - crop + 1
        offsets = torch.randint(room, (len(chosen), 2), generator=random).tolist()
        mirrored = (torch.rand(len(chosen), generator=random) < 0.5).tolist()
        crops = []
        for index, (top, left), mirror in zip(chosen.tolist(), offsets, mirrored, strict=True):
            lab_3HW = photos.lab_N3HW[index, :, top : top + crop, left : left + crop]
            crops.append(lab_3HW.flip(-1) if flip and mirror else lab_3HW)
        yield torch.stack(crops), [photos.ids[index] for index in chosen.tolist()]
