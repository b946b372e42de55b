"""Where a channel's value lies between what its grey level allows: the coordinate in which distributions are learned.

At grey level g sRGB lets channel c be anything in [low_c(g), high_c(g)] (`color.gamut_table`), and (g, g, g) is always
allowed. A value v has the position s = (v - g) / (high - g) above grey and (v - g) / (g - low) below, in [-1, 1]: the
same surface in light and in shade has nearly one position. Bins are even in u = sign(s) |s|^(2/3), so that they are
finer near grey, where most colours are.
"""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands import color

POWER = 1.5  # s = sign(u) |u|^POWER


def encode(values_3HW: Tensor, grey_HW: Tensor) -> Tensor:
    """Give the positions u in [-1, 1] of channel values.

    Args:
        values_3HW: float (..., 3, H, W) in 8-bit levels; what sRGB cannot show at that grey is clamped.
        grey_HW: uint8 (..., H, W).
    """
    grey = grey_HW.unsqueeze(-3).float()
    below, above = (table.T[:, grey_HW.int()].movedim(0, -3) for table in _spans())
    difference = values_3HW - grey
    s = torch.where(difference > 0, difference / above.clamp_min(1e-6), difference / below.clamp_min(1e-6))
    return s.sign() * s.abs().clamp_max(1) ** (1 / POWER)


def decode(u_3HW: Tensor, grey_HW: Tensor) -> Tensor:
    """Give the values of R, G and B (..., 3, H, W), float in 8-bit levels, at positions u in [-1, 1]."""
    channels = (decode_channel(u, grey_HW, channel) for channel, u in enumerate(u_3HW.unbind(-3)))
    return torch.stack(tuple(channels), dim=-3)


def decode_channel(u: Tensor, grey: Tensor, channel: int) -> Tensor:
    """Give one channel's values at positions u in [-1, 1], float in 8-bit levels; shapes broadcast."""
    return Spans.of(grey, channel).decode(u)


def spans(channel: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far a channel can lie below each of the 256 grey levels, and how far above, in 8-bit levels."""
    below, above = (table[channel].numpy() for table in _channel_spans())
    return below, above


@dataclass(frozen=True)
class Spans:
    """How far one channel can lie below and above some grey levels, for decoding many positions there."""

    grey: Tensor  # float
    below: Tensor  # minus how far
    above: Tensor

    @classmethod
    def of(cls, grey: Tensor, channel: int) -> Self:
        """Look the spans of grey levels up, uint8 of any shape."""
        levels = grey.flatten().int()
        below, above = (table[channel].index_select(0, levels).view(grey.shape) for table in _channel_spans())
        return cls(grey.float(), -below, above)

    def decode(self, u: Tensor) -> Tensor:
        """Give the values at positions u in [-1, 1], float in 8-bit levels; shapes broadcast.

        They never fall as u rises, in floating point too, because rounding to nearest keeps order.
        """
        s = u.abs()
        # NumPy's square root is IEEE 754's on every processor; torch's can be one unit in the last place off it.
        root = torch.empty_like(s)
        np.sqrt(s.numpy(), out=root.numpy())
        s *= root  # |u|^POWER
        return self.grey + s * torch.where(u > 0, self.above, self.below)


@cache
def _spans() -> tuple[Tensor, Tensor]:
    """How far each channel can lie below and above its grey level: float (256, 3) each."""
    table = color.gamut_table().float()
    grey = torch.arange(256, dtype=torch.float32)[:, None]
    return (grey - table[..., 0]).clamp_min(0), (table[..., 1] - grey).clamp_min(0)


@cache
def _channel_spans() -> tuple[Tensor, Tensor]:
    """The same by channel: float (3, 256) each, contiguous."""
    below, above = _spans()
    return below.T.contiguous(), above.T.contiguous()
