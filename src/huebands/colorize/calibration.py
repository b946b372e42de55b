"""Calibrates a colorizer on photos in colour, with the functions that make a user's bands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.params import CalibrateParams
from huebands.conformal.calibration import Calibration
from huebands.conformal.counting import count_losses
from huebands.conformal.coverage import certify, measure_photo
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.shape import Shape, choose_shape, unmerged_shape
from huebands.conformal.table import LossTable
from huebands.data.originals import Originals
from huebands.plots.bands import BandStrip


def choose_bands(colorizer: Colorizer, photos: Originals, settings: CalibrateParams) -> Shape:
    """Choose the shape of the bands on the validation split, before calibration."""
    bands = _bands(colorizer, photos, "val", unmerged_shape(settings.adaptivity))
    return choose_shape(bands, settings.adaptivity, settings.report_alpha, photos.count("calibration"))


def count_split(
    colorizer: Colorizer, photos: Originals, shape: Shape, part: int = 0, parts: int = 1
) -> LossTable:  # fmt: skip
    """Count the losses of every `parts`-th calibration photo from `part` on; the others' rows stay 0."""
    count = photos.count("calibration")
    bands = _bands(colorizer, photos, "calibration", shape, part, parts)
    rows = range(part, count, parts)
    return count_losses(((row, *photo) for row, photo in zip(rows, bands, strict=True)), count, shape)


def calibrate(
    colorizer: Colorizer,
    photos: Originals,
    settings: CalibrateParams,
    data_sha256: str,
    min_chroma: float,
    count: Callable[[Colorizer, Originals, Shape], LossTable] = count_split,
) -> Calibration:
    """Calibrate; the certificate is still empty.

    Args:
        colorizer: whose bands are calibrated.
        photos: photos of all splits.
        settings: settings of the calibration.
        data_sha256: hash of the prepared data.
        min_chroma: least mean chroma of its photos, CIELAB units.
        count: counts all photos of the calibration split.
    """
    shape = choose_bands(colorizer, photos, settings)
    return Calibration(
        shape,
        count(colorizer, photos, shape),
        weights_sha256=colorizer.package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=colorizer.package.preprocessing_sha256,
        data_sha256=data_sha256,
        min_chroma=min_chroma,
        unlike_p_value=settings.unlike_p_value,
    )


def measure(
    colorizer: Colorizer, photos: Originals, calibration: Calibration, settings: CalibrateParams
) -> tuple[Calibration, Sequence[BandStrip]]:
    """Measure the bands on the test split.

    Returns:
        The calibration with its certificate, and the pictures of the first `settings.heatmaps` photos.

    Raises:
        AlphaError: when the calibration photos do not support the report's alpha.
    """
    alpha = settings.report_alpha
    calibration.check(Guarantee(alpha=alpha))
    alphas = [level for level in settings.alphas if calibration.supports(level)]
    measured, strips = [], list[BandStrip]()
    for photo in photos.read("test"):
        prediction = colorizer.predict(photo.grey, calibration.shape)
        bands = prediction.bands
        measured.append(
            measure_photo(photo.id, photo.title, photo.source, bands, photo.rgb, calibration, alphas, alpha)
        )
        if len(strips) < settings.heatmaps:
            bands_HW32 = bands.at(calibration.steps(Guarantee(alpha=alpha)), "per_channel")
            strips.append(BandStrip(photo.title, photo.grey.levels_HW, prediction.rgb, photo.rgb, bands_HW32))
    return replace(calibration, certificate=certify(calibration, measured, alpha, settings.seed)), strips


def _bands(
    colorizer: Colorizer, photos: Originals, split: str, shape: Shape, part: int = 0, parts: int = 1
) -> Iterator[tuple[PhotoBands, np.ndarray]]:
    """The bands of a split's photos, and their true colours."""
    for photo in photos.read(split, part, parts):
        yield colorizer.predict(photo.grey, shape).bands, photo.rgb
