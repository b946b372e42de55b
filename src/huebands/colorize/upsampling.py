"""Brings the network's colours to a photo's own size, along the edges of its lightness.

Guided upsampling (He & Sun 2015, https://arxiv.org/abs/1505.00996): around every place of the network's canvas, a and b
are fitted as straight lines in L. The lines are upsampled to the photo's size and evaluated at the photo's own L. So
colour changes where lightness does, and bleeds less over edges than with bilinear upsampling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ColourLines:
    """For places that lie evenly over a photo, a and b as straight lines in L: ab = slope * L + offset.

    Attributes:
        lines_4HW: the slopes of a and b, then their offsets.
        size: height and width of the photo.
    """

    lines_4HW: Tensor
    size: tuple[int, int]

    @classmethod
    def fit(cls, L_HW: Tensor, ab_2HW: Tensor, size: tuple[int, int], upsampling: Mapping[str, Any]) -> Self:
        """Fit the lines to the network's input and output.

        Args:
            L_HW: lightness in [0, 100] at the network's size.
            ab_2HW: the network's a and b, CIELAB units.
            size: height and width of the photo.
            upsampling: {"name": "bilinear"}, or {"name": "guided", "stride": pixels a side that are averaged before the
                fit, 1 where it is missing, "radius": of the windows of such means, "epsilon": L's variance (CIELAB
                units squared) below which a surface counts as flat}.

        Raises:
            ValueError: when no upsampling has that name.
        """
        if upsampling["name"] == "bilinear":
            return cls(torch.cat((torch.zeros_like(ab_2HW), ab_2HW)), size)
        if upsampling["name"] != "guided":
            raise ValueError(f"upsampling name (={upsampling['name']!r}) must be bilinear or guided")
        radius, stride = upsampling["radius"], upsampling.get("stride", 1)
        L_1HW, ab_2HW = F.avg_pool2d(L_HW[None], stride), F.avg_pool2d(ab_2HW, stride)
        L_mean, ab_mean = _window_mean(L_1HW, radius), _window_mean(ab_2HW, radius)
        variance = _window_mean(L_1HW.square(), radius) - L_mean.square()
        covariance = _window_mean(L_1HW * ab_2HW, radius) - L_mean * ab_mean
        slope = covariance / (variance.clamp_min(0) + upsampling["epsilon"])
        return cls(_window_mean(torch.cat((slope, ab_mean - slope * L_mean)), radius), size)

    def ab(self, L_HW: Tensor, rows: range, columns: range) -> Tensor:
        """Give a and b of a tile of the photo.

        Args:
            L_HW: the tile's lightness in [0, 100].
            rows: rows of the photo that the tile covers.
            columns: likewise.

        Returns:
            (2, H, W), CIELAB units.
        """
        samples = self.lines_4HW.shape[-2:]
        vertical = _bilinear_weights(samples[0], self.size[0], rows)
        horizontal = _bilinear_weights(samples[1], self.size[1], columns)
        if len(rows) > 16 * len(columns):  # a thin strip: the other order multiplies by all lines for each row
            lines_of_tile = vertical @ (self.lines_4HW @ horizontal.T)
        else:
            lines_of_tile = vertical @ self.lines_4HW @ horizontal.T
        slope_2HW, offset_2HW = lines_of_tile.split(2)
        ab_2HW: Tensor = slope_2HW * L_HW + offset_2HW
        return ab_2HW


def _window_mean(x_CHW: Tensor, radius: int) -> Tensor:
    """Mean over windows of (2 radius + 1)^2 pixels; at the border over the part that lies inside."""
    return F.avg_pool2d(x_CHW, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def _bilinear_weights(samples: int, size: int, pixels: range) -> Tensor:
    """The rows `pixels` of the matrix that resizes `samples` to `size` as `photos.resize` does, (pixels, samples)."""
    centers = (torch.arange(pixels.start, pixels.stop, dtype=torch.float64) + 0.5) * (samples / size) - 0.5
    support = max(1.0, samples / size)
    weights = (support - (centers.float()[:, None] - torch.arange(samples)).abs_()).clamp_min_(0)
    return weights / weights.sum(dim=1, keepdim=True)
