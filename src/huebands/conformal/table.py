"""The losses of the calibration photos. Tables merge by addition, over photos and processes, to the same bits."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
import torch.distributed

from huebands.conformal.bands import STEPS
from huebands.conformal.groups import GROUPS
from huebands.conformal.scores import KINDS, PhotoLosses


class CalibrationError(ValueError):
    """A calibration is incomplete or inconsistent, or of an unknown format."""


@dataclass(frozen=True)
class LossTable:
    """Losses of calibration photos; rows that were not counted here are 0.

    Attributes:
        losses: float64 (n, KINDS, STEPS), of each photo.
        group_sums: float64 (GROUPS, KINDS, STEPS), over photos.
        group_photos: int64 (GROUPS,), how many photos are in each sum.
        atypicality: float64 (n,), the score of each photo, see `density.atypicality`.
    """

    losses: np.ndarray
    group_sums: np.ndarray
    group_photos: np.ndarray
    atypicality: np.ndarray

    @classmethod
    def empty(cls, photos: int) -> Self:
        """A table for so many photos, before any is counted."""
        return cls(
            np.zeros((photos, KINDS, STEPS)),
            np.zeros((len(GROUPS), KINDS, STEPS)),
            np.zeros(len(GROUPS), np.int64),
            np.zeros(photos),
        )

    def add(self, row: int, losses: PhotoLosses, atypicality: float) -> None:
        """Count a photo, once."""
        self.losses[row] = losses.overall
        self.group_sums[...] += losses.groups
        self.group_photos[...] += losses.present
        self.atypicality[row] = atypicality

    def __add__(self, other: Self) -> Self:
        """Merge counts of different photos of the same calibration."""
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def all_reduce(self, device: torch.device) -> Self:
        """Merge the counts of all processes of torch.distributed (gloo: a CPU device; nccl: a GPU)."""
        merged = []
        for field in fields(self):
            tensor = torch.from_numpy(getattr(self, field.name)).to(device, copy=True)
            torch.distributed.all_reduce(tensor)
            merged.append(tensor.cpu().numpy())
        return type(self)(*merged)

    def tables(self) -> dict[str, np.ndarray]:
        """The arrays by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Check what was counted or read.

        Raises:
            CalibrationError: when a table has another shape, or holds what no photo can have.
        """
        n = len(np.atleast_1d(self.losses))
        if n == 0:
            raise CalibrationError("calibration needs at least one photo, got none")
        expected = {
            "losses": (np.float64, (n, KINDS, STEPS)),
            "group_sums": (np.float64, (len(GROUPS), KINDS, STEPS)),
            "group_photos": (np.int64, (len(GROUPS),)),
            "atypicality": (np.float64, (n,)),
        }
        for name, (dtype, shape) in expected.items():
            values = getattr(self, name)
            if values.dtype != dtype or values.shape != shape:
                raise CalibrationError(f"{name} must be {np.dtype(dtype)} {shape}; got {values.dtype} {values.shape}")
        if not np.isfinite(self.atypicality).all():
            raise CalibrationError("atypicality must be finite")
        if not ((self.group_photos >= 0) & (self.group_photos <= n)).all():
            raise CalibrationError(f"group_photos must lie in 0..{n}")
        for name, greatest in (("losses", np.array(1.0)), ("group_sums", self.group_photos[:, None, None])):
            values = getattr(self, name)
            in_range = np.all((values >= 0) & (values <= greatest))
            if not (in_range and np.all(np.diff(values) <= 0) and np.all(values[..., -1] == 0)):
                raise CalibrationError(f"{name} must hold shares in [0, 1] of each photo that never rise and end at 0")
