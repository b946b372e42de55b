"""Bands from samples of a photo's colours: nested families of them, and the list that `samples.py` compares.

Each family is calibrated over photos as all of `band_scores` are. In the joint mode the channels tighten each other by
luminance in every family, as they do in a package's bands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np

from band_pixels import Pixels
from band_scores import (
    FACTORS,
    FLOORS,
    Calibrated,
    Symmetric,
    channel_scales,
    enclose,
    first_steps,
    of_distribution,
    with_luminance,
)
from huebands.conformal.bands import STEPS
from huebands.conformal.guarantee import MODES, Mode
from huebands.conformal.shape import Shape

SPREAD, WIDENED, SCALED = "samples, spread", "samples, quantiles widened", "samples, quantiles scaled"
LEVELS, DENSITY, CONSTANT = "samples, quantile levels", "density (ours)", "constant width"
TAILS = (0.05, 0.1, 0.25)  # share of the samples beyond either quantile
OFFSETS = (0, 12, 24, 48)  # steps by which G may be ahead in the joint mode
INNER = 72  # steps of `Levels` from the median to the outermost samples
_MARGINS = np.arange(STEPS) - 48.0  # 8-bit levels; negative ones make bands narrower than the quantiles
_OUTER_MARGINS = np.concatenate((np.zeros(INNER + 1), np.geomspace(0.25, 256, STEPS - INNER - 1)))  # of `Levels`


class Family(Protocol):
    """Nested bands of pixels."""

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The bands at steps (3,) or (H, W, 3): uint8 (H, W, 3, 2); the last hold all that sRGB can show."""


@dataclass(frozen=True)
class SampledPixels:
    """Pixels of photos, and samples of their colours.

    Attributes:
        pixels: whose `deviation_HW3` is that of the samples.
        sorted_NHW3: uint8, the samples of each value, rising.
    """

    pixels: Pixels
    sorted_NHW3: np.ndarray

    @classmethod
    def of(cls, pixels: Pixels, samples_NHW3: np.ndarray) -> Self:
        """Keep samples, uint8, of pixels.

        Raises:
            ValueError: for fewer than two samples, which have no spread.
        """
        if len(samples_NHW3) < 2:
            raise ValueError(f"count (={len(samples_NHW3)}) of samples must be at least 2: one has no spread")
        deviation_HW3 = samples_NHW3.std(axis=0, ddof=1, dtype=np.float32)
        return cls(replace(pixels, deviation_HW3=deviation_HW3), np.sort(samples_NHW3, axis=0))

    @classmethod
    def join(cls, photos: Sequence[Self]) -> Self:
        """Put photos below each other."""
        pixels = Pixels.join([photo.pixels for photo in photos])
        return cls(pixels, np.concatenate([photo.sorted_NHW3 for photo in photos], axis=1))

    def at_ranks(self, ranks: np.ndarray) -> np.ndarray:
        """Values at ranks among the N samples, linear between them: 0 is the least, N - 1 the greatest.

        So the q-quantile has rank q (N - 1), as NumPy's has.

        Args:
            ranks: in [0, N - 1], (H, W, 3).

        Returns:
            float32 (H, W, 3).
        """
        below = np.floor(ranks).astype(np.int64)
        above = np.minimum(below + 1, len(self.sorted_NHW3) - 1)
        low, high = (
            np.take_along_axis(self.sorted_NHW3, index[None], axis=0)[0].astype(np.float32) for index in (below, above)
        )
        return np.asarray(low + (ranks - below).astype(np.float32) * (high - low))

    def quantiles(self, tail: float) -> tuple[np.ndarray, np.ndarray]:
        """The quantiles with a share `tail` of the samples beyond each, float32 (H, W, 3) both."""
        last = len(self.sorted_NHW3) - 1
        lower, upper = (
            self.at_ranks(np.full(self.sorted_NHW3.shape[1:], rank)) for rank in (tail * last, (1 - tail) * last)
        )
        return lower, upper


@dataclass(frozen=True)
class Widened:
    """Nested bands: two bounds, moved apart by a margin, as in conformalized quantile regression (Romano et al. 2019).

    Attributes:
        pixels: whose bands these are.
        bounds: lower and upper, real, (H, W, 3) each.
        units: of the margin of the lower and of the upper bound, 8-bit levels, (3,) or (H, W, 3).
        margins: (STEPS,), rising; the last is replaced by one that reaches all that sRGB can show.
    """

    pixels: Pixels
    bounds: tuple[np.ndarray, np.ndarray]
    units: tuple[np.ndarray, np.ndarray]
    margins: np.ndarray

    def at(self, steps: np.ndarray) -> np.ndarray:
        """See `Family.at`."""
        below, above = (np.where(steps == STEPS - 1, 256, self.margins[steps] * unit) for unit in self.units)
        return enclose(self.pixels, self.bounds[0] - below, self.bounds[1] + above)


@dataclass(frozen=True)
class Levels:
    """Nested bands: from the median to rarer and rarer quantiles, and from the outermost samples on by a margin.

    Attributes:
        sampled: whose bands these are.
        unit: of the margin, 8-bit levels, (3,).
    """

    sampled: SampledPixels
    unit: np.ndarray

    def at(self, steps: np.ndarray) -> np.ndarray:
        """See `Family.at`."""
        last = len(self.sampled.sorted_NHW3) - 1
        ranks = last / 2 * (1 - np.minimum(steps, INNER) / INNER)
        ranks_HW3 = np.broadcast_to(ranks, self.sampled.sorted_NHW3.shape[1:])
        margin = np.where(steps == STEPS - 1, 256, _OUTER_MARGINS[steps] * self.unit)
        lower, upper = self.sampled.at_ranks(ranks_HW3), self.sampled.at_ranks(last - ranks_HW3)
        return enclose(self.sampled.pixels, lower - margin, upper + margin)


@dataclass(frozen=True)
class Chosen:
    """A score, and what the validation photos chose for it."""

    score: Calibrated
    setting: str


def sample_scores(sampled: SampledPixels, val: SampledPixels, shape: Shape, nested: str) -> dict[str, Chosen]:
    """The scores by name, in the order of the table.

    Args:
        sampled: pixels of the photos that calibrate and that are measured.
        val: pixels of the validation photos, which choose the settings.
        shape: shape of the package's bands.
        nested: name of the package's bands among `Pixels.nested`.
    """
    chosen = {
        name: choose(settings, sampled, val, shape)
        for name, settings in family_settings(channel_scales(val.pixels)).items()
    }
    ours = of_distribution(sampled.pixels, sampled.pixels.nested[nested], shape)
    setting = f"adaptivity {shape.adaptivity:g}, G ahead by {shape.joint_offsets[1]}: the package's"
    return {**chosen, DENSITY: Chosen(ours, setting)}


def family_settings(scales: np.ndarray) -> dict[str, dict[str, Callable[[SampledPixels], Family]]]:
    """The families by name and setting.

    Args:
        scales: of R, G and B, (3,): the proportions of margins and floors, which do not depend on the pixel.
    """

    def spread(floor: float) -> Callable[[SampledPixels], Family]:
        return lambda sampled: Symmetric(sampled.pixels, sampled.pixels.deviation_HW3 + floor * scales, FACTORS)

    def widened(tail: float) -> Callable[[SampledPixels], Family]:
        return lambda sampled: Widened(sampled.pixels, sampled.quantiles(tail), (scales, scales), _MARGINS)

    def scaled(tail: float, floor: float) -> Callable[[SampledPixels], Family]:
        def family(sampled: SampledPixels) -> Family:
            shown = sampled.pixels.shown_HW3.astype(np.float32)
            lower, upper = sampled.quantiles(tail)
            units = np.maximum(shown - lower, 0) + floor * scales, np.maximum(upper - shown, 0) + floor * scales
            return Widened(sampled.pixels, (shown, shown), units, FACTORS)

        return family

    return {
        SPREAD: {f"floor {floor:g}": spread(floor) for floor in FLOORS},
        WIDENED: {f"tails {tail:g}": widened(tail) for tail in TAILS},
        SCALED: {f"tails {tail:g}, floor {floor:g}": scaled(tail, floor) for tail in TAILS for floor in FLOORS},
        LEVELS: {"": lambda sampled: Levels(sampled, scales)},
        CONSTANT: {"": lambda sampled: Symmetric(sampled.pixels, scales, np.arange(STEPS))},
    }


def choose(
    settings: Mapping[str, Callable[[SampledPixels], Family]], sampled: SampledPixels, val: SampledPixels, shape: Shape
) -> Chosen:
    """Choose what has the narrowest bands on the validation photos: the setting over both modes, then G's offset.

    Raises:
        AlphaError: when the validation photos are too few.
    """

    def width(score: Calibrated, *modes: Mode) -> float:
        return float(sum(score(np.arange(val.pixels.photos), mode).widths.mean() for mode in modes))

    widths = {setting: width(over_photos(make(val), val.pixels, shape), *MODES) for setting, make in settings.items()}
    setting = min(widths, key=lambda name: widths[name])
    on_val = over_photos(settings[setting](val), val.pixels, shape)
    ahead = min(OFFSETS, key=lambda offset: width(_ahead(on_val, offset), "joint"))
    score = _ahead(over_photos(settings[setting](sampled), sampled.pixels, shape), ahead)
    return Chosen(score, ", ".join(part for part in (setting, f"G ahead by {ahead}") if part))


def over_photos(family: Family, pixels: Pixels, shape: Shape) -> Calibrated:
    """Calibrate nested bands over photos, with luminance, no channel ahead in the joint mode."""
    steps = first_steps(family.at, pixels.true_HW3)
    return Calibrated(pixels, with_luminance(family.at, pixels), steps, replace(shape, joint_offsets=(0, 0, 0)))


def _ahead(score: Calibrated, offset: int) -> Calibrated:
    return replace(score, shape=replace(score.shape, joint_offsets=(0, offset, 0)))
