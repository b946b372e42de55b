"""calibrate: conformal calibration of the trained generator, and what its bands reach on the test split.

Photos are read at their own size and streamed: only their losses stay.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from huebands import params
from huebands.colorizer import Colorizer, grey_of
from huebands.conformal.bands import CHANNELS, bands
from huebands.conformal.calibration import MODES, AlphaError, Calibration, CalibrationError
from huebands.conformal.coverage import ColourCounts, Coverage, measure
from huebands.conformal.mapie_reference import compare_with_mapie
from huebands.conformal.scores import PhotoLosses, choose_scale, photo_losses
from huebands.data.shards import ShardError, data_sha256, read_manifest
from huebands.images import ImageError, read_photo
from huebands.package import PackageError
from huebands.params import CalibrateParams
from huebands.pictures import Strip, draw_coverage, draw_sheet, heat_map, mark_outside

RAW, PREPARED, TRAINED = Path("data/raw"), Path("data/prepared"), Path("models/trained")
CALIBRATION, REPORT = Path("models/calibration"), Path("reports/calibrate")


@dataclass(frozen=True)
class ColorizedPhoto:
    """A photo and its colorization: true and shown are uint8 (H, W, 3), grey is uint8 (H, W)."""

    title: str
    true: np.ndarray
    grey: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class Photos:
    """Colorizes the photos of a split, one at a time."""

    raw: Path
    manifest: pd.DataFrame
    colorizer: Colorizer

    def split(self, split: str) -> Iterator[ColorizedPhoto]:
        """Give the photos of a split in order of their rows, at their own size; of near-duplicates the first.

        Photos of one scene err together: counted one by one, they would pass for more evidence than they are. So
        each group gives the photo that leads it, whose id it bears.
        """
        chosen = (self.manifest["split"] == split) & (self.manifest["id"] == self.manifest["group"])
        rows = self.manifest[chosen].sort_values("row")
        if rows.empty:
            raise ShardError(f"the {split} split is empty; add photos or enlarge prepare.fractions.{split}")
        for row in rows.itertuples():
            true = read_photo(self.raw / row.file, row.file)
            grey = grey_of(true)
            yield ColorizedPhoto(row.title or row.name, true, grey, self.colorizer.predict(grey))


def main() -> None:
    """Read the photos and models/trained, write models/calibration and reports/calibrate."""
    try:
        settings = params.load().calibrate
        photos = Photos(RAW, read_manifest(PREPARED), Colorizer.load(TRAINED))
        calibrate(photos, data_sha256(PREPARED), CALIBRATION, REPORT, settings)
    except (params.ParamsError, ShardError, PackageError, ImageError, AlphaError, CalibrationError) as error:
        raise SystemExit(f"calibrate: {error}") from error


def calibrate(photos: Photos, data: str, folder: Path, report: Path, settings: CalibrateParams) -> None:
    """Calibrate on the calibration split, measure on the test split, write tables, metrics and pictures."""
    unscaled = np.ones(3)
    scale = choose_scale([photo_losses(p.true, p.shown, unscaled) for p in photos.split("val")])
    losses, pixels = _score(photos, scale, settings.seed)
    calibration = Calibration.from_losses(
        losses,
        scale,
        weights_sha256=photos.colorizer.package.weights_sha256,
        preprocessing_sha256=photos.colorizer.package.preprocessing_sha256,
        data_sha256=data,
    )
    half_widths = calibration.half_widths(settings.report_alpha)
    tests: list[PhotoLosses] = []
    colours, strips = ColourCounts(), list[Strip]()
    for photo in photos.split("test"):
        tests.append(photo_losses(photo.true, photo.shown, scale))
        colours.add(photo.shown, photo.grey)
        if len(strips) < settings.heatmaps:
            strips.append(_strip(photo, half_widths))
    alphas = [alpha for alpha in _grid(settings) if calibration.supports(alpha)]
    grid = measure(calibration, tests, colours, alphas, MODES, settings.seed)
    headline = measure(calibration, tests, colours, [settings.report_alpha], MODES, settings.seed)
    replace(calibration, certificate=tuple(row.certificate() for row in grid)).save(folder)

    metrics: dict[str, Any] = {
        "alpha": settings.report_alpha,
        "photos": {"calibration": calibration.photos, "test": len(tests)},
        "smallest_alpha": round(calibration.smallest_alpha, 6),
        "joint_scale": dict(zip(CHANNELS, scale.tolist(), strict=True)),
        **{row.mode: row.headline() for row in headline},
        "one_pixel": compare_with_mapie(*pixels, alphas, settings.report_alpha),
    }
    _write(report, metrics, grid, strips)
    for row in headline:
        print(
            f"calibrate: {row.mode} at alpha {row.alpha:g}: covers {row.coverage:.1%} "
            f"({row.coverage_low:.1%} to {row.coverage_high:.1%}), width {row.width:.0f} of 255 levels"
        )


def _grid(settings: CalibrateParams) -> list[float]:
    count = int((settings.alpha_max - settings.alpha_min) / settings.alpha_step + 1e-9) + 1
    return [round(settings.alpha_min + index * settings.alpha_step, 10) for index in range(count)]


def _score(photos: Photos, scale: np.ndarray, seed: int) -> tuple[list[PhotoLosses], tuple[np.ndarray, np.ndarray]]:
    """Score the calibration photos, and draw one pixel of each: true and shown, (n, 3)."""
    generator = np.random.default_rng(seed)
    losses, true_pixels, shown_pixels = [], [], []
    for photo in photos.split("calibration"):
        losses.append(photo_losses(photo.true, photo.shown, scale))
        row, column = (int(generator.integers(side)) for side in photo.grey.shape)
        true_pixels.append(photo.true[row, column])
        shown_pixels.append(photo.shown[row, column])
    return losses, (np.array(true_pixels), np.array(shown_pixels))


def _strip(photo: ColorizedPhoto, half_widths: np.ndarray) -> Strip:
    band = bands(photo.shown, photo.grey, half_widths)
    width = np.mean([band[name][..., 1] - band[name][..., 0] for name in CHANNELS], axis=0)
    outside = np.abs(photo.true.astype(np.int16) - photo.shown) > half_widths
    caption = f"{1 - outside.mean():.0%} of values inside, width {width.mean():.0f} levels · {photo.title}"
    marked = mark_outside(photo.grey, outside)
    return Strip(caption, (photo.grey, photo.shown, photo.true, heat_map(width), marked))


def _write(report: Path, metrics: dict[str, Any], grid: Sequence[Coverage], strips: Sequence[Strip]) -> None:
    report.mkdir(parents=True, exist_ok=True)
    text = json.dumps(metrics, indent=2, allow_nan=False)
    (report / "metrics.json").write_text(text + "\n", encoding="utf-8")
    table = pd.DataFrame([row.record() for row in grid])
    table.round(4).to_csv(report / "coverage.csv", index=False, lineterminator="\n")
    counts = metrics["photos"]
    subtitle = f"{counts['calibration']} calibration photos, {counts['test']} test photos"
    draw_coverage(report / "coverage.png", table.to_dict("records"), subtitle)
    columns = ("grey", "colorized", "truth", "width of the bands", "outside its band")
    label = f"width of the bands at alpha = {metrics['alpha']:g}: 8-bit levels, mean of R, G and B"
    rows = [("", [strip]) for strip in strips]
    draw_sheet(report / "heatmaps.png", rows, columns, cell=1.8, scale_label=label)


if __name__ == "__main__":
    # A second thread saves 3 seconds of 13, and costs minutes where others use the cores too.
    torch.set_num_threads(1)
    main()
