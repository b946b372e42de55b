"""Counts the losses of calibration photos."""

from collections.abc import Iterable

import numpy as np

from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.scores import photo_losses
from huebands.conformal.shape import Shape
from huebands.conformal.table import LossTable


def count_losses(photos: Iterable[tuple[int, PhotoBands, np.ndarray]], count: int, shape: Shape) -> LossTable:
    """Count the losses of calibration photos, with the functions that make a user's bands.

    Args:
        photos: row in 0..count-1, bands of this shape, and true colours, uint8 (H, W, 3), of some or all photos.
        count: number of all calibration photos. Rows of photos that another process counts stay 0; its table is merged.
        shape: shape of the bands.
    """
    table = LossTable.empty(count)
    for row, bands, true_HW3 in photos:
        groups_PHW = shape.grouping.merge(bands.groups)
        losses = photo_losses(bands.nested.first_steps(true_HW3), groups_PHW, shape.joint_offsets)
        table.add(row, losses, bands.atypicality)
    return table
