"""Conformity scores: how far the shown colour of a pixel is from the true one, photo by photo.

The residual of channel c is e_c = |true_c - shown_c|, in 8-bit levels. Two families of nested bands use it:

- per_channel: step h = 0..255 has half width h, each channel on its own;
- joint: step t = 0, 1, ... has half widths floor(scale_c * t), one step for all three channels.

A photo's loss at a step is the share of its pixels that leave the band, counted in histograms: a few hundred
numbers, however large the photo.
Scales are multiples of 1/256, so floor(scale_c * t) is exact integer arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = 256
SCALE_UNIT = 256
SMALLEST_SCALE = 1 / 16  # keeps the joint family short: at most 4081 steps
_CHUNK = 1 << 20  # pixels scored at once: memory stays constant for photos of any size


@dataclass(frozen=True)
class PhotoLosses:
    """The share of one photo's pixels that leave each band of the family.

    Attributes:
        per_channel: float64 (3, 256), for half widths 0..255.
        joint: float64 (T,), for steps 0..T-1; a pixel counts when any channel leaves.
        pixels: how many pixels the photo has.
    """

    per_channel: np.ndarray
    joint: np.ndarray
    pixels: int


def photo_losses(true_rgb: np.ndarray, shown_rgb: np.ndarray, scale: np.ndarray) -> PhotoLosses:
    """Score one photo against its colorization.

    Args:
        true_rgb: uint8 (..., 3), the photo.
        shown_rgb: uint8 of the same shape, the colorization.
        scale: (3,), as `choose_scale` gives it.

    Raises:
        ValueError: when shapes or types are not as above, or the photo is empty.
    """
    for name, rgb in (("true_rgb", true_rgb), ("shown_rgb", shown_rgb)):
        if rgb.dtype != np.uint8 or rgb.ndim < 2 or rgb.shape[-1] != 3 or rgb.size == 0:
            raise ValueError(f"{name} must be uint8 (..., 3) and not empty, got {rgb.dtype} {rgb.shape}")
    if true_rgb.shape != shown_rgb.shape:
        raise ValueError(f"true_rgb {true_rgb.shape} and shown_rgb {shown_rgb.shape} must have one shape")
    true, shown = true_rgb.reshape(-1, 3), shown_rgb.reshape(-1, 3)
    steps = _first_steps(scale)
    channel_counts = np.zeros((3, LEVELS), dtype=np.int64)
    joint_counts = np.zeros(count_steps(scale), dtype=np.int64)
    for start in range(0, len(true), _CHUNK):
        rows = slice(start, start + _CHUNK)
        residual = np.maximum(true[rows], shown[rows]) - np.minimum(true[rows], shown[rows])
        for channel in range(3):
            channel_counts[channel] += np.bincount(residual[:, channel], minlength=LEVELS)
        step = np.maximum.reduce([steps[channel][residual[:, channel]] for channel in range(3)])
        joint_counts += np.bincount(step, minlength=len(joint_counts))
    return PhotoLosses(_share_above(channel_counts), _share_above(joint_counts), len(true))


def choose_scale(losses: Sequence[PhotoLosses]) -> np.ndarray:
    """Choose how wide the channels are beside each other in the joint family.

    Args:
        losses: of the validation photos, never of the calibration photos: the family is fixed before it is
            calibrated, or the promise is void.

    Returns:
        float64 (3,), multiples of 1/256 in [1/16, 1], the largest 1: each channel's 0.9 quantile of residuals
        over the largest one.

    Raises:
        ValueError: when there are no photos.
    """
    if not losses:
        raise ValueError("the joint scale needs at least one validation photo, got none")
    missed = np.mean([photo.per_channel for photo in losses], axis=0)
    quantiles = np.argmax(missed <= 0.1, axis=1)
    if quantiles.max() == 0:
        return np.ones(3)
    relative = np.rint(quantiles / quantiles.max() * SCALE_UNIT) / SCALE_UNIT
    return np.asarray(np.maximum(relative, SMALLEST_SCALE))


def joint_half_widths(scale: np.ndarray, step: int) -> np.ndarray:
    """Half widths int64 (3,) of the joint family at a step: floor(scale * step), at most 255."""
    return np.asarray(np.minimum(_scale_units(scale) * step // SCALE_UNIT, LEVELS - 1))


def count_steps(scale: np.ndarray) -> int:
    """How many steps the joint family has: at the last one every channel's half width is 255."""
    return int(_first_steps(scale).max()) + 1


def _first_steps(scale: np.ndarray) -> np.ndarray:
    """For each channel and residual, the first step whose half width reaches it: int64 (3, 256)."""
    return np.asarray(-(-np.arange(LEVELS) * SCALE_UNIT // _scale_units(scale)[:, None]))


def _scale_units(scale: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(scale * SCALE_UNIT), dtype=np.int64)


def _share_above(counts: np.ndarray) -> np.ndarray:
    """The share of scores above each step, from their histogram along the last axis; 0 at the last."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray((total - counts.cumsum(axis=-1)) / total)
