"""Groups of pixels that can have a guarantee of their own: by lightness and predicted chroma, by texture, by photo.

Each pixel belongs to one group of each partition. Groups follow from the grey photo and its colorization alone, never
from the truth, so that the groups of a new photo's pixels are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from huebands import color

LIGHTNESS_EDGES = (20.0, 40.0, 60.0, 80.0)  # CIELAB
CHROMA_EDGES = (5.0, 10.0, 20.0, 35.0)  # CIELAB, of the colour shown
TEXTURE_EDGES = (1.5, 5.0)  # standard deviation of L in a window of 5 x 5 samples of the network's square
LEAST_SHARE = 0.005  # of a photo's pixels: a photo with fewer in a group does not count for it
LEAST_PHOTOS = 30  # that show a group: a group with fewer is merged into a neighbour
_CELLS = (len(LIGHTNESS_EDGES) + 1) * (len(CHROMA_EDGES) + 1)
_WINDOW = 5
_SLICE = 1 << 18  # pixels handled at once


def _names(edges: Sequence[float], quantity: str) -> list[str]:
    """Names of the groups between edges."""
    inner = [f"{quantity} {low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"{quantity} below {edges[0]:g}", *inner, f"{quantity} from {edges[-1]:g}"]


PARTITIONS = {
    "lightness x chroma": tuple(
        f"{lightness}, {chroma}"
        for lightness in _names(LIGHTNESS_EDGES, "L")
        for chroma in _names(CHROMA_EDGES, "chroma")
    ),
    "texture": ("smooth", "textured", "rough"),
    "photo": ("narrow bands", "middling bands", "wide bands"),
}
GROUPS = tuple(name for names in PARTITIONS.values() for name in names)


@dataclass(frozen=True)
class Grouping:
    """The groups once the small ones are merged.

    Attributes:
        merged_into: for each of `GROUPS` the index of the group that it is merged into, or its own.
        photo_edges: mean entropy (nats) of a photo's distributions between narrow, middling and wide.
    """

    merged_into: tuple[int, ...]
    photo_edges: tuple[float, float]

    def of_pixels(self, shown_HW3: np.ndarray, grey_HW: np.ndarray, texture_SS: Tensor, entropy: float) -> np.ndarray:
        """The groups of a photo's pixels before merging, uint8 (partitions, H, W).

        Args:
            shown_HW3: uint8, the colorization.
            grey_HW: uint8.
            texture_SS: as `texture_of` gives it.
            entropy: mean over the photo's pixels and channels, nats.
        """
        (height, width), samples = grey_HW.shape, texture_SS.shape
        textures_SS = np.digitize(texture_SS.numpy(), TEXTURE_EDGES).astype(np.uint8)
        rows, columns = np.arange(height) * samples[0] // height, np.arange(width) * samples[1] // width
        groups_PHW = np.empty((len(PARTITIONS), height, width), np.uint8)
        step = max(_SLICE // width, 1)
        for top in range(0, height, step):
            tile = slice(top, top + step)
            groups_PHW[0, tile] = _cells(shown_HW3[tile], grey_HW[tile])
            groups_PHW[1, tile] = _CELLS + textures_SS[rows[tile, None], columns]
        groups_PHW[2] = _CELLS + len(TEXTURE_EDGES) + 1 + np.digitize(entropy, self.photo_edges)
        return groups_PHW

    def merge(self, groups_PHW: np.ndarray) -> np.ndarray:
        """Replace each group by the one that it is merged into."""
        return np.asarray(np.array(self.merged_into, np.uint8)[groups_PHW])

    def merged(self) -> dict[str, str]:
        """The groups that are merged into another: {name: name of the other group}."""
        pairs = ((GROUPS[index], GROUPS[target]) for index, target in enumerate(self.merged_into))
        return {name: target_name for name, target_name in pairs if name != target_name}


def choose_grouping(presence: np.ndarray, entropies: Sequence[float], photos: int) -> Grouping:
    """Choose the groups before calibration.

    Args:
        presence: bool (m, GROUPS) of validation photos: whether a photo has `LEAST_SHARE` of its pixels in the group.
        entropies: (m,) of the same photos.
        photos: how many calibrate. A group that fewer than `LEAST_PHOTOS` of them are expected to show is merged into
            its neighbour with less chroma, or into the next group where there is no such neighbour.

    Raises:
        ValueError: when there are no validation photos.
    """
    if not len(presence):
        raise ValueError("groups need at least one validation photo, got none")
    expected = presence.mean(axis=0) * photos
    merged_into, start = list(range(len(GROUPS))), 0
    for names in PARTITIONS.values():
        # Each small group is merged into the one before it, the last ones first. The first has none before it.
        for index in range(start + len(names) - 1, start, -1):
            if expected[index] < LEAST_PHOTOS:
                merged_into[index] = index - 1
                expected[index - 1] = max(expected[index - 1], expected[index])
        for index in range(start, start + len(names)):
            while merged_into[index] != merged_into[merged_into[index]]:
                merged_into[index] = merged_into[merged_into[index]]
        if expected[start] < LEAST_PHOTOS:
            following = next(
                (index for index in range(start + 1, start + len(names)) if merged_into[index] == index), start
            )
            merged_into = [
                following if target == start and index >= start else target for index, target in enumerate(merged_into)
            ]
        start += len(names)
    low, high = np.quantile(entropies, [1 / 3, 2 / 3])
    return Grouping(tuple(merged_into), (float(low), float(high)))


UNMERGED = tuple(range(len(GROUPS)))


def presence_of(groups_PHW: np.ndarray) -> np.ndarray:
    """Whether a photo has `LEAST_SHARE` of its pixels in each group, bool (GROUPS,)."""
    counts = np.bincount(groups_PHW.ravel(), minlength=len(GROUPS))
    return np.asarray(counts >= LEAST_SHARE * groups_PHW[0].size)


def texture_of(L_SS: Tensor) -> Tensor:
    """Standard deviation of lightness in windows of 5 x 5, (S, S), CIELAB units."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x[None], _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False)[0]

    return (mean(L_SS.square()) - mean(L_SS).square()).clamp_min(0).sqrt()


def _cells(shown_HW3: np.ndarray, grey_HW: np.ndarray) -> np.ndarray:
    """Cells of lightness and chroma, integers (H, W)."""
    lightness = np.digitize(color.lightness_of_grey(torch.arange(256)).numpy(), LIGHTNESS_EDGES)[grey_HW]
    shown_3HW = color.from_bytes(torch.from_numpy(np.array(shown_HW3))).permute(2, 0, 1)
    chroma = torch.hypot(*color.srgb_to_lab(shown_3HW)[1:]).numpy()
    return np.asarray(lightness * (len(CHROMA_EDGES) + 1) + np.digitize(chroma, CHROMA_EDGES))
