"""The expected colour error of what is shown: the mean CIEDE2000 to the truth, under each pixel's own colour density.

The truth has the lightness of the grey photo, and so has the colour shown. So the lightness term of CIEDE2000 is 0, and
chroma and hue decide alone. How far colours can lie apart depends on the lightness, which differs between the pixels
near a sample: so a sample has an error for each of several grey levels, `LEVELS`. Source of the formula: Sharma, Wu &
Dalal 2005, "The CIEDE2000 color-difference formula", https://doi.org/10.1002/col.20070, with all parametric factors 1.
"""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor

from huebands import color

LEVELS = (0, 32, 64, 96, 128, 160, 192, 224, 255)  # grey levels at which errors are computed
LEAST_PROBABILITY = 1e-4  # rarer colours are left out: most of a density's colours, with little of its mass
_CHUNK = 1 << 15  # pairs of colours: temporaries stay in the processor's cache
_ROWS_PER_CELL = 16  # and columns: of a photo, for the mean colour of a cell
_LARGE_CHROMA_7 = 25.0**7
_ZERO = 1e-12  # keeps roots and quotients of grey finite


def expected_errors(
    probabilities_QSS: Tensor, ab_KQ2: Tensor, rgb_HW3: NDArray[np.uint8], grey_HW: NDArray[np.uint8]
) -> Tensor:
    """The expected error of pixels with each of the K `LEVELS`, at places spread evenly over a photo.

    One place has the mean density of four samples, which takes a quarter of the time. On 120 val photos of
    photos-large the means of four samples' errors had a sparsification error of 0.523, the samples' own of 0.524.

    Args:
        probabilities_QSS: of Q colours at each sample.
        ab_KQ2: a and b of the colours at each level, CIELAB units.
        rgb_HW3: the colours shown.
        grey_HW: grey levels of the photo.

    Returns:
        float32 (K, S / 2, S / 2), in CIEDE2000. It is 0 where no pixel near the place has a grey level near that one.
    """
    size = (-(-probabilities_QSS.shape[1] // 2), -(-probabilities_QSS.shape[2] // 2))
    probabilities_QSS = F.adaptive_avg_pool2d(probabilities_QSS, size)
    shown_ab_2SS, errors_KSS = mean_ab(rgb_HW3, size), torch.zeros(len(LEVELS), *size)
    lightness = color.lightness_of_grey(torch.tensor(LEVELS, dtype=torch.uint8))
    for L, ab_Q2, are_needed_SS, error_SS in zip(lightness, ab_KQ2, _needed(grey_HW, size), errors_KSS, strict=True):
        shown_lab_3SS = color.fit_to_gamut(torch.cat((L.expand(1, *size), shown_ab_2SS)))
        likely_QN, shown_2N = probabilities_QSS[:, are_needed_SS], shown_lab_3SS[1:, are_needed_SS]
        error_SS[are_needed_SS] = expected_error(likely_QN, ab_Q2, shown_2N)
    return errors_KSS


def expected_error(probabilities_QN: Tensor, ab_Q2: Tensor, shown_ab_2N: Tensor) -> Tensor:
    """The mean CIEDE2000 between the colour shown and the colours of a density.

    Colours less likely than `LEAST_PROBABILITY` are left out, and the others weighed up. Sums are made in one order and
    in float64, so they do not depend on the number of threads.

    Args:
        probabilities_QN: of Q colours at N samples; some of each sample are likelier than `LEAST_PROBABILITY`.
        ab_Q2: a and b of the colours, CIELAB units.
        shown_ab_2N: a and b shown at each sample, CIELAB units.

    Returns:
        float32 (N,), in CIEDE2000, not negative.
    """
    count = probabilities_QN.shape[1]
    colours, samples = (probabilities_QN > LEAST_PROBABILITY).nonzero(as_tuple=True)
    a_and_b = (
        *(values_Q.index_select(0, colours) for values_Q in ab_Q2.unbind(dim=1)),
        *(shown_N.index_select(0, samples) for shown_N in shown_ab_2N),
    )
    pairs = zip(*(values.split(_CHUNK) for values in a_and_b), strict=True)
    errors = torch.cat([equal_lightness_ciede2000(*pair) for pair in pairs]).double().numpy()
    likely = probabilities_QN[colours, samples].double().numpy()
    total, mass = (np.bincount(samples.numpy(), weights, count) for weights in (likely * errors, likely))
    return torch.from_numpy((total / mass).astype(np.float32))


def equal_lightness_ciede2000(a_1: Tensor, b_1: Tensor, a_2: Tensor, b_2: Tensor) -> Tensor:
    """CIEDE2000 between colours of one lightness, whatever it is; CIELAB units, any one shape.

    The cosines of multiples of the mean hue follow from its cosine and sine, without an angle. Where hues are opposite,
    the formula itself jumps.
    """
    chroma_7 = _power_7((_length(a_1, b_1) + _length(a_2, b_2)) / 2)
    stretch = 1.5 - 0.5 * (chroma_7 / (chroma_7 + _LARGE_CHROMA_7)).sqrt()  # 1 + G
    a_1, a_2 = a_1 * stretch, a_2 * stretch
    chroma_1, chroma_2 = _length(a_1, b_1), _length(a_2, b_2)
    mean_chroma = (chroma_1 + chroma_2) / 2
    inverse_1, inverse_2 = 1 / chroma_1.clamp_min(_ZERO), 1 / chroma_2.clamp_min(_ZERO)
    x_1, y_1, x_2, y_2 = a_1 * inverse_1, b_1 * inverse_1, a_2 * inverse_2, b_2 * inverse_2
    cos_1, sin_1 = _mean_direction(x_1, y_1, x_2, y_2)
    cos_2, sin_2 = cos_1 * cos_1 - sin_1 * sin_1, 2 * sin_1 * cos_1
    cos_3, sin_3 = cos_2 * cos_1 - sin_2 * sin_1, sin_2 * cos_1 + cos_2 * sin_1
    cos_4, sin_4 = cos_2 * cos_2 - sin_2 * sin_2, 2 * sin_2 * cos_2
    weight = 1 - _shifted(0.17, 30, cos_1, sin_1) + 0.24 * cos_2  # T
    weight += _shifted(0.32, -6, cos_3, sin_3) - _shifted(0.20, 63, cos_4, sin_4)
    chroma_difference = chroma_2 - chroma_1
    hue_difference = (chroma_1 * chroma_2).sqrt() * _length(x_2 - x_1, y_2 - y_1)
    hue_difference = torch.where(x_1 * y_2 < x_2 * y_1, -hue_difference, hue_difference)
    chroma_term = chroma_difference / (1 + 0.045 * mean_chroma)
    hue_term = hue_difference / (1 + 0.015 * mean_chroma * weight)
    rotation = _rotation(mean_chroma, cos_1, sin_1)
    squared = chroma_term.square() + hue_term.square() + rotation * chroma_term * hue_term
    return squared.clamp_min(0).sqrt()


def mean_ab(rgb_HW3: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """The a and b of a photo's mean colour in each cell of an even grid, float32 (2, *size) in CIELAB units.

    Sums of bytes are whole numbers, so they are the same on every processor. Of a large photo some of the rows and
    columns count, `_ROWS_PER_CELL` or more in each cell. A cell smaller than a pixel has the colour of the pixel at its
    start.
    """
    height, width = (
        max(pixels // (cells * _ROWS_PER_CELL), 1) for pixels, cells in zip(rgb_HW3.shape, size, strict=False)
    )
    rgb_HW3 = rgb_HW3[::height, ::width]
    starts = _starts(rgb_HW3.shape, size)
    counts = [
        np.maximum(np.diff(start, append=pixels), 1) for start, pixels in zip(starts, rgb_HW3.shape, strict=False)
    ]
    sums = np.add.reduceat(rgb_HW3, starts[0], axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, starts[1], axis=1)
    mean_rgb = torch.from_numpy(sums / np.multiply.outer(*counts)[..., None] / 255)
    return color.srgb_to_lab(mean_rgb.movedim(-1, 0))[1:].float()


@cache
def between_levels() -> tuple[Tensor, Tensor]:
    """For each grey level: the place of the one before it in `LEVELS`, int64 (256,), and the weight of the next one."""
    levels = np.array(LEVELS)
    grey = np.arange(levels[-1] + 1)
    before = np.clip(np.searchsorted(levels, grey, side="right") - 1, 0, len(levels) - 2)
    weight = (grey - levels[before]) / (levels[before + 1] - levels[before])
    return torch.from_numpy(before), torch.from_numpy(weight.astype(np.float32))


def _needed(grey_HW: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Which of `LEVELS` lie around the grey levels of a sample's cell and of its neighbours, bool (K, *size)."""
    ends = []
    for reduce, spread in ((np.minimum, minimum_filter), (np.maximum, maximum_filter)):
        end = grey_HW
        for axis, starts in enumerate(_starts(grey_HW.shape, size)):
            end = reduce.reduceat(end, starts, axis=axis)
        ends.append(torch.from_numpy(spread(end, size=3)).long())
    before, _ = between_levels()
    places = torch.arange(len(LEVELS))[:, None, None]
    return (places >= before[ends[0]]) & (places <= before[ends[1]] + 1)


def _starts(shape: tuple[int, ...], cells: tuple[int, int]) -> list[NDArray[np.int_]]:
    """The first row of each cell of an even grid over a photo, and the first column."""
    return [np.arange(count) * pixels // count for count, pixels in zip(cells, shape, strict=False)]


def _mean_direction(x_1: Tensor, y_1: Tensor, x_2: Tensor, y_2: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the mean hue: the direction of the sum of the hues' unit vectors; that of grey is 0.

    The sum of opposite vectors is near 0 and loses its digits. There their difference, turned by 90 degrees, is used.
    """
    x, y = x_1 + x_2, y_1 + y_2
    turned_x, turned_y = y_2 - y_1, x_1 - x_2
    are_opposite = x * x + y * y < turned_x * turned_x + turned_y * turned_y
    sign = torch.where(turned_x * x + turned_y * y < 0, -1.0, 1.0)
    x, y = torch.where(are_opposite, sign * turned_x, x), torch.where(are_opposite, sign * turned_y, y)
    length = _length(x, y).clamp_min(_ZERO)
    return x / length, y / length


def _rotation(mean_chroma: Tensor, cos_hue: Tensor, sin_hue: Tensor) -> Tensor:
    """R_T, which turns the ellipses of blue."""
    blue = math.radians(275)
    degrees_off = torch.atan2(
        sin_hue * math.cos(blue) - cos_hue * math.sin(blue), cos_hue * math.cos(blue) + sin_hue * math.sin(blue)
    ) * (180 / math.pi)
    chroma_7 = _power_7(mean_chroma)
    angle = math.radians(60) * torch.exp(-(degrees_off / 25).square())
    return -2 * (chroma_7 / (chroma_7 + _LARGE_CHROMA_7)).sqrt() * torch.sin(angle)


def _shifted(factor: float, degrees: float, cos: Tensor, sin: Tensor) -> Tensor:
    """The cosine of an angle less so many degrees, times a factor, from the angle's cosine and sine."""
    shift = math.radians(degrees)
    return factor * math.cos(shift) * cos + factor * math.sin(shift) * sin


def _length(x: Tensor, y: Tensor) -> Tensor:
    return (x.square() + y.square()).sqrt()


def _power_7(x: Tensor) -> Tensor:
    squared = x * x
    return squared * squared * squared * x
