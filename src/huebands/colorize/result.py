"""The result: a colorized photo and its bands."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.full_colours import FullColours
from huebands.colorize.hints_report import HintsReport
from huebands.conformal.bands import CHANNELS
from huebands.conformal.error_map import MAPS, MapName, choose_map, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.photo_bands import ChosenBands
from huebands.photos.heatmap import EXPECTED_ERROR, WIDTH, Scale, heat_levels, magma
from huebands.photos.strips import strips

_BINS, _PER_UNIT = 200_000, 1000  # of errors, CIEDE2000


@dataclass(frozen=True)
class ErrorFigures:
    """What there is to say of expected errors.

    Attributes:
        mean: CIEDE2000.
        p90: their 90th percentile, to 0.001.
    """

    mean: float
    p90: float

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.float32]]) -> Self:
        """Measure errors that come in parts."""
        total, counts_N = 0.0, np.zeros(_BINS, np.int64)
        for errors in parts:
            total += float(errors.sum(dtype=np.float64))
            bins = np.minimum((errors * _PER_UNIT).astype(np.int32), _BINS - 1)
            counts_N += np.bincount(bins.ravel(), minlength=_BINS)
        count = int(counts_N.sum())
        rank = 0.9 * (count - 1)
        below, above = np.searchsorted(np.cumsum(counts_N), (int(rank), math.ceil(rank)), side="right")
        p90 = (below + (above - below) * (rank % 1) + 0.5) / _PER_UNIT
        return cls(total / count, float(p90))


@dataclass(frozen=True, kw_only=True, eq=False)
class Colorization:
    """A colorized photo and, for every pixel and channel, a range for the true value.

    The guarantee is about the photo as a whole: it says nothing of one pixel. A small `likeness` means that the photo
    is unlike the calibration photos: then the guarantee may not hold.

    Attributes:
        rgb: uint8 (H, W, 3), the colours shown.
        chosen: its bands, made when they are asked for.
        grey: uint8 (H, W), the photo as the model saw it.
        guarantee: guarantee that the bands keep.
        steps: int (3,), of the nested bands for R, G and B; grouped: pixels have these or later ones.
        likeness: conformal p-value of the atypicality score: at most q with probability q for a photo exchangeable
            with the calibration photos.
        error_KSS: expected error of pixels with each of K grey levels, `density.expected_error.LEVELS`, at samples
            spread evenly over the photo; None where the model gives none.
        full: the colours at the depth of the photo's file, with its transparency; None: they are `rgb`.
        hints: what there is to say of the photo's hints; None: it has none.
        caveat: what holds in place of the guarantee where the colours follow hints or a reference; None: it holds.
        law: what the guarantee needs of the photo's hints, where the calibration photos had hints; None: nothing.
        samples: further colourings, uint8 (H, W, 3) each. They need not lie inside the bands, see `share_outside`.
    """

    rgb: NDArray[np.uint8]
    chosen: ChosenBands
    grey: NDArray[np.uint8]
    guarantee: Guarantee
    steps: NDArray[np.int_]
    likeness: float
    error_KSS: NDArray[np.float32] | None = None
    full: FullColours | None = None
    samples: tuple[NDArray[np.uint8], ...] = ()
    hints: HintsReport | None = None
    caveat: str | None = None
    law: str | None = None

    @cached_property
    def bands(self) -> dict[str, NDArray[np.uint8]]:
        """The bands of R, G and B, uint8 (H, W, 2) = [lower, upper] each."""
        return {name: self.chosen.of_channel(channel) for channel, name in enumerate(CHANNELS)}

    @property
    def width(self) -> NDArray[np.float32]:
        """Band width at every pixel, the mean over the channels, (H, W) in 8-bit levels."""
        return self.width_in(slice(None))

    def width_in(self, rows: slice) -> NDArray[np.float32]:
        """`width` in some rows."""
        bands_HW32 = self.chosen.in_rows(rows)
        widths_HW3 = bands_HW32[..., 1] - bands_HW32[..., 0]
        return np.asarray(widths_HW3.sum(axis=2, dtype=np.uint16) / np.float32(len(CHANNELS)), np.float32)

    @cached_property
    def mean_width(self) -> float:
        """The mean of `width` over the photo."""
        total = sum(float(self.width_in(rows).sum(dtype=np.float64)) for rows in strips(*self.grey.shape))
        return total / self.grey.size

    def share_outside(self, rgb_HW3: NDArray[np.uint8]) -> float:
        """The share of a picture's channel values, or in the joint mode of its pixels, that are outside the bands.

        Args:
            rgb_HW3: of the photo's size.
        """
        outside = 0
        for rows in strips(*self.grey.shape):
            values_HW3, bands_HW32 = rgb_HW3[rows], self.chosen.in_rows(rows)
            are_outside_HW3 = (values_HW3 < bands_HW32[..., 0]) | (values_HW3 > bands_HW32[..., 1])
            is_joint = self.guarantee.mode == "joint"
            outside += int(np.count_nonzero(are_outside_HW3.any(axis=2) if is_joint else are_outside_HW3))
        return outside / (self.grey.size if self.guarantee.mode == "joint" else rgb_HW3.size)

    @cached_property
    def samples_outside(self) -> tuple[float, ...]:
        """`share_outside` of each sample."""
        return tuple(self.share_outside(sample) for sample in self.samples)

    @property
    def expected_error(self) -> NDArray[np.float32] | None:
        """Expected colour error of what is shown, (H, W) in CIEDE2000; None where the model gives none.

        Among pixels of new photos like the validation photos with the value 6, the mean error is about 6.
        """
        return None if self.error_KSS is None else self.expected_error_in(slice(None))

    def expected_error_in(self, rows: slice) -> NDArray[np.float32]:
        """`expected_error` in some rows, of a model that gives one."""
        assert self.error_KSS is not None
        return upsample(self.error_KSS, self.grey, rows)

    @cached_property
    def error_figures(self) -> ErrorFigures | None:
        """Mean and 90th percentile of `expected_error` over the photo; None where the model gives none."""
        if self.error_KSS is None:
            return None
        return ErrorFigures.of(self.expected_error_in(rows) for rows in strips(*self.grey.shape))

    @property
    def maps(self) -> tuple[MapName, ...]:
        """The names of its maps of uncertainty; the first is the usual one."""
        return MAPS if self.error_KSS is not None else ("width",)

    def map(self, name: MapName | None = None, rows: slice = slice(None)) -> tuple[NDArray[np.float32], Scale]:
        """A map of uncertainty, (H, W), and the scale of its picture.

        Args:
            name: of the map; None: the first of `maps`.
            rows: of the photo that are asked for.

        Raises:
            MapError: when there is no such map.
        """
        if choose_map(name, self.maps) == "expected-error":
            return self.expected_error_in(rows), EXPECTED_ERROR
        return self.width_in(rows), WIDTH

    def heat(self, name: MapName | None = None) -> NDArray[np.uint8]:
        """The levels of `heatmap.magma` that show a map, uint8 (H, W).

        Raises:
            MapError: when there is no such map.
        """
        levels_HW = np.empty(self.grey.shape, np.uint8)
        for rows in strips(*self.grey.shape):
            levels_HW[rows] = heat_levels(*self.map(name, rows))
        return levels_HW

    @property
    def uncertainty(self) -> NDArray[np.uint8]:
        """Heat map of the usual map of uncertainty, uint8 (H, W, 3); the scale is the same for every photo."""
        colours: NDArray[np.uint8] = magma()[self.heat()]
        return colours
