"""calibrate: conformal calibration of the trained generator, and what its bands reach on the test split.

Photos are read at their own size and streamed: only their losses stay. Under torchrun each process counts a part of the
calibration photos, and the counts are added: the result has the same bits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from huebands import params
from huebands.colorize.colorizer import Colorizer, ShapedPhoto, grey_of
from huebands.conformal import calibration_files
from huebands.conformal.bands import CHANNELS, STEPS
from huebands.conformal.calibration import MODES, AlphaError, Calibration, CalibrationError, Shape
from huebands.conformal.coverage import PhotoCoverage, certify, count_widths, reach
from huebands.conformal.groups import GROUPS, UNMERGED, Grouping, choose_grouping, presence_of
from huebands.conformal.mapie_reference import compare_with_mapie
from huebands.conformal.scores import joint_first_steps, photo_losses
from huebands.conformal.table import LossTable
from huebands.data.shards import ShardError, data_sha256, read_manifest
from huebands.density.model import DensityError, read_density
from huebands.files import atomic
from huebands.package.documents.certificate import write_page
from huebands.package.read import read_package
from huebands.package.schema import CERTIFICATE, PackageError
from huebands.params import CalibrateParams
from huebands.photos.images import ImageError, read_photo
from huebands.plots.pictures import Strip, draw_coverage, draw_sheet, heat_map, mark_outside
from huebands.statistics.risk_bounds import first_step
from huebands.training.distributed import World

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
TRAINED, DENSITY = Path("models/trained"), Path("models/density")
CALIBRATION, REPORT = Path("models/calibration"), Path("reports/calibrate")
_JOINT_OFFSETS = ((0, 0, 0), (0, 6, 0), (0, 12, 0), (0, 24, 0), (0, 48, 0))  # steps by which R, G, B may be ahead
_OFFSET_PHOTOS = 16  # of the validation split, on which the offsets are compared


@dataclass(frozen=True)
class ColorizedPhoto:
    """A photo and its colorization: true and shown are uint8 (H, W, 3), grey is uint8 (H, W)."""

    id: str
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

    def count(self, split: str) -> int:
        """How many photos a split has, of near-duplicates the first."""
        return len(self._rows(split))

    def split(self, split: str, part: int = 0, parts: int = 1) -> Iterator[ColorizedPhoto]:
        """Give the photos of a split, or every `parts`-th from `part` on, in order of their rows, at their own size.

        Photos of one scene err together: counted one by one, they would pass for more evidence than they are. So
        each group gives the photo that leads it, whose id it bears.
        """
        for row in self._rows(split).iloc[part::parts].itertuples():
            true = read_photo(self.raw / row.file, row.file)
            grey = grey_of(true)
            yield ColorizedPhoto(row.id, row.title or row.name, true, grey, self.colorizer.predict(grey))

    def _rows(self, split: str) -> pd.DataFrame:
        chosen = (self.manifest["split"] == split) & (self.manifest["id"] == self.manifest["group"])
        rows = self.manifest[chosen].sort_values("row")
        if rows.empty:
            raise ShardError(f"the {split} split is empty; add photos or enlarge prepare.fractions.{split}")
        return rows


def main() -> None:
    """Read the photos, models/trained and models/density, write models/calibration and reports/calibrate."""
    world = World.join("cpu")
    try:
        settings = params.load()
        package = replace(read_package(TRAINED), density=read_density(DENSITY))
        photos = Photos(RAW, read_manifest(PREPARED), Colorizer(package, str(TRAINED)))
        data, min_chroma = data_sha256(PREPARED), settings.prepare.min_chroma
        calibrate(photos, data, min_chroma, CALIBRATION, REPORT, settings.calibrate, world)
    except (
        params.ParamsError, ShardError, PackageError, DensityError, ImageError, AlphaError, CalibrationError,
    ) as error:  # fmt: skip
        raise SystemExit(f"calibrate: {error}") from error
    finally:
        world.leave()


def calibrate(
    photos: Photos,
    data: str,
    min_chroma: float,
    folder: Path,
    report: Path,
    settings: CalibrateParams,
    world: World,
) -> None:
    """Calibrate on the calibration split, measure on the test split, write tables, certificate, metrics, pictures.

    Args:
        photos: of all splits.
        data: sha256 of the prepared data.
        min_chroma: least mean chroma of its photos, CIELAB units.
        folder: for tables and certificate, replaced as a whole.
        report: folder for metrics and pictures, likewise.
        settings: of the calibration.
        world: the processes that share the work.
    """
    shape = choose_shape(photos, settings)
    table, pixels = count(photos, shape, settings.seed, world)
    if world.rank > 0:
        return
    colorizer = photos.colorizer
    calibration = Calibration(
        shape,
        table,
        weights_sha256=colorizer.package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=colorizer.package.preprocessing_sha256,
        data_sha256=data,
        min_chroma=min_chroma,
        unlike_p_value=settings.unlike_p_value,
    )
    alphas = [alpha for alpha in settings.alphas if calibration.supports(alpha)]
    if settings.report_alpha not in alphas:
        raise AlphaError(settings.report_alpha, calibration.photos)
    tests, strips = list[PhotoCoverage](), list[Strip]()
    for photo in photos.split("test"):
        shaped = colorizer.shape(photo.shown, photo.grey, shape)
        tests.append(cover(calibration, photo, shaped, alphas, settings.report_alpha))
        if len(strips) < settings.heatmaps:
            strips.append(_strip(photo, shaped.bands(calibration.steps(settings.report_alpha), "per_channel")))
    certificate = certify(calibration, tests, settings.report_alpha, settings.seed)
    with atomic.replace_folder(folder) as new:
        replace(calibration, certificate=certificate).save(new)
        description = json.loads((new / calibration_files.DESCRIPTION).read_text(encoding="utf-8"))
        atomic.write_text(new / CERTIFICATE, write_page(colorizer.package.config["name"], description))

    headline = {row["mode"]: row for row in certificate["curve"] if row["alpha"] == settings.report_alpha}
    metrics: dict[str, Any] = {
        "alpha": settings.report_alpha,
        "photos": {"calibration": calibration.photos, "test": len(tests)},
        "smallest_alpha": round(calibration.smallest_alpha, 6),
        "joint_offsets": dict(zip(CHANNELS, shape.joint_offsets, strict=True)),
        **{mode: _headline(row) for mode, row in headline.items()},
        "grouped": {row["mode"]: _headline(row) for row in certificate["grouped"]},
        "worst_stratum": _worst(certificate["strata"]),
        "unlike": certificate["likeness"]["share"],
        "one_pixel": compare_with_mapie(*pixels, alphas, settings.report_alpha),
    }
    with atomic.replace_folder(report) as new:
        _write(new, metrics, certificate["curve"], strips)
    for row in (*headline.values(), *({**row, "mode": f"{row['mode']}, each group"} for row in certificate["grouped"])):
        print(
            f"calibrate: {row['mode']} at alpha {row['alpha']:g}: covers {row['coverage']:.1%} "
            f"({row['coverage_low']:.1%} to {row['coverage_high']:.1%}), width {row['width']:.1f} of 255 levels"
        )


def choose_shape(photos: Photos, settings: CalibrateParams) -> Shape:
    """Fix on the validation photos, before calibration, what the family of bands depends on."""
    unmerged = Grouping(UNMERGED, (0.0, 0.0))
    start = Shape(settings.adaptivity, (0, 0, 0), unmerged)
    presence, entropies, first_steps, compared = [], [], [], []
    for index, photo in enumerate(photos.split("val")):
        shaped = photos.colorizer.shape(photo.shown, photo.grey, start)
        presence.append(presence_of(shaped.groups))
        entropies.append(shaped.entropy)
        if index < _OFFSET_PHOTOS:
            first_steps.append(shaped.nested.first_steps(photo.true))
            compared.append(shaped)
    grouping = choose_grouping(np.stack(presence), entropies, photos.count("calibration"))
    widths = {}
    for offsets in _JOINT_OFFSETS:
        scores = [joint_first_steps(steps, offsets).ravel() for steps in first_steps]
        losses = np.stack([1 - np.bincount(of, minlength=STEPS).cumsum() / of.size for of in scores])
        step = np.minimum(first_step(losses, settings.report_alpha) + np.array(offsets), STEPS - 1)
        bands = [shaped.bands(step, "joint").astype(np.int16) for shaped in compared]
        widths[offsets] = float(np.mean([(of[..., 1] - of[..., 0]).mean() for of in bands]))
    return Shape(settings.adaptivity, min(widths, key=lambda offsets: widths[offsets]), grouping)


def count(photos: Photos, shape: Shape, seed: int, world: World) -> tuple[LossTable, tuple[np.ndarray, np.ndarray]]:
    """Count the losses of the calibration photos, and draw one pixel of each: true and shown, (n, 3)."""
    n = photos.count("calibration")
    table, generator = LossTable.of(n), np.random.default_rng(seed)
    places = generator.random((n, 2))
    pixels = torch.zeros(2, n, 3, dtype=torch.int64)
    for row, photo in zip(
        range(world.rank, n, world.size), photos.split("calibration", world.rank, world.size), strict=True
    ):
        shaped = photos.colorizer.shape(photo.shown, photo.grey, shape)
        first_steps = shaped.nested.first_steps(photo.true)
        groups = shape.grouping.merge(shaped.groups)
        table.add(row, photo_losses(first_steps, groups, shape.joint_offsets), shaped.atypicality)
        y, x = (int(place * side) for place, side in zip(places[row], photo.grey.shape, strict=True))
        pixels[:, row] = torch.from_numpy(np.stack((photo.true[y, x], photo.shown[y, x])).astype(np.int64))
    if world.size > 1:
        table = table.all_reduce(world.device)
        torch.distributed.all_reduce(pixels)
    true, shown = pixels.numpy().astype(np.uint8)
    return table, (true, shown)


def cover(
    calibration: Calibration, photo: ColorizedPhoto, shaped: ShapedPhoto, alphas: Sequence[float], alpha: float
) -> PhotoCoverage:
    """Measure the bands on a test photo."""
    plain, grouped, width_counts = {}, {}, None
    for mode in MODES:
        for of in alphas:
            bands = shaped.bands(calibration.steps(of, mode), mode)
            plain[mode, of] = reach(bands, photo.true, shaped.groups, mode)
            if of == alpha and mode == "per_channel":
                width_counts = count_widths(bands)
        steps = shaped.widest_steps(calibration.group_steps(alpha, mode))
        grouped[mode] = reach(shaped.bands(steps, mode), photo.true, shaped.groups, mode)
    assert width_counts is not None, "alpha is one of alphas"
    shares = np.bincount(shaped.groups.ravel(), minlength=len(GROUPS)) / photo.grey.size
    return PhotoCoverage(photo.id, photo.title, plain, grouped, shares, width_counts, shaped.atypicality)


def _headline(row: Mapping[str, Any]) -> dict[str, Any]:
    widths = dict(zip(CHANNELS, row["widths"], strict=True))
    kept = ("coverage", "coverage_low", "coverage_high", "width")
    return {**{key: row[key] for key in kept}, "widths": widths}


def _worst(strata: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The least covered cell of lightness and chroma that holds 1% of the pixels or more, per_channel."""
    cells = [of for of in strata if of["mode"] == "per_channel" and of["partition"] == "lightness x chroma"]
    worst = min((of for of in cells if of["share"] >= 0.01), key=lambda of: of["coverage"])
    return {key: worst[key] for key in ("group", "coverage", "standard_error", "grouped_coverage")}


def _strip(photo: ColorizedPhoto, bands_HW32: np.ndarray) -> Strip:
    width = (bands_HW32[..., 1] - bands_HW32[..., 0]).mean(axis=-1)
    outside = (photo.true < bands_HW32[..., 0]) | (photo.true > bands_HW32[..., 1])
    caption = f"{1 - outside.mean():.0%} of values inside, width {width.mean():.0f} levels · {photo.title}"
    marked = mark_outside(photo.grey, outside)
    return Strip(caption, (photo.grey, photo.shown, photo.true, heat_map(width), marked))


def _write(report: Path, metrics: dict[str, Any], curve: Sequence[Mapping[str, Any]], strips: Sequence[Strip]) -> None:
    text = json.dumps(metrics, indent=2, allow_nan=False)
    atomic.write_text(report / "metrics.json", text + "\n")
    table = pd.DataFrame(
        [
            {
                "alpha": row["alpha"],
                "mode": row["mode"],
                "nominal": round(1 - row["alpha"], 10),
                "coverage": row["coverage"],
                "low": row["coverage_low"],
                "high": row["coverage_high"],
                "width": row["width"],
                **{f"width_{name}": width for name, width in zip(CHANNELS, row["widths"], strict=True)},
            }
            for row in curve
        ]
    )
    atomic.write_text(report / "coverage.csv", table.to_csv(index=False, lineterminator="\n"))
    counts = metrics["photos"]
    subtitle = f"{counts['calibration']} calibration photos, {counts['test']} test photos"
    draw_coverage(report / "coverage.png", table.to_dict("records"), subtitle)
    columns = ("grey", "colorized", "truth", "width of the bands", "outside its band")
    label = f"width of the bands at alpha = {metrics['alpha']:g}: 8-bit levels, mean of R, G and B"
    rows = [("", [strip]) for strip in strips]
    draw_sheet(report / "heatmaps.png", rows, columns, cell=1.8, scale_label=label)


if __name__ == "__main__":
    # A second thread saves a third of the time, and costs minutes where others use the cores too.
    torch.set_num_threads(1)
    main()
