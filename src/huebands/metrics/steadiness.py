"""Steadiness: how far a photo's colours change with what should not change them.

A row less, another size and a border show the same picture. Each figure is the mean CIEDE2000 between the colours of
the plain photo and those of the changed one, over the pixels that both show.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from skimage.color import deltaE_ciede2000, rgb2lab

from huebands.photos.resize import resize
from huebands.statistics.bootstrap import mean_interval, resampling_weights

KEYS = ("steadiness_row", "steadiness_size", "steadiness_border", "border_chroma")
_RESAMPLES = 2000
_MOST = 200.0  # greater than any difference or chroma of sRGB colours
SMALL = 256  # pixels: the longer side of a photo's smaller version
TONES: Mapping[str, int] = {"white": 255, "black": 0, "grey": 119, "paper": 236}  # sRGB grey levels; 119 is L = 50
WIDTHS = (0.03, 0.08, 0.15)  # of the photo's width
_TEXTURE = 3.0  # levels: standard deviation of paper
_WAVE = 0.002  # of the photo's width: how far the edge of a print lies from its mean, standard deviation
_SKEW = 0.5  # degrees, at most

Colour = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # from grey levels (H, W) to sRGB (H, W, 3)


@dataclass(frozen=True)
class BorderedPhoto:
    """A photo with a border around it.

    Attributes:
        levels_HW: uint8, grey levels.
        is_border_HW: bool.
        picture: rows and columns of the whole photo, some of whose outermost pixels the border may cover.
    """

    levels_HW: NDArray[np.uint8]
    is_border_HW: NDArray[np.bool_]
    picture: tuple[slice, slice]


def measure_photos(
    photos: Iterable[tuple[str, NDArray[np.uint8]]], colour: Colour, seed: int
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Measure photos, given as id and grey levels: {id: what `measure_steadiness` gives}."""
    random = np.random.default_rng(seed)
    return {photo_id: measure_steadiness(levels_HW, colour, random) for photo_id, levels_HW in photos}


def measure_steadiness(levels_HW: NDArray[np.uint8], colour: Colour, random: np.random.Generator) -> dict[str, float]:
    """Measure a photo.

    Args:
        levels_HW: uint8, its grey levels.
        colour: gives colours to grey levels.
        random: chooses the widths of the borders, and draws the paper.

    Returns:
        Those of `KEYS` that the photo allows: a row less needs two rows, and a smaller version of `SMALL` pixels a
        larger photo. Borders of all `TONES` are averaged; their chroma is that of their own pixels, CIELAB units.
    """
    lab_HW3 = rgb2lab(colour(levels_HW))
    figures = {}
    if len(levels_HW) > 1:
        figures["steadiness_row"] = _difference(lab_HW3[:-1], rgb2lab(colour(levels_HW[:-1])))
    if max(levels_HW.shape) > SMALL:
        figures["steadiness_size"] = _difference_of_sizes(levels_HW, lab_HW3, colour)
    differences, chromas = [], []
    for tone in TONES:
        bordered = draw_border(levels_HW, tone, float(random.choice(WIDTHS)), random)
        bordered_HW3 = rgb2lab(colour(bordered.levels_HW))
        is_shown_HW = ~bordered.is_border_HW[bordered.picture]
        differences.append(_difference(lab_HW3[is_shown_HW], bordered_HW3[bordered.picture][is_shown_HW]))
        chromas.append(np.hypot(*bordered_HW3[bordered.is_border_HW].T[1:]).mean())
    figures["steadiness_border"], figures["border_chroma"] = float(np.mean(differences)), float(np.mean(chromas))
    return figures


def summarise_steadiness(photos: Sequence[Mapping[str, float]], seed: int) -> dict[str, dict[str, float]]:
    """Average figures over photos.

    Args:
        photos: what `measure_steadiness` gives for each.
        seed: of the bootstrap over photos.

    Returns:
        {key: {"model", "low", "high", "photos"}}: the mean, its 95% interval, and how many photos have the figure.
        A key that no photo has is left out.
    """
    summary = {}
    for key in KEYS:
        values = np.array([figures[key] for figures in photos if key in figures])
        if len(values):
            low, high = mean_interval(values, resampling_weights(len(values), _RESAMPLES, seed), (0.0, _MOST))
            ends = {"model": float(values.mean()), "low": low, "high": high}
            summary[key] = {name: round(end, 3) for name, end in ends.items()} | {"photos": len(values)}
    return summary


def draw_border(
    levels_HW: NDArray[np.uint8], tone: str, share: float, random: np.random.Generator
) -> BorderedPhoto:  # fmt: skip
    """Lay a photo on a larger sheet.

    White, black and grey are even, and their edges are straight. Paper is rough, and the photo lies on it at a skew;
    its edges are not quite straight.

    Args:
        levels_HW: uint8.
        tone: of `TONES`.
        share: width of the border, of the photo's width.
        random: draws the paper.
    """
    height, width = levels_HW.shape
    border = max(round(share * width), 1)
    sheet_HW = np.full((height + 2 * border, width + 2 * border), TONES[tone], np.float32)
    picture = np.s_[border : border + height, border : border + width]
    is_border_HW = np.ones(sheet_HW.shape, bool)
    is_border_HW[picture] = False
    if tone == "paper":
        sheet_HW += _TEXTURE * 2 * gaussian_filter(random.standard_normal(sheet_HW.shape), 0.7)
        is_border_HW[picture] = _covered(height, width, random)
    sheet = sheet_HW.round().clip(0, 255).astype(np.uint8)
    sheet[picture] = np.where(is_border_HW[picture], sheet[picture], levels_HW)
    return BorderedPhoto(sheet, is_border_HW, picture)


def _covered(height: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which pixels of a photo its border covers, where edges are skewed and wavy."""
    covered_HW = np.zeros((height, width), bool)
    slope = np.tan(np.radians(random.uniform(-_SKEW, _SKEW)))
    # Each quarter turn brings the next side to the top; a skew runs around the photo.
    for turned_HW in (covered_HW, covered_HW.T[::-1], covered_HW[::-1, ::-1], covered_HW.T[:, ::-1]):
        depth, length = turned_HW.shape
        wave_L = 8 * _WAVE * width * gaussian_filter1d(random.standard_normal(length), 16)
        line_L = slope * np.arange(length) + wave_L
        turned_HW |= np.arange(depth)[:, None] < (line_L - line_L.min()).round()
    return covered_HW


def _difference_of_sizes(levels_HW: NDArray[np.uint8], lab_HW3: NDArray[np.float64], colour: Colour) -> float:
    """Difference from the colours of the smaller photo, at its size and lightness; it is made as programs make it."""
    scale = SMALL / max(levels_HW.shape)
    size = (max(round(scale * levels_HW.shape[0]), 1), max(round(scale * levels_HW.shape[1]), 1))
    small_HW = np.asarray(Image.fromarray(levels_HW).resize(size[::-1], Image.Resampling.LANCZOS))
    small_lab_HW3 = rgb2lab(colour(small_HW))
    expected_HW3 = np.concatenate((small_lab_HW3[..., :1], _resize(lab_HW3[..., 1:], size)), axis=-1)
    return _difference(expected_HW3, small_lab_HW3)


def _resize(image_HWC: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.float32]:
    image_1CHW = torch.from_numpy(image_HWC.astype(np.float32)).permute(2, 0, 1)[None]
    return resize(image_1CHW, size)[0].permute(1, 2, 0).numpy()


def _difference(lab: NDArray[np.float64], other_lab: NDArray[np.float64]) -> float:
    return float(deltaE_ciede2000(lab, other_lab).mean())
