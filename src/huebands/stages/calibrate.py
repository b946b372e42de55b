"""Stage calibrate: conformal calibration of the trained generator, and what its bands reach on the test split.

Photos are read at their own size and streamed: only their losses stay. Under torchrun each process counts a part of the
calibration photos, and the counts are added: the result has the same bits.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from huebands import params
from huebands.colorize.calibration import calibrate, count_split, laws, measure_all
from huebands.colorize.calibration_report import write_report
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import write_calibration
from huebands.conformal.guarantee import AlphaError
from huebands.conformal.law import HintLaw
from huebands.conformal.shape import Shape
from huebands.conformal.summary import sentences_of
from huebands.conformal.table import CalibrationError, LossTable
from huebands.data.originals import Originals
from huebands.data.shards import ShardError, data_sha256, read_manifest
from huebands.density.model import DensityError, read_density
from huebands.files import atomic
from huebands.package.documents.certificate import write_page
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import CERTIFICATE, PackageError
from huebands.photos.errors import ImageError
from huebands.plots.bands import BandStrip
from huebands.training.distributed import World

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
TRAINED, DENSITY = Path("models/trained"), Path("models/density")
CALIBRATION, REPORT = Path("models/calibration"), Path("reports/calibrate")


def main() -> None:
    """Read the photos, models/trained and models/density, write models/calibration and reports/calibrate."""
    world = World.join("cpu")

    def count(colorizer: Colorizer, photos: Originals, shape: Shape, law: HintLaw | None) -> LossTable:
        table = count_split(colorizer, photos, shape, law, world.rank, world.size)
        return table.all_reduce(world.device) if world.size > 1 else table

    try:
        settings = params.load()
        package = replace(read_package(TRAINED), density=read_density(DENSITY))
        colorizer, photos = Colorizer(package, str(TRAINED)), Originals(RAW, read_manifest(PREPARED))
        about = (settings.calibrate, data_sha256(PREPARED), settings.prepare.min_chroma, count)
        both = laws(colorizer, photos, settings.calibrate)
        calibrations = [calibrate(colorizer, photos, *about, law) for law in both]
        if world.rank == 0:
            write(measure_all(colorizer, photos, calibrations, settings.calibrate), package)
    except (
        params.ParamsError, ShardError, PackageError, DensityError, ImageError, AlphaError, CalibrationError,
    ) as error:  # fmt: skip
        raise SystemExit(f"calibrate: {error}") from error
    finally:
        world.leave()


def write(measured: Sequence[tuple[Calibration, Sequence[BandStrip]]], package: ModelPackage) -> None:
    """Write tables and certificate, and the report, each folder as a whole."""
    with atomic.replace_folder(CALIBRATION) as new:
        paths = [write_calibration(new, calibration) for calibration, _ in measured]
        descriptions = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        atomic.write_text(new / CERTIFICATE, write_page(package.config, *descriptions))
    write_report(REPORT, measured)
    print(*(f"calibrate: {line}" for calibration, _ in measured for line in sentences_of(calibration)), sep="\n")


if __name__ == "__main__":
    # A second thread saves a third of the time, and costs minutes where others use the cores too.
    torch.set_num_threads(1)
    main()
