"""What a photo loses at each step of its nested bands: the share of its pixels whose true value is left out.

Shares are rounded up to multiples of 2^-40. Sums of up to 2^12 of them are exact in float64, so tables merge by addition
in any order, bit for bit, whichever process counted which photos.
"""

from dataclasses import dataclass

import numpy as np

from huebands.conformal.family import STEPS
from huebands.conformal.groups import GROUPS, LEAST_SHARE

KINDS = 4  # values of R, of G, of B, and pixels left by any channel
JOINT = 3
_UNIT = 2.0**40


@dataclass(frozen=True)
class PhotoLosses:
    """Losses of one photo.

    Attributes:
        whole: float64 (KINDS, STEPS), never rising, 0 at the last step.
        groups: float64 (GROUPS, KINDS, STEPS), shares of the photo's pixels in each group; 0 where it has too few.
        shares: float64 (GROUPS,), of the photo's pixels in each group.
        pixels: how many the photo has.
    """

    whole: np.ndarray
    groups: np.ndarray
    shares: np.ndarray
    pixels: int

    @property
    def present(self) -> np.ndarray:
        """The groups of which the photo says something, bool (GROUPS,)."""
        return np.asarray(self.shares >= LEAST_SHARE)


def photo_losses(first_steps_HW3: np.ndarray, groups_PHW: np.ndarray, joint_offsets: tuple[int, ...]) -> PhotoLosses:
    """Count a photo's losses.

    Args:
        first_steps_HW3: uint16, as `NestedBands.first_steps` gives them.
        groups_PHW: uint8, as `Grouping.of_pixels` gives them.
        joint_offsets: steps by which R, G and B are ahead of the joint family's step.
    """
    scores_NK = np.concatenate((first_steps_HW3, joint_first_steps(first_steps_HW3, joint_offsets)[..., None]), axis=-1)
    scores_KN = scores_NK.reshape(-1, KINDS).T.astype(np.int64)
    counts = np.stack([np.bincount(scores, minlength=STEPS) for scores in scores_KN])
    group_counts = np.zeros((len(GROUPS), KINDS, STEPS), np.int64)
    for groups_N in groups_PHW.reshape(len(groups_PHW), -1).astype(np.int64) * STEPS:
        for kind, scores in enumerate(scores_KN):
            cells = np.bincount(groups_N + scores, minlength=len(GROUPS) * STEPS)
            group_counts[:, kind] += cells.reshape(len(GROUPS), STEPS)
    sizes = group_counts[:, 0].sum(axis=-1)
    pixels = scores_KN.shape[1]
    shares = sizes / pixels
    groups = np.where((shares >= LEAST_SHARE)[:, None, None], _share_above(group_counts), 0.0)
    return PhotoLosses(_share_above(counts), groups, shares, pixels)


def joint_first_steps(first_steps_HW3: np.ndarray, joint_offsets: tuple[int, ...]) -> np.ndarray:
    """The first joint step whose bands hold all three true values, uint16 (H, W)."""
    ahead = first_steps_HW3.astype(np.int32) - np.array(joint_offsets)
    return np.asarray(ahead.max(axis=-1).clip(min=0).astype(np.uint16))


def _share_above(counts: np.ndarray) -> np.ndarray:
    """The share of scores above each step, from their histogram along the last axis; 0 at the last."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(np.ceil((counts.sum(axis=-1, keepdims=True) - counts.cumsum(axis=-1)) / total * _UNIT) / _UNIT)
