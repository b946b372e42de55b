"""The losses of a photo: at each step of its nested bands, the share of its pixels whose true value is outside.

Shares are rounded up to multiples of 2^-40. Sums of up to 2^12 of them are exact in float64, so tables merge by
addition in any order, bit for bit, whichever process counted which photos.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from huebands.conformal.bands import STEPS
from huebands.conformal.groups import GROUPS, LEAST_SHARE

KINDS = 4  # values of R, of G, of B, and pixels with any channel outside
JOINT = 3
_UNIT = 2.0**40


@dataclass(frozen=True)
class PhotoLosses:
    """Losses of one photo.

    Attributes:
        overall: float64 (KINDS, STEPS), of all pixels; never rising, 0 at the last step.
        groups: float64 (GROUPS, KINDS, STEPS), shares of the photo's pixels in each group; 0 where it has too few.
        shares: float64 (GROUPS,), of the photo's pixels in each group.
        pixels: how many the photo has.
    """

    overall: np.ndarray
    groups: np.ndarray
    shares: np.ndarray
    pixels: int

    @property
    def present(self) -> np.ndarray:
        """The groups that the photo counts for, bool (GROUPS,)."""
        return np.asarray(self.shares >= LEAST_SHARE)


def photo_losses(first_steps_HW3: np.ndarray, groups_PHW: np.ndarray, joint_offsets: tuple[int, ...]) -> PhotoLosses:
    """Count a photo's losses.

    Args:
        first_steps_HW3: uint16, as `NestedBands.first_steps` gives them.
        groups_PHW: uint8, as `Grouping.of_pixels` gives them; (0, H, W) for no groups.
        joint_offsets: steps by which R, G and B are ahead of the joint family's step.
    """
    joint_HW = joint_first_steps(first_steps_HW3, joint_offsets)
    counts, group_counts = _count((*np.moveaxis(first_steps_HW3, -1, 0), joint_HW), groups_PHW)
    shares = group_counts[:, 0].sum(axis=-1) / joint_HW.size
    present, groups = shares >= LEAST_SHARE, np.zeros(group_counts.shape)
    groups[present] = _share_above(group_counts[present])
    return PhotoLosses(_share_above(counts), groups, shares, joint_HW.size)


def joint_first_steps(first_steps_HW3: np.ndarray, joint_offsets: tuple[int, ...]) -> np.ndarray:
    """The first joint step whose bands hold all three true values, uint16 (H, W)."""
    # Channel by channel, and raised to the offset first: unsigned numbers have nothing below 0.
    joint_steps = (
        np.maximum(first_steps_HW3[..., channel], offset) - offset for channel, offset in enumerate(joint_offsets)
    )
    return np.asarray(functools.reduce(np.maximum, joint_steps).astype(np.uint16))


def _count(scores_by_kind: Sequence[np.ndarray], groups_PHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histograms of the scores (H, W) of each kind: of all pixels (KINDS, STEPS), by group (GROUPS, KINDS, STEPS)."""
    # Cells are the combinations of a group of each partition, so that each score is counted once for all partitions.
    # They are few: a partition's groups lie side by side, and only those between a photo's first and last are needed.
    firsts, lasts = groups_PHW.min(axis=(1, 2)).tolist(), groups_PHW.max(axis=(1, 2)).tolist()
    sizes = [last - first + 1 for first, last in zip(firsts, lasts, strict=True)]
    cells_HW = np.zeros((), np.uint32)  # small integers: reading memory takes more time than counting
    for groups_HW, first, size in zip(groups_PHW, firsts, sizes, strict=True):
        cells_HW = cells_HW * size + (groups_HW - first)
    starts_HW, bins = cells_HW * STEPS, math.prod(sizes) * STEPS
    in_cells = np.stack([np.bincount((starts_HW + scores_HW).ravel(), minlength=bins) for scores_HW in scores_by_kind])
    in_cells = in_cells.reshape(KINDS, *sizes, STEPS)
    partitions, group_counts = range(1, 1 + len(sizes)), np.zeros((len(GROUPS), KINDS, STEPS), np.int64)
    for partition, first, size in zip(partitions, firsts, sizes, strict=True):
        other_axes = tuple(axis for axis in partitions if axis != partition)
        group_counts[first : first + size] += in_cells.sum(axis=other_axes).swapaxes(0, 1)
    return in_cells.sum(axis=tuple(partitions)), group_counts


def _share_above(counts: np.ndarray) -> np.ndarray:
    """The share of scores above each step, from their histogram along the last axis; 0 at the last."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(np.ceil((counts.sum(axis=-1, keepdims=True) - counts.cumsum(axis=-1)) / total * _UNIT) / _UNIT)
