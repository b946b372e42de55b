"""Photos resident on the device as Lab in 16 bits, and how each epoch augments them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import decode_lab, encode_lab, grey_levels, lab_to_srgb, lightness_of_grey, to_bytes
from huebands.photos.resize import resize
from huebands.training.params import TrainParams


@dataclass(frozen=True)
class Photos:
    """One split of a dataset.

    Attributes:
        hundredths_NSS3: int16 hundredths of Lab, channels last.
        ids: of the photos, in the same order.
        sources: of the photos; empty where they are not known.
    """

    hundredths_NSS3: Tensor
    ids: Sequence[str]
    sources: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.sources) not in (0, len(self.ids)):
            raise ValueError(
                f"{len(self.ids)} photos with {len(self.sources)} sources: need one source for each, or none"
            )
        if len(self.ids) != len(self.hundredths_NSS3) or not len(self.ids):
            raise ValueError(
                f"{len(self.hundredths_NSS3)} photos with {len(self.ids)} ids: need one id for each, at least 1"
            )

    def lab(self, rows: slice = slice(None)) -> Tensor:
        """Decode whole photos: float32 (n, 3, S, S), channels last in memory."""
        return decode_lab(self.hundredths_NSS3[rows]).permute(0, 3, 1, 2)

    def to(self, device: torch.device) -> Self:
        """Move to the device."""
        return type(self)(self.hundredths_NSS3.to(device), self.ids, self.sources)


def load_photos(hundredths_N3HW: np.ndarray, ids: Sequence[str], size: int, sources: Sequence[str] = ()) -> Photos:
    """Bring a prepared shard to another size, with the lightness that a colorizer gets: that of 8-bit grey levels.

    Args:
        hundredths_N3HW: int16 hundredths of Lab.
        ids: one for each photo.
        size: side of the result, pixels.
        sources: of the photos, where they are known.
    """
    scaled = torch.empty(len(hundredths_N3HW), size, size, 3, dtype=torch.int16)
    for row, photo in enumerate(hundredths_N3HW):
        lab_3HW = decode_lab(torch.from_numpy(np.array(photo)))
        grey_HW = grey_levels(to_bytes(lab_to_srgb(lab_3HW)))
        lab_3HW = torch.cat((lightness_of_grey(grey_HW)[None], lab_3HW[1:]))
        if grey_HW.shape != (size, size):
            lab_3HW = resize(lab_3HW[None], (size, size))[0]
        scaled[row] = encode_lab(lab_3HW).permute(1, 2, 0)
    return Photos(scaled, ids, sources)


@dataclass(frozen=True)
class Views:
    """Which photos are used, and how each is augmented: tensors of length B, one entry a photo."""

    rows: Tensor  # of the split
    top: Tensor  # of the crop, pixels
    left: Tensor
    mirrored: Tensor
    gamma: Tensor  # exponent of lightness
    border_B2: Tensor  # height of the borders above and below, width of those at the sides; share of the crop's side
    tone: Tensor  # lightness of the border

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> Self:
        """Move to the device."""
        return type(self)(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def part(self, index: int, parts: int) -> Self:
        """Take every `parts`-th photo from `index` on."""
        return type(self)(*(getattr(self, field.name)[index::parts] for field in fields(self)))

    def at(self, places: Tensor) -> Self:
        """Take the entries at these places, in their order."""
        return type(self)(*(getattr(self, field.name)[places] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def split(self, batches: int) -> list[Self]:
        """Cut into batches whose sizes differ by at most one."""
        columns = (getattr(self, field.name).tensor_split(batches) for field in fields(self))
        return [type(self)(*column) for column in zip(*columns, strict=True)]


def draw_views(
    photos: int, margin: int, params: TrainParams, random: torch.Generator, sources: Sequence[str] = ()
) -> Views:
    """Choose as many photos as there are, in random order: each once, unless sources are balanced.

    Args:
        photos: how many there are.
        margin: pixels by which a photo is larger than its crop.
        params: how much is varied.
        random: the only source of randomness.
        sources: of the photos, where `params.source_balance` asks for them.

    Raises:
        ValueError: when sources are to be balanced and are not known.
    """
    spread = np.log1p(params.lightness_jitter)
    views = Views(
        rows=torch.randperm(photos, generator=random),
        top=torch.randint(margin + 1, (photos,), generator=random),
        left=torch.randint(margin + 1, (photos,), generator=random),
        mirrored=(torch.rand(photos, generator=random) < 0.5) & params.flip,
        gamma=torch.empty(photos).uniform_(-1, 1, generator=random).mul_(spread).exp_(),
        border_B2=torch.zeros(photos, 2),
        tone=torch.zeros(photos),
    )
    if params.border_share > 0:
        views = replace(views, **_draw_borders(photos, params.border_share, random))
    if params.source_balance > 0:
        views = replace(views, rows=_draw_balanced(views.rows, sources, params.source_balance, random))
    return views


def _draw_borders(photos: int, share: float, random: torch.Generator) -> dict[str, Tensor]:
    """Borders of 3% to 15% of the side; half of them as light as paper, the others of any tone."""
    bordered = torch.rand(photos, generator=random) < share
    widths_B2 = torch.empty(photos, 2).uniform_(0.03, 0.15, generator=random)
    paper = torch.rand(photos, generator=random) < 0.5
    tone = torch.rand(photos, generator=random)
    return {"border_B2": widths_B2 * bordered[:, None], "tone": 100 * torch.where(paper, 0.8 + 0.2 * tone, tone)}


def _draw_balanced(order: Tensor, sources: Sequence[str], balance: float, random: torch.Generator) -> Tensor:
    """Draw rows so that a source of n photos gets a share in proportion to n ** (1 - balance).

    Systematic resampling (Kitagawa, 1996), source after source: a photo comes as often as its expected number of times,
    rounded down or up, and so do a source's photos together.
    """
    if not sources:
        raise ValueError(f"train.source_balance (={balance}) needs the photos' sources; set it to 0")
    _, inverse, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    source_N = torch.from_numpy(inverse)
    order = order[source_N[order].argsort(stable=True)]
    weights_N = torch.from_numpy(counts**-balance)[source_N[order]]
    expected_N = (weights_N / weights_N.sum()).cumsum(0) * len(order)
    expected_N[-1] = len(order)  # whatever rounding made of it
    drawn_N = (expected_N + torch.rand(1, generator=random, dtype=torch.float64)).floor().long()
    times_N = drawn_N.diff(prepend=torch.zeros(1, dtype=torch.long))
    return order.repeat_interleave(times_N)[torch.randperm(len(order), generator=random)]


def augment(photos: Photos, views: Views, size: int) -> Tensor:
    """Crop and mirror photos, vary their lightness and lay borders over them, on their device.

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
    lab_B3SS = torch.cat((lightness, lab_BSS3[..., 1:]), dim=-1).permute(0, 3, 1, 2)
    from_edge_S = torch.minimum(pixels, size - 1 - pixels) / size
    above, beside = (from_edge_S < views.border_B2.T[..., None]).unbind()
    covered_B1SS = (above[:, :, None] | beside[:, None, :])[:, None]
    tone_B3 = F.pad(views.tone[:, None], (0, 2))  # a border has no colour
    return torch.where(covered_B1SS, tone_B3[..., None, None], lab_B3SS)
