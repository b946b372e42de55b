"""Measures for `huebands coverage` whether the guarantee holds on a user's own colour photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.own_colour import own_colour
from huebands.conformal.coverage import measure_bands
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.mapie_reference import exchangeability_rejected, risk_exceeded
from huebands.conformal.scores import JOINT
from huebands.photos.grey import GreyPhoto
from huebands.statistics.bootstrap import mean_interval, resampling_weights
from huebands.statistics.broken_promise import broken_p, mean_interval_exact

LEVEL = 0.05  # of every test: the chance of rejecting a guarantee that holds


@dataclass(frozen=True)
class Measured:
    """One photo: coverage, mean width in 8-bit levels, p-value of likeness, and whether a random pixel is covered."""

    coverage: float
    width: float
    likeness: float
    pixel_covered: bool


def why_left_out(true_HW3: np.ndarray, min_chroma: float) -> str | None:
    """Say why a photo does not show the colours of its subject, or fewer than the guarantee is for; None: it does.

    Args:
        true_HW3: uint8, sRGB.
        min_chroma: least mean chroma of the calibration photos.
    """
    match own_colour(true_HW3, min_chroma):
        case "none":
            return f"is grey or nearly so (a mean chroma below {min_chroma:g}, the least of the calibration photos)"
        case "tinted":
            return "is tinted: its colours follow its lightness, as in a sepia print or a cyanotype"
        case "colour":
            return None


def measure(colorizer: Colorizer, true_HW3: np.ndarray, guarantee: Guarantee, random: np.random.Generator) -> Measured:
    """Colorize the lightness of a photo, and measure the share of its true values inside the bands.

    Raises:
        AlphaError: when the calibration does not support alpha.
    """
    calibration = colorizer.calibration
    prediction, mode = colorizer.predict(GreyPhoto.of_rgb(true_HW3)), guarantee.mode
    bands_HW32 = prediction.bands.at(calibration.steps(guarantee), mode)
    measured = measure_bands(bands_HW32, true_HW3, prediction.bands.groups, mode)
    y, x = (int(random.integers(side)) for side in prediction.photo.shape)
    inside_3 = (bands_HW32[y, x, :, 0] <= true_HW3[y, x]) & (true_HW3[y, x] <= bands_HW32[y, x, :, 1])
    covered = inside_3[random.integers(3)] if mode == "per_channel" else inside_3.all()
    return Measured(measured.coverage, float(measured.widths.mean()), colorizer.likeness(prediction), bool(covered))


def verdict(colorizer: Colorizer, photos: Sequence[Measured], guarantee: Guarantee) -> Iterator[str]:
    """Describe in lines whether the guarantee holds on photos; `guarantee_holds` decides.

    Raises:
        ValueError: when there are no photos.
    """
    alpha = guarantee.alpha
    covered = np.array([photo.coverage for photo in photos])
    low, high = mean_interval(covered, resampling_weights(len(photos), 2000, seed=0), bounds=(0, 1))
    exact_low, exact_high = (1 - end for end in reversed(mean_interval_exact(1 - covered)))
    yield (
        f"{len(photos)} photos: {covered.mean():.1%} covered, {1 - alpha:.1%} promised"
        f" (95% interval {low:.1%} to {high:.1%} by the bootstrap, {exact_low:.1%} to {exact_high:.1%} exactly);"
        f" bands {np.mean([photo.width for photo in photos]):.1f} of 255 levels wide"
    )
    p = broken_p(1 - covered, alpha)
    yield (
        f"exact test: p = {p:.3g}: "
        + ("nothing here speaks against the promise" if p > LEVEL else "the promise does NOT hold on these photos")
    )
    pixels = np.array([photo.pixel_covered for photo in photos])
    if risk_exceeded(pixels, alpha, LEVEL):
        yield "MAPIE's risk monitoring, on one pixel a photo, finds more than alpha outside as well"
    level = colorizer.calibration.unlike_p_value
    count = sum(photo.likeness <= level for photo in photos)
    yield (
        f"unlike the calibration photos (p <= {level:g}): {count} of {len(photos)}; {level:.0%} of exchangeable photos"
        " would be"
    )
    rejected = exchangeability_rejected(_calibration_losses(colorizer, guarantee), 1 - covered, LEVEL)
    outcomes = {None: "too few photos to decide", True: "rejected: photos of another kind", False: "not rejected"}
    yield f"exchangeable with the calibration photos (MAPIE's martingale test on losses): {outcomes[rejected]}"


def guarantee_holds(photos: Sequence[Measured], alpha: float) -> bool:
    """Whether the exact test does not refute the guarantee."""
    return broken_p(1 - np.array([photo.coverage for photo in photos]), alpha) > LEVEL


def _calibration_losses(colorizer: Colorizer, guarantee: Guarantee) -> np.ndarray:
    """The losses of the calibration photos at the steps of a guarantee."""
    calibration = colorizer.calibration
    steps, losses = calibration.steps(guarantee), calibration.table.losses
    if guarantee.mode == "joint":
        offsets = np.array(calibration.shape.joint_offsets)
        return np.asarray(losses[:, JOINT, int((steps - offsets).max())])
    return np.asarray(losses[:, range(JOINT), steps].mean(axis=1))
