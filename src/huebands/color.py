"""sRGB <-> CIELAB in torch, for the D65 white point and the 2 degree observer, exact against scikit-image.

Tensors are (..., 3, H, W). RGB floats lie in [0, 1]; L in [0, 100]; a and b in CIELAB units.
Source: IEC 61966-2-1 (sRGB) and CIE 15 (CIELAB), with scikit-image's constants.
"""

from functools import cache

import torch
from torch import Tensor

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)
AB_SCALE = 110.0
_EPSILON = 0.008856
SLOPE, OFFSET, LINE_END = 7.787, 16.0 / 116.0, 0.2068966  # CIELAB's f is a line up to there
GAMUT_STEPS = 12  # bisections: chroma is found to within 1/4096


def srgb_to_linear(rgb: Tensor) -> Tensor:
    """Undo sRGB's transfer curve: [0, 1] to linear light in [0, 1]."""
    return torch.where(rgb > 0.04045, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Apply sRGB's transfer curve to linear light; negative values stay on the linear segment."""
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, linear * 12.92)


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W) in [0, 1] to CIELAB of the same shape; differentiable."""
    to_xyz, _, white = constants(rgb.dtype, rgb.device)
    xyz = _mix(srgb_to_linear(rgb), to_xyz) / white
    f = torch.where(xyz > _EPSILON, xyz.clamp_min(_EPSILON) ** (1 / 3), SLOPE * xyz + OFFSET)
    x, y, z = f.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """Convert CIELAB (..., 3, H, W) to sRGB; colours outside sRGB leave [0, 1]; differentiable."""
    return linear_to_srgb(lab_to_linear(lab))


def lab_to_linear(lab: Tensor) -> Tensor:
    """Convert CIELAB (..., 3, H, W) to linear light in sRGB's primaries; differentiable."""
    L, a, b = lab.unbind(-3)
    y = (L + 16) / 116
    # Z cannot be negative: f(Z) is held at 0, as in scikit-image.
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp_min(0)), dim=-3)
    _, from_xyz, white = constants(lab.dtype, lab.device)
    xyz = torch.where(f > LINE_END, f.clamp_min(LINE_END) ** 3, (f - OFFSET) / SLOPE) * white
    return _mix(xyz, from_xyz)


def fit_to_gamut(lab: Tensor) -> Tensor:
    """Reduce chroma at constant lightness and hue until sRGB can show the colour.

    Args:
        lab: (..., 3, H, W), L in [0, 100].

    Returns:
        The same shape; colours already inside are unchanged. L is never changed.
    """
    channels_last = lab.movedim(-3, -1)
    outside = ~_in_gamut(lab)
    L, ab = channels_last[outside].T[:1], channels_last[outside].T[1:]
    low, high = torch.zeros_like(L), torch.ones_like(L)
    for _ in range(GAMUT_STEPS):
        middle = (low + high) / 2
        inside = _in_gamut(torch.cat((L, middle * ab))[:, None])
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    fitted = channels_last.clone()
    fitted[outside] = torch.cat((L, low * ab)).T
    return fitted.movedim(-1, -3)


def encode_lab(lab: Tensor) -> Tensor:
    """Round CIELAB to the prepared format: int16 hundredths. Every 8-bit sRGB colour survives it."""
    return (lab * 100).round().to(torch.int16)


def decode_lab(hundredths: Tensor) -> Tensor:
    """Read the prepared format: int16 hundredths to CIELAB float32."""
    return hundredths.to(torch.float32) / 100


def to_units(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Split CIELAB into L_unit (..., 1, H, W) and ab_unit (..., 2, H, W), both in [-1, 1]."""
    L, ab = lab[..., :1, :, :], lab[..., 1:, :, :]
    return L / 50 - 1, (ab / AB_SCALE).clamp(-1, 1)


def from_units(L_unit: Tensor, ab_unit: Tensor) -> Tensor:
    """Join L_unit (..., 1, H, W) and ab_unit (..., 2, H, W) to CIELAB (..., 3, H, W)."""
    return torch.cat(((L_unit + 1) * 50, ab_unit * AB_SCALE), dim=-3)


def to_bytes(rgb: Tensor) -> Tensor:
    """Round sRGB in [0, 1] to uint8; what lies outside is clipped."""
    return (rgb.clamp(0, 1) * 255).round().to(torch.uint8)


def from_bytes(rgb: Tensor) -> Tensor:
    """Read uint8 sRGB as float32 in [0, 1]."""
    return rgb.to(torch.float32) / 255


def grey_levels(rgb: Tensor) -> Tensor:
    """Find the grey of the same luminance, and so of the same CIELAB lightness.

    Args:
        rgb: uint8 (..., 3, H, W).

    Returns:
        uint8 (..., H, W); a grey pixel (g, g, g) gives g.
    """
    linear = srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).float()
    red, green, blue = (linear[channel.int()] for channel in rgb.unbind(-3))
    weights = RGB_TO_XYZ[1]
    luminance = weights[0] * red + weights[1] * green + weights[2] * blue
    return torch.bucketize(luminance, grey_edges(), out_int32=True).to(torch.uint8)


def lightness_of_grey(grey: Tensor) -> Tensor:
    """CIELAB lightness in [0, 100] of uint8 grey levels (any shape), float32."""
    return _lightness()[grey.int()]


@cache
def grey_edges() -> Tensor:
    """Luminances at which the nearest grey level changes, (255,) float32; the g-th belongs to level g."""
    return srgb_to_linear((torch.arange(255, dtype=torch.float64) + 0.5) / 255).float()


@cache
def gamut_table() -> Tensor:
    """The range of each RGB channel at a given grey level.

    Returns:
        uint8 (256, 3, 2): for each grey level and channel the lowest and highest 8-bit value of any colour whose
        `grey_levels` is that level. No 8-bit sRGB colour lies outside.
    """
    table = torch.empty(256, 3, 2, dtype=torch.uint8)
    values = torch.arange(256, dtype=torch.uint8)
    levels = torch.arange(256)
    for channel in range(3):
        darkest = torch.zeros(3, 1, 256, dtype=torch.uint8)
        brightest = torch.full((3, 1, 256), 255, dtype=torch.uint8)
        darkest[channel], brightest[channel] = values, values
        # Luminance rises with every channel, so both bounds are sorted and each grey level owns an interval.
        lowest, highest = grey_levels(darkest)[0].long(), grey_levels(brightest)[0].long()
        table[:, channel, 0] = torch.searchsorted(highest, levels)
        table[:, channel, 1] = torch.searchsorted(lowest, levels, right=True) - 1
    return table


def gamut_of_bytes(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Least and most linear light that rounds to bytes without clipping: half a level of slack on either side."""
    return srgb_to_linear(torch.tensor([-0.5 / 255, 1 + 0.5 / 255], dtype=dtype, device=device))


@cache
def constants(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The matrix to XYZ, its inverse and the white point, made once: uploading them would halt a GPU's queue."""
    with torch.inference_mode(False):  # else gradients could not pass them later
        to_xyz = torch.tensor(RGB_TO_XYZ, dtype=dtype, device=device)
        return to_xyz, torch.linalg.inv(to_xyz), torch.tensor(WHITE, dtype=dtype, device=device).view(3, 1, 1)


@cache
def _lightness() -> Tensor:
    levels = (torch.arange(256, dtype=torch.float64) / 255).expand(3, 1, 256)
    return srgb_to_lab(levels)[0, 0].clamp(0, 100).float()


def _in_gamut(lab: Tensor) -> Tensor:
    """Whether the colours (..., 3, H, W) round to bytes without clipping, (..., H, W)."""
    lowest, highest = gamut_of_bytes(lab.dtype, lab.device)  # in linear light, which spares the transfer curve
    linear = lab_to_linear(lab)
    return torch.all((linear >= lowest) & (linear <= highest), dim=-3)


def _mix(channels: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix, channels)
