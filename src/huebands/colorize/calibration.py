"""Calibrates a colorizer on photos in colour, with the functions that make a user's bands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.error_calibration import certify_maps, compared_pixels, fit_curve, measure_maps, true_errors
from huebands.colorize.params import CalibrateParams
from huebands.colorize.prediction import Prediction
from huebands.conformal.bands import CHANNELS
from huebands.conformal.calibration import Calibration
from huebands.conformal.counting import count_losses
from huebands.conformal.coverage import certify, measure_photo
from huebands.conformal.error_map import ErrorCurve, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.shape import Shape, choose_shape, unmerged_shape
from huebands.conformal.table import LossTable
from huebands.data.originals import Originals
from huebands.plots.bands import BandStrip


def choose_bands(colorizer: Colorizer, photos: Originals, settings: CalibrateParams) -> tuple[Shape, ErrorCurve | None]:
    """Choose the shape of the bands, and fit the curve of the expected error, on the validation split.

    There is no curve where the model has no joint density.
    """
    compared = list[tuple[NDArray[np.float32], NDArray[np.floating]]]()

    def bands() -> Iterator[tuple[PhotoBands, NDArray[np.uint8]]]:
        for prediction, true_HW3 in _predictions(colorizer, photos, "val", unmerged_shape(settings.adaptivity)):
            if prediction.expected_error_KSS is not None:
                pixels = compared_pixels(prediction.photo.shape)
                expected_HW = upsample(prediction.expected_error_KSS.numpy(), prediction.photo.levels_HW)[pixels]
                errors = true_errors(prediction.rgb[pixels], true_HW3[pixels])
                compared.append((expected_HW.ravel(), errors["ciede2000"]))
            yield prediction.bands, true_HW3

    shape = choose_shape(bands(), settings.adaptivity, settings.report_alpha, photos.count("calibration"))
    return shape, fit_curve(compared) if compared else None


def count_split(
    colorizer: Colorizer, photos: Originals, shape: Shape, part: int = 0, parts: int = 1
) -> LossTable:  # fmt: skip
    """Count the losses of every `parts`-th calibration photo from `part` on; the others' rows stay 0."""
    count = photos.count("calibration")
    predictions = _predictions(colorizer, photos, "calibration", shape, part, parts)
    rows = range(part, count, parts)
    bands = ((row, photo.bands, true_HW3) for row, (photo, true_HW3) in zip(rows, predictions, strict=True))
    return count_losses(bands, count, shape)


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
    shape, error_curve = choose_bands(colorizer, photos, settings)
    return Calibration(
        shape,
        count(colorizer, photos, shape),
        weights_sha256=colorizer.package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=colorizer.package.preprocessing_sha256,
        data_sha256=data_sha256,
        min_chroma=min_chroma,
        unlike_p_value=settings.unlike_p_value,
        error_curve=error_curve,
    )


def measure(
    colorizer: Colorizer, photos: Originals, calibration: Calibration, settings: CalibrateParams
) -> tuple[Calibration, Sequence[BandStrip]]:
    """Measure the bands and the maps of uncertainty on the test split.

    Returns:
        The calibration with its certificate, and the pictures of the first `settings.heatmaps` photos.

    Raises:
        AlphaError: when the calibration photos do not support the report's alpha.
    """
    alpha = settings.report_alpha
    calibration.check(Guarantee(alpha=alpha))
    alphas = [level for level in settings.alphas if calibration.supports(level)]
    calibrated = Colorizer(replace(colorizer.package, calibration=calibration), colorizer.source)
    measured, maps, strips = [], [], list[BandStrip]()
    for photo in photos.read("test"):
        prediction = calibrated.predict(photo.grey)
        about = (photo.id, photo.title, photo.source)
        measured.append(measure_photo(*about, prediction.bands, photo.rgb, calibration, alphas, alpha))
        result = calibrated.choose(prediction, Guarantee(alpha=alpha))
        pixels = compared_pixels(photo.grey.shape)
        errors = true_errors(result.rgb[pixels], photo.rgb[pixels])
        maps.append(measure_maps({name: result.map(name)[0][pixels] for name in result.maps}, errors))
        if len(strips) < settings.heatmaps:
            bands_HW32 = np.stack([result.bands[channel] for channel in CHANNELS], axis=2)
            strip = BandStrip(photo.title, result.grey, result.rgb, photo.rgb, bands_HW32, result.expected_error)
            strips.append(strip)
    certificate = certify(calibration, measured, alpha, settings.seed)
    return replace(calibration, certificate={**certificate, "maps": certify_maps(maps, settings.seed)}), strips


def _predictions(
    colorizer: Colorizer, photos: Originals, split: str, shape: Shape, part: int = 0, parts: int = 1
) -> Iterator[tuple[Prediction, NDArray[np.uint8]]]:
    """The predictions for a split's photos, with bands of a shape, and their true colours."""
    for photo in photos.read(split, part, parts):
        yield colorizer.predict(photo.grey, shape), photo.rgb
