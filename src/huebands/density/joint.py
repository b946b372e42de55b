"""The joint histogram of a pixel's colour at its grey level: R and B span a square of positions, and G follows.

Luminance is known, so R and B determine G up to rounding. A histogram over the positions of R and of B
(`density.coordinate`), `bins` a side, is therefore a density of the whole colour. Its Q = bins^2 cells are counted row
by row: cell r * bins + b has R in bin r and B in bin b.
"""

from functools import cache

import torch
from torch import Tensor

from huebands import color
from huebands.density import coordinate

_SAMPLES = 3  # of a cell a side, where G is worked out
_LEVELS = 256


def cells_of(values_B3HW: Tensor, grey_BHW: Tensor, bins: int) -> Tensor:
    """The cell of each colour, int64 (B, H, W).

    Args:
        values_B3HW: float, R, G and B in 8-bit levels.
        grey_BHW: uint8, their grey levels.
        bins: of each side.
    """
    u_B3HW = coordinate.encode(values_B3HW, grey_BHW)
    red, _, blue = ((u_B3HW + 1) / 2 * bins).long().clamp(0, bins - 1).unbind(1)
    return red * bins + blue


def channel_histograms(probabilities_QSS: Tensor, grey_SS: Tensor, bins: int) -> Tensor:
    """Probabilities of each channel's positions, (3, bins, S, S), of the joint histogram.

    Args:
        probabilities_QSS: of the cells.
        grey_SS: uint8, grey level of each sample.
        bins: of each side, and of each channel's histogram.
    """
    by_red_and_blue = probabilities_QSS.unflatten(0, (bins, bins))
    red, blue = by_red_and_blue.sum(1), by_red_and_blue.sum(0)
    shares = _green_shares(bins)
    cells_NQ, levels_N = probabilities_QSS.flatten(1).T.contiguous(), grey_SS.flatten().long()
    green_NK = torch.empty(len(levels_N), bins)
    for level in levels_N.unique().tolist():
        rows = (levels_N == level).nonzero()[:, 0]
        green_NK[rows] = cells_NQ[rows] @ shares[level]
    return torch.stack((red, green_NK.T.reshape(red.shape), blue))


@cache
def ab_of_cells(levels: tuple[int, ...], bins: int) -> Tensor:
    """The colour at each cell's centre: a and b, CIELAB units, (K, Q, 2); a colour outside sRGB is clipped.

    Args:
        levels: K grey levels.
        bins: of each side.
    """
    with torch.inference_mode(False):
        lab_K3NN = color.srgb_to_lab(_colours(bins, 1)[list(levels)])
        return lab_K3NN[:, 1:].flatten(2).movedim(1, 2).contiguous()


@cache
def _colours(bins: int, samples: int) -> Tensor:
    """R, G and B in [0, 1] at places spread evenly over the cells at each grey level: (256, 3, n, n),
    n = bins x samples.

    Luminance gives G; where it would leave sRGB it is clipped.
    """
    with torch.inference_mode(False):
        places = bins * samples
        u = (torch.arange(places) + 0.5) / places * 2 - 1
        grey = torch.arange(_LEVELS, dtype=torch.uint8)[:, None, None]
        red = (coordinate.decode_channel(u[None, :, None], grey, 0) / 255).clamp(0, 1)
        blue = (coordinate.decode_channel(u[None, None, :], grey, 2) / 255).clamp(0, 1)
        to_Y = color.RGB_TO_XYZ[1]
        luminance = color.srgb_to_linear(grey.float() / 255) * sum(to_Y)
        rest = luminance - to_Y[0] * color.srgb_to_linear(red) - to_Y[2] * color.srgb_to_linear(blue)
        green = color.linear_to_srgb((rest / to_Y[1]).clamp(0, 1))
        return torch.stack((red.expand_as(green), green, blue.expand_as(green)), dim=1)


@cache
def _green_shares(bins: int) -> Tensor:
    """Shares of each cell's places that have G in each of the bins of positions, at each grey level: (256, Q, bins)."""
    with torch.inference_mode(False):
        rgb_L3NN = _colours(bins, _SAMPLES)
        grey_LNN = torch.arange(_LEVELS, dtype=torch.uint8)[:, None, None].expand(-1, *rgb_L3NN.shape[2:])
        u_LNN = coordinate.encode(rgb_L3NN * 255, grey_LNN)[:, 1]
        green_LNN = ((u_LNN + 1) / 2 * bins).long().clamp(0, bins - 1)
        side = torch.arange(bins * _SAMPLES) // _SAMPLES
        cells_N = (side[:, None] * bins + side).flatten()
        shares = torch.zeros(_LEVELS, bins * bins, bins)
        levels = torch.arange(_LEVELS)[:, None].expand(-1, len(cells_N))
        weight = torch.full(levels.shape, 1 / _SAMPLES**2)
        return shares.index_put_((levels, cells_N.expand_as(levels), green_LNN.flatten(1)), weight, accumulate=True)
