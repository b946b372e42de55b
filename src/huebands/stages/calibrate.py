"""Stage calibrate: conformal calibration of the trained generator, and what its bands reach on the test split.

Photos are read at their own size and streamed: only their losses stay. Under torchrun each process counts a part of the
calibration photos, and the counts are added: the result has the same bits.
"""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import DESCRIPTION, write_calibration
from huebands.conformal.counting import count_losses
from huebands.conformal.coverage import certify, measure_photo
from huebands.conformal.guarantee import AlphaError, Guarantee
from huebands.conformal.shape import choose_shape, unmerged_shape
from huebands.conformal.summary import curve_rows, metrics_of, sentences_of
from huebands.conformal.table import CalibrationError
from huebands.data.originals import Originals
from huebands.data.shards import ShardError, data_sha256, read_manifest
from huebands.density.model import DensityError, read_density
from huebands.files import atomic
from huebands.package.documents.certificate import write_page
from huebands.package.package import CERTIFICATE, PackageError, read_package
from huebands.params import CalibrateParams
from huebands.photos.read import ImageError
from huebands.plots.bands import BandStrip, draw_heatmaps
from huebands.plots.pictures import draw_coverage
from huebands.training.distributed import World

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
TRAINED, DENSITY = Path("models/trained"), Path("models/density")
CALIBRATION, REPORT = Path("models/calibration"), Path("reports/calibrate")


def main() -> None:
    """Read the photos, models/trained and models/density, write models/calibration and reports/calibrate."""
    world = World.join("cpu")
    try:
        settings = params.load()
        package = replace(read_package(TRAINED), density=read_density(DENSITY))
        colorizer, photos = Colorizer(package, str(TRAINED)), Originals(RAW, read_manifest(PREPARED))
        calibration = calibrate(colorizer, photos, settings.calibrate, settings.prepare.min_chroma, world)
        if world.rank == 0:
            report(colorizer, photos, calibration, settings.calibrate)
    except (
        params.ParamsError, ShardError, PackageError, DensityError, ImageError, AlphaError, CalibrationError,
    ) as error:  # fmt: skip
        raise SystemExit(f"calibrate: {error}") from error
    finally:
        world.leave()


def calibrate(
    colorizer: Colorizer, photos: Originals, settings: CalibrateParams, min_chroma: float, world: World
) -> Calibration:
    """Choose the shape of the bands on the validation split, and calibrate on the calibration split."""
    start, count = unmerged_shape(settings.adaptivity), photos.count("calibration")
    validation = ((colorizer.predict(photo.grey, start).bands, photo.rgb) for photo in photos.read("val"))
    shape = choose_shape(validation, settings.adaptivity, settings.report_alpha, count)
    own = zip(range(world.rank, count, world.size), photos.read("calibration", world.rank, world.size), strict=True)
    table = count_losses(
        ((row, colorizer.predict(photo.grey, shape).bands, photo.rgb) for row, photo in own), count, shape
    )
    return Calibration(
        shape,
        table.all_reduce(world.device) if world.size > 1 else table,
        weights_sha256=colorizer.package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=colorizer.package.preprocessing_sha256,
        data_sha256=data_sha256(PREPARED),
        min_chroma=min_chroma,
        unlike_p_value=settings.unlike_p_value,
    )


def report(colorizer: Colorizer, photos: Originals, calibration: Calibration, settings: CalibrateParams) -> None:
    """Measure on the test split; write tables and certificate, metrics and pictures, each folder as a whole."""
    alpha = settings.report_alpha
    calibration.check(Guarantee(alpha=alpha))
    alphas = [other for other in settings.alphas if calibration.supports(other)]
    tests, strips = [], list[BandStrip]()
    for photo in photos.read("test"):
        prediction = colorizer.predict(photo.grey, calibration.shape)
        bands = prediction.bands
        tests.append(measure_photo(photo.id, photo.title, bands, photo.rgb, calibration, alphas, alpha))
        if len(strips) < settings.heatmaps:
            shown = bands.at(calibration.steps(Guarantee(alpha=alpha)), "per_channel")
            strips.append(BandStrip(photo.title, photo.grey.levels_HW, prediction.rgb, photo.rgb, shown))
    calibration = replace(calibration, certificate=certify(calibration, tests, alpha, settings.seed))
    with atomic.replace_folder(CALIBRATION) as new:
        write_calibration(new, calibration)
        description = json.loads((new / DESCRIPTION).read_text(encoding="utf-8"))
        atomic.write_text(new / CERTIFICATE, write_page(colorizer.package.config["name"], description))
    rows = curve_rows(calibration.certificate)
    with atomic.replace_folder(REPORT) as new:
        atomic.write_text(new / "metrics.json", json.dumps(metrics_of(calibration), indent=2, allow_nan=False) + "\n")
        atomic.write_text(new / "coverage.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
        subtitle = f"{calibration.photos} calibration photos, {len(tests)} test photos"
        draw_coverage(new / "coverage.png", rows, subtitle)
        draw_heatmaps(new / "heatmaps.png", strips, alpha)
    for sentence in sentences_of(calibration.certificate):
        print(f"calibrate: {sentence}")


if __name__ == "__main__":
    # A second thread saves a third of the time, and costs minutes where others use the cores too.
    torch.set_num_threads(1)
    main()
