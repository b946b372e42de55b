"""Grey levels of 8 or 16 bits to CIELAB lightness, and colours back to levels of the same depth."""

from functools import cache

import torch
from torch import Tensor

from huebands import color
from huebands.loops.srgb import shown_levels


def lightness(grey: Tensor) -> Tensor:
    """CIELAB lightness of uint8 or uint16 grey levels, float32."""
    return color.lightness_of_grey(grey) if grey.dtype == torch.uint8 else _deep_lightness()[grey.int()]


@cache
def _deep_lightness() -> Tensor:
    """CIELAB lightness of the 65,536 grey levels of 16 bits."""
    levels = (torch.arange(65536, dtype=torch.float64) / 65535).expand(3, 1, 65536)
    return color.srgb_to_lab(levels)[0, 0].clamp(0, 100).float()


def to_levels(lab_3HW: Tensor, grey_HW: Tensor) -> Tensor:
    """Convert CIELAB to sRGB levels of the type of its grey, (3, H, W)."""
    if grey_HW.dtype == torch.uint8:
        return shown_levels(lab_3HW)
    fitted_3HW = color.fit_to_gamut(lab_3HW)
    # The gamut is that of 8 bits, with half a level of slack: what is cut off a channel, the others make up for.
    linear_3HW = color.lab_to_linear(fitted_3HW).clamp(0, 1)
    luminance_HW = color.srgb_to_linear(grey_HW.double() / 65535).float()
    share_3HW = linear_3HW * torch.tensor(color.RGB_TO_XYZ[1])[:, None, None]
    is_free_3HW = linear_3HW < 1
    free_HW, full_HW = (share_3HW * is_free_3HW).sum(0), (share_3HW * ~is_free_3HW).sum(0)
    factor_HW = torch.where(free_HW > 0, (luminance_HW - full_HW) / free_HW.clamp_min(1e-12), 1.0).clamp_min(0)
    rgb_3HW = color.linear_to_srgb(torch.where(is_free_3HW, linear_3HW * factor_HW, linear_3HW))
    return (rgb_3HW.clamp(0, 1) * 65535).round().to(torch.uint16)
