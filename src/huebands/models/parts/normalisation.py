"""The choice of normalisation."""

from typing import Literal

from torch import nn

Norm = Literal["batch", "instance"]


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """Normalise over the batch (Ioffe & Szegedy, 2015) or over each photo (Ulyanov et al., 2016), then scale and shift.

    Args:
        norm: "batch" or "instance".
        channels: of the map.

    Raises:
        ValueError: when no normalisation has that name.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    raise ValueError(f"norm (={norm!r}) must be 'batch' or 'instance'")
