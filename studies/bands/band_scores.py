"""The ways of making bands that `bands.py` compares: nested families, what calibrates them, and the list of all."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from band_pixels import EQUAL_TAILED, Pixels, Reached
from huebands.conformal.bands import STEPS, STEPS_PER_KNOT, NestedBands
from huebands.conformal.calibration import Calibration
from huebands.conformal.groups import GROUPS
from huebands.conformal.guarantee import MODES, Guarantee, Mode
from huebands.conformal.luminance import propagate
from huebands.conformal.mapie_reference import mapie_half_widths, mapie_quantile_margin
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.scores import KINDS, photo_losses
from huebands.conformal.shape import Shape
from huebands.conformal.table import LossTable
from huebands.density import coordinate
from huebands.density.intervals import KNOTS

ALPHA, DELTA = 0.1, 0.1
MAPIE, OURS = "1 MAPIE, residuals", "7 distribution (ours)"
FACTORS = np.geomspace(0.25, 25, STEPS)  # of a spread; a step is 1.6%, about as fine as ours
FLOORS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # 8-bit levels
OFFSETS = (0, 12, 24)  # steps by which G may be ahead in the joint mode
_LEAST_SPREAD = 0.25  # 8-bit levels

Bands = Callable[[np.ndarray, Mode], np.ndarray]  # steps, (3,) or (H, W, 3), and mode: bands (H, W, 3, 2)
Score = Callable[[np.ndarray, Mode], Reached]  # rows of the photos that calibrate, and mode: figures of all photos


@dataclass(frozen=True)
class Symmetric:
    """Nested bands: the colour shown +- a factor of its spread, rounded outwards, cut to what sRGB can show.

    Attributes:
        pixels: whose bands these are.
        spread: 8-bit levels, (3,) or (H, W, 3).
        factors: (STEPS,), rising; the last is replaced by one that reaches all that sRGB can show.
    """

    pixels: Pixels
    spread: np.ndarray
    factors: np.ndarray

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The bands at steps (3,) or (H, W, 3): uint8 (H, W, 3, 2)."""
        distance = np.where(steps == STEPS - 1, 256, self.factors[steps] * self.spread)
        return enclose(self.pixels, self.pixels.shown_HW3 - distance, self.pixels.shown_HW3 + distance)


@dataclass(frozen=True)
class Unrounded:
    """The nested bands of the distribution with real bounds: all of `NestedBands` but the rounding outwards."""

    nested: NestedBands

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The bands at steps (3,) or (H, W, 3): float32 (H, W, 3, 2)."""
        nested = self.nested
        grey = torch.from_numpy(nested.grey_HW)
        bands_HW32 = np.empty((*nested.shown_HW3.shape, 2), np.float32)
        for channel in range(3):
            step = torch.from_numpy(np.broadcast_to(steps[..., channel], nested.grey_HW.shape).astype(np.int64))
            knot, fraction = step // STEPS_PER_KNOT, (step % STEPS_PER_KNOT) / STEPS_PER_KNOT
            ends = []
            for knots in nested.intervals.knots(0, KNOTS + 1, channel):
                start, end = (knots.gather(0, index[None])[0] for index in (knot, (knot + 1).clamp_max(KNOTS)))
                ends.append(coordinate.decode_channel(start + fraction * (end - start), grey, channel).numpy())
            shown = nested.shown_HW3[..., channel]
            bands_HW32[..., channel, 0] = np.minimum(ends[0], shown)
            bands_HW32[..., channel, 1] = np.maximum(ends[1], shown)
        return bands_HW32


def enclose(pixels: Pixels, lower_HW3: np.ndarray, upper_HW3: np.ndarray) -> np.ndarray:
    """Make bands of real bounds: rounded outwards, cut to what sRGB can show, with the colour shown in them.

    Bounds may cross: the bands then end at the colour shown.

    Returns:
        uint8 (H, W, 3, 2).
    """
    shown, gamut = pixels.shown_HW3, pixels.gamut
    lower = np.minimum(np.maximum(np.floor(lower_HW3), gamut[..., 0]), shown)
    upper = np.maximum(np.minimum(np.ceil(upper_HW3), gamut[..., 1]), shown)
    return np.stack((lower, upper), axis=-1).astype(np.uint8)


def without_shown(nested: NestedBands) -> NestedBands:
    """The same bands without the colour shown: it is replaced by a value that all of them hold anyway."""
    lowest_3HW = torch.cat([nested.intervals.knots(0, 1, channel)[0] for channel in range(3)])
    innermost = coordinate.decode(lowest_3HW, torch.from_numpy(nested.grey_HW)).floor()
    return replace(nested, shown_HW3=innermost.permute(1, 2, 0).numpy().astype(np.uint8))


def first_steps(bands_at: Callable[[np.ndarray], np.ndarray], true_HW3: np.ndarray) -> np.ndarray:
    """The first step at which nested bands hold the true value, uint16 (H, W, 3); the last must hold all."""
    low, high = np.full(true_HW3.shape, -1), np.full(true_HW3.shape, STEPS - 1)  # misses, holds
    while (high - low).max() > 1:
        middle = np.maximum((low + high) // 2, 0)
        bands = bands_at(middle)
        is_held = (bands[..., 0] <= true_HW3) & (true_HW3 <= bands[..., 1])
        low, high = np.where(is_held, low, middle), np.where(is_held, middle, high)
    return high.astype(np.uint16)


@dataclass(frozen=True)
class Calibrated:
    """Nested bands, calibrated over photos by the very `Calibration` of a package.

    Attributes:
        pixels: pixels of the photos.
        bands: at steps.
        first_steps_HW3: uint16, of the true values.
        shape: joint offsets and groups.
        delta: delta of the guarantee.
        grouped: each group keeps the promise.
    """

    pixels: Pixels
    bands: Bands
    first_steps_HW3: np.ndarray
    shape: Shape
    delta: float | None = None
    grouped: bool = False
    _cache: dict[tuple[Mode, tuple[int, ...]], Reached] = field(default_factory=dict, init=False)

    def __call__(self, rows: np.ndarray, mode: Mode) -> Reached:
        """Calibrate on the photos of these rows, measure on all.

        Raises:
            AlphaError, RiskError: when they are too few for the promise.
        """
        losses, group_losses, present = self._losses
        sums, photos = np.zeros((len(GROUPS), KINDS, STEPS)), np.zeros(len(GROUPS), np.int64)
        if self.grouped:
            sums, photos = group_losses[rows].sum(axis=0), present[rows].sum(axis=0)
        table = LossTable(losses[rows], sums, photos, np.zeros(len(rows)))
        calibration = Calibration(self.shape, table, "", "", "", "", min_chroma=0.0, unlike_p_value=0.05)
        if self.grouped:
            group_steps = calibration.group_steps(Guarantee(alpha=ALPHA, mode=mode, delta=self.delta))
            steps = group_steps[self.pixels.groups_HWP].max(axis=2)
            return self.pixels.reach(self.bands(steps, mode), mode)
        first, second, third = calibration.steps(Guarantee(alpha=ALPHA, mode=mode, delta=self.delta)).tolist()
        if mode == "joint":
            return self._reached(mode, (first, second, third))
        return Reached.of_channels([self._reached(mode, (step,) * 3) for step in (first, second, third)])

    def _reached(self, mode: Mode, steps: tuple[int, ...]) -> Reached:
        if (mode, steps) not in self._cache:
            self._cache[mode, steps] = self.pixels.reach(self.bands(np.array(steps), mode), mode)
        return self._cache[mode, steps]

    @cached_property
    def _losses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(photos, KINDS, STEPS), by group (photos, GROUPS, KINDS, STEPS) if asked for, presence (photos, GROUPS)."""
        merged_HWP = self.shape.grouping.merge(
            self.pixels.groups_HWP if self.grouped else self.pixels.groups_HWP[..., :0]
        )
        overall, by_group, present = [], [], []
        for steps, groups in zip(*map(self.pixels.by_photo, (self.first_steps_HW3, merged_HWP)), strict=True):
            losses = photo_losses(steps, np.moveaxis(groups, -1, 0), self.shape.joint_offsets)
            overall.append(losses.overall)
            if self.grouped:
                by_group.append(losses.groups)
                present.append(losses.present)
        return np.stack(overall), np.array(by_group), np.array(present)


def mapie_residuals(pixels: Pixels, cut: bool) -> Score:
    """MAPIE's split conformal regressor on all pixels of the calibrating photos; joint: each channel at alpha / 3."""

    def score(rows: np.ndarray, mode: Mode) -> Reached:
        true, shown = (pixels.by_photo(rgb_HW3)[rows].reshape(-1, 3) for rgb_HW3 in (pixels.true_HW3, pixels.shown_HW3))
        (half_widths,) = mapie_half_widths(true, shown, [_share(mode)])
        lower, upper = pixels.shown_HW3 - half_widths, pixels.shown_HW3 + half_widths
        if cut:
            lower, upper = np.maximum(lower, pixels.gamut[..., 0]), np.minimum(upper, pixels.gamut[..., 1])
        return pixels.reach(np.stack((lower, upper), axis=-1), mode)

    return score


def mapie_quantiles(pixels: Pixels) -> Score:
    """MAPIE's conformalized quantile regressor, likewise; the quantiles are those of `quantile_shares`."""

    def score(rows: np.ndarray, mode: Mode) -> Reached:
        lower, upper = (pixels.quantiles_HWQ3[:, :, index] for index in ((0, 1) if mode == "per_channel" else (2, 3)))
        calibrating = [
            pixels.by_photo(values_HW3)[rows].reshape(-1, 3).T
            for values_HW3 in (lower, upper, pixels.quantiles_HWQ3[:, :, 4], pixels.true_HW3)
        ]
        margins = [
            mapie_quantile_margin(low, high, median, true, _share(mode))
            for low, high, median, true in zip(*calibrating, strict=True)
        ]
        lower_margins, upper_margins = np.array(margins).T
        return pixels.reach(np.stack((lower - lower_margins, upper + upper_margins), axis=-1), mode)

    return score


def quantile_shares() -> tuple[float, ...]:
    """Lower and upper for per_channel, lower and upper for joint, median."""
    tails = (_share("per_channel") / 2, _share("joint") / 2)
    return (tails[0], 1 - tails[0], tails[1], 1 - tails[1], 0.5)


def _share(mode: Mode) -> float:
    return ALPHA if mode == "per_channel" else ALPHA / 3


def make_scores(pixels: Pixels, val: Pixels, shape: Shape, dropout: bool) -> dict[str, Score]:
    """All ways by name, in the order of the table.

    Args:
        pixels: pixels of the photos that calibrate and that are measured.
        val: pixels of the validation photos, which choose what a way leaves open.
        shape: shape of the package's bands.
        dropout: whether the generator has dropout.
    """
    spread = np.maximum(pixels.expected_HW3, _LEAST_SPREAD)
    scores: dict[str, Score] = {
        MAPIE: mapie_residuals(pixels, cut=False),
        "2 the same, cut to the gamut": mapie_residuals(pixels, cut=True),
        "3 constant, over photos": symmetric(pixels, channel_scales(val), np.arange(STEPS), shape),
        "4 magnitude": symmetric(pixels, spread, FACTORS, shape),
        "4 magnitude, luminance": symmetric(pixels, spread, FACTORS, shape, luminance=True),
    }
    if dropout:
        floor = best_floor(val, shape)
        spread = pixels.deviation_HW3 + floor
        scores[f"5 dropout, floor {floor:g}"] = symmetric(pixels, spread, FACTORS, shape)
    scores["6 MAPIE, quantiles"] = mapie_quantiles(pixels)
    scores["6 quantiles, over photos"] = of_distribution(pixels, pixels.nested[EQUAL_TAILED], shape)

    nested = pixels.nested[f"{shape.adaptivity:g}"]
    ours = of_distribution(pixels, nested, shape)
    for name, bands in pixels.nested.items():
        if name != EQUAL_TAILED:
            adaptivity = f"7 distribution, adaptivity {name}"
            scores[OURS if bands is nested else adaptivity] = of_distribution(pixels, bands, shape)
    bare, unrounded = without_shown(nested), Unrounded(nested)
    scores["7 ours, colour shown not taken in"] = of_distribution(pixels, bare, shape, shown=False)
    scores["7 ours, no luminance"] = replace(ours, bands=lambda steps, mode: nested.at(steps))
    for ahead in OFFSETS:
        if (offsets := (0, ahead, 0)) != shape.joint_offsets:
            scores[f"7 ours, G ahead by {ahead}"] = replace(ours, shape=replace(shape, joint_offsets=offsets))
    steps = first_steps(unrounded.at, pixels.true_HW3)
    scores["7 ours, no luminance nor rounding"] = Calibrated(
        pixels, lambda steps, mode: unrounded.at(steps), steps, shape
    )
    scores["8 ours, each group"] = replace(ours, grouped=True)
    scores[f"9 ours, rcps at delta {DELTA:g}"] = replace(ours, delta=DELTA)
    return scores


def of_distribution(pixels: Pixels, nested: NestedBands, shape: Shape, shown: bool = True) -> Calibrated:
    """Bands as a package gives them; shown: joint bands are widened to the colour shown after luminance too."""
    photo = PhotoBands(nested, shape.grouping, torch.empty(0), entropy=0.0, atypicality=0.0)
    bands = photo.at if shown else with_luminance(nested.at, pixels, shown=False)
    return Calibrated(pixels, bands, nested.first_steps(pixels.true_HW3), shape)


def symmetric(
    pixels: Pixels, spread: np.ndarray, factors: np.ndarray, shape: Shape, luminance: bool = False
) -> Calibrated:
    """Calibrated `Symmetric` bands with one factor for all channels in the joint mode."""
    nested = Symmetric(pixels, spread, factors)
    bands = with_luminance(nested.at, pixels) if luminance else lambda steps, mode: nested.at(steps)
    steps = first_steps(nested.at, pixels.true_HW3)
    return Calibrated(pixels, bands, steps, replace(shape, joint_offsets=(0, 0, 0)))


def with_luminance(bands_at: Callable[[np.ndarray], np.ndarray], pixels: Pixels, shown: bool = True) -> Bands:
    """Joint: let the channels tighten each other, as `PhotoBands.at` does."""

    def bands(steps: np.ndarray, mode: Mode) -> np.ndarray:
        bands_HW32 = bands_at(steps)
        if mode == "per_channel":
            return bands_HW32
        lower, upper = propagate(bands_HW32[..., 0], bands_HW32[..., 1], pixels.grey_HW)
        if shown:
            lower, upper = np.minimum(lower, pixels.shown_HW3), np.maximum(upper, pixels.shown_HW3)
        return np.stack((lower, upper), axis=-1)

    return bands


def channel_scales(val: Pixels) -> np.ndarray:
    """Half widths of R, G and B relative to the largest, (3,): MAPIE's for the joint mode on the validation photos."""
    true, shown = (rgb_HW3.reshape(-1, 3) for rgb_HW3 in (val.true_HW3, val.shown_HW3))
    (half_widths,) = mapie_half_widths(true, shown, [_share("joint")])
    return np.asarray(half_widths / half_widths.max())


def best_floor(val: Pixels, shape: Shape) -> float:
    """The floor of the deviation under dropout whose bands are narrowest on the validation photos, over both modes."""

    def width(floor: float) -> float:
        score = symmetric(val, val.deviation_HW3 + floor, FACTORS, shape)
        return float(sum(score(np.arange(val.photos), mode).widths.mean() for mode in MODES))

    return min(FLOORS, key=width)
