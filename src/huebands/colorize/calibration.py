"""Calibrates a colorizer on photos in colour, with the functions that make a user's bands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.around_hints import AroundHints, summarise
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.error_calibration import certify_maps, compared_pixels, fit_curve, measure_maps, true_errors
from huebands.colorize.hint_law import draw_hints, fit_law
from huebands.colorize.hints import HintRequest
from huebands.colorize.params import CalibrateParams
from huebands.colorize.prediction import Prediction
from huebands.conformal.calibration import Calibration
from huebands.conformal.counting import count_losses
from huebands.conformal.coverage import certify, measure_photo
from huebands.conformal.error_map import ErrorCurve, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.law import HintLaw
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.shape import Shape, choose_shape, unmerged_shape
from huebands.conformal.table import LossTable
from huebands.data.originals import Original, Originals
from huebands.plots.bands import BandStrip


def laws(colorizer: Colorizer, photos: Originals, settings: CalibrateParams) -> Iterator[HintLaw | None]:
    """The laws of conditions that a colorizer is calibrated under: without hints, and with them.

    The second is left out where neither the settings nor the network ask for it, and where the density is not one over
    whole colours.
    """
    yield None
    if (settings.hints or colorizer.package.generator.takes_hints) and colorizer.density.is_joint:
        yield fit_law(colorizer.density, photos.read("val"))


def choose_bands(
    colorizer: Colorizer, photos: Originals, settings: CalibrateParams, law: HintLaw | None = None
) -> tuple[Shape, ErrorCurve | None]:
    """Choose the shape of the bands, and fit the curve of the expected error, on the validation split.

    There is no curve where the model has no joint density. The photos have hints where there is a law of them.
    """
    compared = list[tuple[NDArray[np.float32], NDArray[np.floating]]]()

    def bands() -> Iterator[tuple[PhotoBands, NDArray[np.uint8]]]:
        for prediction, true_HW3 in _predictions(colorizer, photos, "val", unmerged_shape(settings.adaptivity), law):
            if prediction.expected_error_KSS is not None:
                pixels = compared_pixels(prediction.photo.shape)
                expected_HW = upsample(prediction.expected_error_KSS.numpy(), prediction.photo.levels_HW)[pixels]
                errors = true_errors(prediction.rgb[pixels], true_HW3[pixels])
                compared.append((expected_HW.ravel(), errors["ciede2000"]))
            yield prediction.bands, true_HW3

    shape = choose_shape(bands(), settings.adaptivity, settings.report_alpha, photos.count("calibration"))
    return shape, fit_curve(compared) if compared else None


def count_split(
    colorizer: Colorizer, photos: Originals, shape: Shape, law: HintLaw | None = None, part: int = 0, parts: int = 1
) -> LossTable:  # fmt: skip
    """Count the losses of every `parts`-th calibration photo from `part` on; the others' rows stay 0."""
    count = photos.count("calibration")
    predictions = _predictions(colorizer, photos, "calibration", shape, law, part, parts)
    rows = range(part, count, parts)
    bands = ((row, photo.bands, true_HW3) for row, (photo, true_HW3) in zip(rows, predictions, strict=True))
    return count_losses(bands, count, shape)


def calibrate(
    colorizer: Colorizer,
    photos: Originals,
    settings: CalibrateParams,
    data_sha256: str,
    min_chroma: float,
    count: Callable[[Colorizer, Originals, Shape, HintLaw | None], LossTable] = count_split,
    law: HintLaw | None = None,
) -> Calibration:
    """Calibrate; the certificate is still empty.

    Args:
        colorizer: whose bands are calibrated.
        photos: photos of all splits.
        settings: settings of the calibration.
        data_sha256: hash of the prepared data.
        min_chroma: least mean chroma of its photos, CIELAB units.
        count: counts all photos of the calibration split.
        law: of the hints that the photos get, see `hint_law.fit_law`; None: they get none.
    """
    shape, error_curve = choose_bands(colorizer, photos, settings, law)
    return Calibration(
        shape,
        count(colorizer, photos, shape, law),
        weights_sha256=colorizer.package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=colorizer.package.preprocessing_sha256,
        data_sha256=data_sha256,
        min_chroma=min_chroma,
        unlike_p_value=settings.unlike_p_value,
        error_curve=error_curve,
        law=law,
    )


def measure_all(
    colorizer: Colorizer, photos: Originals, calibrations: Sequence[Calibration], settings: CalibrateParams
) -> list[tuple[Calibration, Sequence[BandStrip]]]:
    """Measure the calibrations under all `laws`, the first of which is without hints; see `measure`."""
    measured = [measure(colorizer, photos, calibrations[0], settings)]
    usual = Colorizer(replace(colorizer.package, calibration=calibrations[0]), colorizer.source)
    return measured + [measure(usual, photos, calibration, settings) for calibration in calibrations[1:]]


def measure(
    colorizer: Colorizer, photos: Originals, calibration: Calibration, settings: CalibrateParams
) -> tuple[Calibration, Sequence[BandStrip]]:
    """Measure the bands and the maps of uncertainty on the test split, with hints of the calibration's law.

    Returns:
        The calibration with its certificate, and the pictures of the first `settings.heatmaps` photos.

    Raises:
        AlphaError: when the calibration photos do not support the report's alpha.
        PackageError: when the calibration is one on photos with hints, and the package has none on photos without.
    """
    alpha = settings.report_alpha
    calibration.check(Guarantee(alpha=alpha))
    alphas = [level for level in settings.alphas if calibration.supports(level)]
    if calibration.law is None:
        package = replace(colorizer.package, calibration=calibration)
    else:
        package = replace(colorizer.package, hints_calibration=calibration)
    calibrated = Colorizer(package, colorizer.source)
    measured, maps, around, strips = [], [], list[AroundHints](), list[BandStrip]()
    for photo in photos.read("test"):
        prediction = calibrated.predict(photo.grey, hints=_hints(calibration.law, photo))
        about = (photo.id, photo.title, photo.source)
        measured.append(measure_photo(*about, prediction.bands, photo.rgb, calibration, alphas, alpha))
        result = calibrated.choose(prediction, Guarantee(alpha=alpha))
        pixels = compared_pixels(photo.grey.shape)
        errors = true_errors(result.rgb[pixels], photo.rgb[pixels])
        maps.append(measure_maps({name: result.map(name)[0][pixels] for name in result.maps}, errors))
        bands_HW32 = result.chosen.in_rows()
        if prediction.guidance.hints is not None and prediction.unhinted is not None:
            before_HW32 = prediction.unhinted.at(calibrated.calibration.steps(Guarantee(alpha=alpha)))
            around.append(AroundHints.of(prediction.guidance.hints, bands_HW32, before_HW32, photo.rgb))
        if len(strips) < settings.heatmaps:
            strip = BandStrip(photo.title, result.grey, result.rgb, photo.rgb, bands_HW32, result.expected_error)
            strips.append(strip)
    certificate = certify(calibration, measured, alpha, settings.seed)
    certificate["maps"] = certify_maps(maps, settings.seed)
    if around:
        certificate["around_hints"] = summarise(around)
    return replace(calibration, certificate=certificate), strips


def _predictions(
    colorizer: Colorizer,
    photos: Originals,
    split: str,
    shape: Shape,
    law: HintLaw | None,
    part: int = 0,
    parts: int = 1,
) -> Iterator[tuple[Prediction, NDArray[np.uint8]]]:
    """The predictions for a split's photos, with bands of a shape, and their true colours."""
    kernel = None if law is None else law.kernel
    for photo in photos.read(split, part, parts):
        yield colorizer.predict(photo.grey, shape, _hints(law, photo), kernel=kernel), photo.rgb


def _hints(law: HintLaw | None, photo: Original) -> HintRequest | None:
    return None if law is None else draw_hints(law, photo)
