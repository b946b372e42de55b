"""Groups in which coverage can be promised by itself: by lightness and predicted chroma, by texture, by photo.

Each pixel belongs to one group of each partition. Groups follow from the grey photo and its colorization alone, never
from the truth, so that a new photo's pixels are in known groups.
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
LEAST_SHARE = 0.005  # of a photo's pixels: a photo with fewer in a group says nothing of it
LEAST_PHOTOS = 30  # that show a group: with fewer it is merged into a neighbour
_CELLS = (len(LIGHTNESS_EDGES) + 1) * (len(CHROMA_EDGES) + 1)
_WINDOW = 5
_SLICE = 1 << 18  # pixels handled at once


def _between(edges: Sequence[float], of: str) -> list[str]:
    """Names of the groups that edges make."""
    inner = [f"{of} {low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"{of} below {edges[0]:g}", *inner, f"{of} from {edges[-1]:g}"]


PARTITIONS = {
    "lightness x chroma": tuple(
        f"{lightness}, {chroma}"
        for lightness in _between(LIGHTNESS_EDGES, "L")
        for chroma in _between(CHROMA_EDGES, "chroma")
    ),
    "texture": ("smooth", "textured", "rough"),
    "photo": ("narrow bands", "middling bands", "wide bands"),
}
GROUPS = tuple(name for names in PARTITIONS.values() for name in names)


@dataclass(frozen=True)
class Grouping:
    """Which groups there are after small ones were merged.

    Attributes:
        merged_into: for each of `GROUPS` the index of the group that stands for it, often itself.
        photo_edges: mean entropy (nats) of a photo's distributions that part narrow, middling and wide.
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
        (height, width), side = grey_HW.shape, len(texture_SS)
        textures_SS = np.digitize(texture_SS.numpy(), TEXTURE_EDGES).astype(np.uint8)
        rows, columns = np.arange(height) * side // height, np.arange(width) * side // width
        groups_PHW = np.empty((len(PARTITIONS), height, width), np.uint8)
        step = max(_SLICE // width, 1)
        for top in range(0, height, step):
            part = slice(top, top + step)
            groups_PHW[0, part] = _cells(shown_HW3[part], grey_HW[part])
            groups_PHW[1, part] = _CELLS + textures_SS[rows[part, None], columns]
        groups_PHW[2] = _CELLS + len(TEXTURE_EDGES) + 1 + np.digitize(entropy, self.photo_edges)
        return groups_PHW

    def merge(self, groups_PHW: np.ndarray) -> np.ndarray:
        """Put the groups that stand for them in the place of those merged away."""
        return np.asarray(np.array(self.merged_into, np.uint8)[groups_PHW])

    def merged(self) -> dict[str, str]:
        """The groups that were merged away: {name: name of the group that stands for it}."""
        pairs = ((GROUPS[index], GROUPS[into]) for index, into in enumerate(self.merged_into))
        return {name: into for name, into in pairs if name != into}


def choose_grouping(presence: np.ndarray, entropies: Sequence[float], photos: int) -> Grouping:
    """Fix the groups before calibration.

    Args:
        presence: bool (m, GROUPS) of validation photos: whether a photo has `LEAST_SHARE` of its pixels in the group.
        entropies: (m,) of the same photos.
        photos: that calibrate; a group that fewer than `LEAST_PHOTOS` of them can be expected to show is merged into
            its neighbour with less chroma, or the next one where that fails.

    Raises:
        ValueError: when there are no validation photos.
    """
    if not len(presence):
        raise ValueError("groups need at least one validation photo, got none")
    expected = presence.mean(axis=0) * photos
    merged_into, start = list(range(len(GROUPS))), 0
    for names in PARTITIONS.values():
        # Row by row in chroma, so that neighbours stay neighbours; a first one that is small takes in the next.
        for index in range(start + len(names) - 1, start, -1):
            if expected[index] < LEAST_PHOTOS:
                merged_into[index] = index - 1
                expected[index - 1] = max(expected[index - 1], expected[index])
        for index in range(start, start + len(names)):
            while merged_into[index] != merged_into[merged_into[index]]:
                merged_into[index] = merged_into[merged_into[index]]
        if expected[start] < LEAST_PHOTOS:
            following = next((at for at in range(start + 1, start + len(names)) if merged_into[at] == at), start)
            merged_into = [following if into == start and at >= start else into for at, into in enumerate(merged_into)]
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
    shown = color.from_bytes(torch.from_numpy(np.array(shown_HW3))).permute(2, 0, 1)
    chroma = torch.hypot(*color.srgb_to_lab(shown)[1:]).numpy()
    return np.asarray(lightness * (len(CHROMA_EDGES) + 1) + np.digitize(chroma, CHROMA_EDGES))
