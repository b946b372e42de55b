"""The pixels on which `bands.py` and `samples.py` compare ways of making bands, and what is measured on them.

The sampled pixels of all photos lie below each other as one tall photo, H = photos x side and W = side, so that the
functions that make the bands of one photo make those of all photos in one call.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from huebands import color
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.bands import CHANNELS, Ends, Grid, Intervals, NestedBands
from huebands.conformal.groups import GROUPS, PARTITIONS, texture_of
from huebands.conformal.guarantee import Mode
from huebands.density import coordinate
from huebands.density.intervals import KNOTS
from huebands.photos.grey import GreyPhoto
from huebands.statistics.bootstrap import resampling_weights

CELLS = len(PARTITIONS["lightness x chroma"])  # they come first among the groups
EQUAL_TAILED = "equal-tailed"
LEAST_SHARE = 0.01  # of all pixels; smaller cells are left out of the table
SAMPLES = 8  # colorizations with dropout
_RESAMPLES = 2000
_CELL_FIGURES = ("cell_least", "cell_least_error", "cell_most")
_DEEPEST_TAIL = -7.5  # logit: 1 in 1800 beyond either end


@dataclass(frozen=True)
class Reached:
    """Widths and coverage of bands on each photo, channels last; joint: a pixel counts for all channels or for none.

    Attributes:
        widths: (photos, 3), means over pixels, 8-bit levels.
        covered: (photos, 3), shares of the pixels.
        cells: (photos, CELLS, 3), how many pixels are covered in each cell of lightness and chroma.
    """

    widths: np.ndarray
    covered: np.ndarray
    cells: np.ndarray

    @classmethod
    def of_channels(cls, channels: Sequence[Self]) -> Self:
        """Take R from the first, G from the second, B from the third."""
        widths, covered, cells = (
            np.stack([getattr(reached, name)[..., channel] for channel, reached in enumerate(channels)], axis=-1)
            for name in ("widths", "covered", "cells")
        )
        return cls(widths, covered, cells)


@dataclass(frozen=True)
class Pixels:
    """Sampled pixels of photos.

    Attributes:
        photos: how many.
        true_HW3: uint8.
        shown_HW3: uint8, the colorization.
        grey_HW: uint8.
        groups_HWP: uint8, unmerged.
        nested: by adaptivity, such as "0.5", and `EQUAL_TAILED`.
        quantiles_HWQ3: float32, values at the quantiles that `sample_pixels` was given.
        expected_HW3: float32, expected distance of the value from the colour shown, 8-bit levels.
        deviation_HW3: float32, standard deviation of colorizations with dropout, or of samples; 0 where there are none.
    """

    photos: int
    true_HW3: np.ndarray
    shown_HW3: np.ndarray
    grey_HW: np.ndarray
    groups_HWP: np.ndarray
    nested: dict[str, NestedBands]
    quantiles_HWQ3: np.ndarray
    expected_HW3: np.ndarray
    deviation_HW3: np.ndarray

    @classmethod
    def join(cls, photos_pixels: Sequence[Self]) -> Self:
        """Put photos below each other."""

        def rows(name: str) -> np.ndarray:
            return np.concatenate([getattr(pixels, name) for pixels in photos_pixels])

        true_HW3, shown_HW3, grey_HW = rows("true_HW3"), rows("shown_HW3"), rows("grey_HW")
        nested = {}
        for name in photos_pixels[0].nested:
            lower, upper = (
                torch.cat([getattr(ends_of(pixels.nested[name]), end) for pixels in photos_pixels], dim=2)
                for end in ("lower_K3SS", "upper_K3SS")
            )
            nested[name] = NestedBands(shown_HW3, grey_HW, Ends(lower, upper))
        further_values = (rows(name) for name in ("quantiles_HWQ3", "expected_HW3", "deviation_HW3"))
        photos = sum(pixels.photos for pixels in photos_pixels)
        return cls(photos, true_HW3, shown_HW3, grey_HW, rows("groups_HWP"), nested, *further_values)

    def by_photo(self, values_HW: np.ndarray) -> np.ndarray:
        """Divide the rows by photos: (H, W, ...) to (photos, side, W, ...)."""
        return values_HW.reshape(self.photos, len(values_HW) // self.photos, *values_HW.shape[1:])

    @cached_property
    def gamut(self) -> np.ndarray:
        """What sRGB can show at each pixel's grey level, uint8 (H, W, 3, 2)."""
        return np.asarray(color.gamut_table().numpy()[self.grey_HW])

    @cached_property
    def cell_counts(self) -> np.ndarray:
        """Pixels of each photo in each cell of lightness and chroma, (photos, CELLS)."""
        return self._sum_by_cell(np.ones(self.grey_HW.shape))

    def reach(self, bands_HW32: np.ndarray, mode: Mode) -> Reached:
        """Measure bands on the true colours; bounds that cross hold nothing and have no width."""
        lower, upper = bands_HW32[..., 0].astype(np.float32), bands_HW32[..., 1].astype(np.float32)
        inside_HW3 = (lower <= self.true_HW3) & (self.true_HW3 <= upper)
        if mode == "joint":
            inside_HW3 = np.repeat(inside_HW3.all(axis=-1, keepdims=True), 3, axis=-1)
        return Reached(
            self.by_photo(np.maximum(upper - lower, 0)).mean(axis=(1, 2), dtype=np.float64),
            self.by_photo(inside_HW3).mean(axis=(1, 2)),
            np.stack([self._sum_by_cell(inside_HW3[..., channel]) for channel in range(3)], axis=-1),
        )

    def _sum_by_cell(self, weights_HW: np.ndarray) -> np.ndarray:
        cells = self.by_photo(self.groups_HWP[..., 0]) + CELLS * np.arange(self.photos)[:, None, None]
        sums = np.bincount(cells.ravel(), weights=weights_HW.ravel(), minlength=self.photos * CELLS)
        return sums.reshape(self.photos, CELLS)


@dataclass
class Measured:
    """Figures of a score on the photos that did not calibrate it, over one split or many.

    Attributes:
        pixels: pixels of all photos.
        means: mean coverage of each split.
        refusals: why a split could not be calibrated.
    """

    pixels: Pixels
    means: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        photos = self.pixels.photos
        self._times = np.zeros(photos)  # that each photo was measured; the others are sums over these times
        self._widths, self._covered, self._cells = np.zeros((photos, 3)), np.zeros(photos), np.zeros((photos, CELLS))

    def add(self, reached: Reached, rows: np.ndarray) -> None:
        """Count the photos of these rows."""
        covered = reached.covered[rows].mean(axis=-1)
        self.means.append(float(covered.mean()))
        self._times[rows] += 1
        self._widths[rows] += reached.widths[rows]
        self._covered[rows] += covered
        self._cells[rows] += reached.cells[rows].mean(axis=-1)

    @property
    def coverage(self) -> float:
        """The mean over splits, each a mean over photos; NaN when there is none."""
        return float(np.mean(self.means)) if self.means else math.nan

    @property
    def error_over_splits(self) -> float:
        """Standard error of the mean over re-splits of these very photos."""
        return float(np.std(self.means, ddof=1) / math.sqrt(len(self.means)))

    @property
    def error_over_photos(self) -> float:
        """Standard error of the mean over photos."""
        shares = self.covered_by_photo
        return float(shares.std(ddof=1) / math.sqrt(len(shares)))

    @property
    def covered_by_photo(self) -> np.ndarray:
        """The share of each measured photo that was covered, in the order of the photos."""
        measured = self._times > 0
        return np.asarray(self._covered[measured] / self._times[measured])

    @property
    def widths_by_photo(self) -> np.ndarray:
        """The mean width of the bands of each measured photo, in the order of the photos."""
        measured = self._times > 0
        return np.asarray(self._widths[measured].mean(axis=1) / self._times[measured])

    def figures(self) -> dict[str, Any]:
        """Widths, coverage and that of the cells; NaN when no split could be calibrated."""
        measured = self._times > 0
        counts = (self._times[:, None] * self.pixels.cell_counts)[measured]
        large = np.flatnonzero(counts.sum(axis=0) >= LEAST_SHARE * counts.sum())
        if not self.means:
            names = ("width", *(f"width_{channel}" for channel in CHANNELS), "coverage", *_CELL_FIGURES)
            return dict.fromkeys(names, math.nan) | {"cell_least_name": "", "cell_most_name": ""}
        covered = self._cells[measured]
        shares = covered.sum(axis=0)[large] / counts.sum(axis=0)[large]
        least_covered, most_covered = large[shares.argmin()], large[shares.argmax()]
        weights = resampling_weights(len(counts), _RESAMPLES, seed=0)
        drawn = weights @ counts[:, least_covered]
        resampled = (weights @ covered[:, least_covered])[drawn > 0] / drawn[drawn > 0]
        widths = self._widths.sum(axis=0) / self._times.sum()
        return {
            "width": float(widths.mean()),
            **{f"width_{name}": float(width) for name, width in zip(CHANNELS, widths, strict=True)},
            "coverage": self.coverage,
            "cell_least": float(shares.min()),
            "cell_least_error": float(resampled.std()),
            "cell_least_name": GROUPS[least_covered],
            "cell_most": float(shares.max()),
            "cell_most_name": GROUPS[most_covered],
        }


@torch.inference_mode()
def sample_pixels(
    colorizer: Colorizer,
    true_HW3: np.ndarray,
    stride: int,
    adaptivities: Sequence[float],
    shares: Sequence[float],
    seed: int,
    samples: int = SAMPLES,
) -> Pixels:
    """Colorize a photo, and keep every `stride`-th pixel in both directions.

    Args:
        colorizer: colorizer of a complete package.
        true_HW3: uint8.
        stride: pixels.
        adaptivities: adaptivities of the nested intervals to compute.
        shares: shares of the quantiles to compute.
        seed: seed of dropout.
        samples: colorizations with dropout; 0 leaves the deviation at 0.
    """
    photo = GreyPhoto.of_rgb(true_HW3)
    grey_HW, shown_HW3 = photo.levels_HW, colorizer.colours.predict(photo)
    density = colorizer.density.estimate(photo)
    grouping, texture_SS = colorizer.calibration.shape.grouping, texture_of(density.L_SS)
    groups_PHW = grouping.of_pixels(shown_HW3, grey_HW, texture_SS, density.entropy)
    ends: dict[str, Intervals] = {f"{adaptivity:g}": density.intervals(adaptivity) for adaptivity in adaptivities}
    ends[EQUAL_TAILED] = equal_tailed_intervals(density.log_probabilities_3BSS)
    sampled = every(stride)
    grid, grey = Grid.over(density.grey_SS.shape, grey_HW.shape, *sampled), torch.from_numpy(grey_HW[sampled].copy())

    def interpolate(samples: Tensor) -> Tensor:
        result: Tensor = grid.interpolate(samples.flatten(0, 1)).unflatten(0, samples.shape[:2])
        return result

    quantiles_Q3HW = coordinate.decode(
        interpolate(quantiles(density.log_probabilities_3BSS, torch.tensor(shares))), grey
    )
    expected_3HW = expected_distance(
        interpolate(density.log_probabilities_3BSS.exp()), torch.from_numpy(shown_HW3[sampled]), grey
    )
    return Pixels(
        1,
        true_HW3[sampled],
        shown_HW3[sampled],
        grey_HW[sampled],
        np.moveaxis(groups_PHW, 0, -1)[sampled],
        {name: NestedBands(shown_HW3, grey_HW, intervals).sampled(*sampled) for name, intervals in ends.items()},
        quantiles_Q3HW.permute(2, 3, 0, 1).numpy(),
        expected_3HW.permute(1, 2, 0).numpy(),
        dropout_deviation(colorizer, photo, seed, samples)[sampled],
    )


def every(stride: int) -> tuple[slice, slice]:
    """The rows and columns of every `stride`-th pixel in both directions."""
    positions = slice(stride // 2, None, stride)
    return positions, positions


def ends_of(nested: NestedBands) -> Ends:
    """The ends of all knots; `sampled` gives bands that have them."""
    assert isinstance(nested.intervals, Ends)
    return nested.intervals


def quantiles(log_probabilities_3BHW: Tensor, shares_Q: Tensor) -> Tensor:
    """Positions (Q, 3, H, W) below which a histogram has these shares of its mass; even within bins."""
    bins = log_probabilities_3BHW.shape[1]
    cumulative = log_probabilities_3BHW.exp().cumsum(dim=1)
    below = torch.cat((torch.zeros_like(cumulative[:, :1]), cumulative / cumulative[:, -1:]), dim=1)
    below_3HWB = below.movedim(1, -1).contiguous()
    shares_3HWQ = shares_Q.expand(*below_3HWB.shape[:-1], len(shares_Q)).contiguous()
    bin_after = torch.searchsorted(below_3HWB, shares_3HWQ).clamp(1, bins)
    low, high = below_3HWB.gather(-1, bin_after - 1), below_3HWB.gather(-1, bin_after)
    fraction = ((shares_3HWQ - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
    return ((bin_after - 1 + fraction) / bins * 2 - 1).movedim(-1, 0)


def equal_tailed_intervals(log_probabilities_3BHW: Tensor) -> Ends:
    """Intervals from the median outwards, as `density.intervals.nested_intervals` gives them."""
    tails = torch.sigmoid(torch.linspace(0, _DEEPEST_TAIL, KNOTS))
    ends = []
    for shares, outermost in ((tails, -1.0), (1 - tails, 1.0)):
        knots = quantiles(log_probabilities_3BHW, shares)
        ends.append(torch.cat((knots, torch.full_like(knots[:1], outermost))))
    return Ends(ends[0].cummin(dim=0).values, ends[1].cummax(dim=0).values)


def expected_distance(probabilities_3BHW: Tensor, shown_HW3: Tensor, grey_HW: Tensor) -> Tensor:
    """Expected distance (3, H, W) of the value from the colour shown, 8-bit levels; values are even within bins."""
    bins = probabilities_3BHW.shape[1]
    edges = torch.linspace(-1, 1, bins + 1)[:, None, None, None].expand(-1, 3, *grey_HW.shape)
    values_3BHW = coordinate.decode(edges, grey_HW).transpose(0, 1)
    low, high = values_3BHW[:, :-1], values_3BHW[:, 1:]
    shown_31HW = shown_HW3.permute(2, 0, 1)[:, None].float()
    inside = shown_31HW.clamp(low, high)
    distance = (shown_31HW - inside).abs() + ((inside - low) ** 2 + (high - inside) ** 2) / (
        2 * (high - low)
    ).clamp_min(1e-6)
    return (probabilities_3BHW * distance).sum(dim=1) / probabilities_3BHW.sum(dim=1)


def dropouts(colorizer: Colorizer) -> list[nn.Dropout]:
    """The generator's layers that drop something."""
    return [layer for layer in colorizer.package.generator.modules() if isinstance(layer, nn.Dropout) and layer.p > 0]


def sampler(colorizer: Colorizer) -> Colorizer:
    """A colorizer whose every prediction is another sample: dropout is on, batch normalisation in evaluation.

    It looks at a photo once: averaged over views, samples would differ less and take longer.
    """
    generator = copy.deepcopy(colorizer.package.generator)
    result = Colorizer(replace(colorizer.package, generator=generator), colorizer.source)
    vars(result)["colours"] = replace(result.colours, views=1)
    for layer in dropouts(result):
        layer.train()
    # Eager: a compiled network was traced in evaluation, and has no dropout.
    vars(result.colours)["compiled"] = generator
    return result


def dropout_deviation(colorizer: Colorizer, photo: GreyPhoto, seed: int, samples: int = SAMPLES) -> np.ndarray:
    """Standard deviation of colorizations with dropout, float32 (H, W, 3); 0 where there are none.

    Raises:
        RuntimeError: when the samples are equal, although the generator has dropout.
    """
    if not samples or not dropouts(colorizer):
        return np.zeros((*photo.shape, 3), np.float32)
    sampling = sampler(colorizer)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = [sampling.colours.predict(photo).astype(np.float32) for _ in range(samples)]
    deviation_HW3 = np.asarray(np.std(drawn, axis=0, ddof=1))
    if not deviation_HW3.any():
        raise RuntimeError(f"{colorizer.source}: {samples} samples with dropout are equal: it is not at work")
    return deviation_HW3
