"""Bands from samples of a photo's colours beside the density's, for each model whose network draws samples.

    python studies/bands/samples.py [--model FOLDER ...] [--prepared FOLDER] [--count N] [--stride K] [--splits N]
        [--no-tracking]

The question is which score gives the narrowest bands that keep the promise. Photos, pixels, splits, calibration and
figures are those of `bands.py`: conformal risk control over photos at alpha 0.1, in both modes. N samples of each
photo are drawn at the prepared size, by a seed that the photo's ID gives, and every K-th pixel of them is kept. The
rows are:

- samples, spread: the colour shown, plus and minus a factor of the samples' standard deviation and a floor;
- samples, quantiles widened: from the lower to the upper quantile, both moved outwards by a margin, or inwards;
- samples, quantiles scaled: from the colour shown towards each quantile, by a factor of the distance and a floor;
- samples, quantile levels: from the samples' median to their least and greatest, and from there on by a margin;
- density (ours): the package's bands, calibrated anew on the pixels of the study;
- constant width: the colour shown, plus and minus a margin.

A margin is one number for all pixels, and R, G and B have it in the proportions of their errors on the validation
photos. Floors, tails of the quantiles and the steps by which G is ahead in the joint mode are chosen on the validation
photos too; the density has its package's shape. All bands are rounded outwards, hold the colour shown, and are cut to
what sRGB can show at the pixel's grey level. In the joint mode the channels tighten each other by luminance.

p is that of the exact test of the promise on the test photos; a small one says that it is broken. A row is valid when
its p, corrected by Holm's method for all rows and both modes, is at least 0.05. Widths are compared on the same test
photos: the interval of a difference is that of the bootstrap over them, and holds for this draw of the calibration
photos. A package of other data than the prepared ones is marked: its figures hold only if it was trained on none of
these calibration and test photos. A network that takes hints or a reference gets neither.
"""

import argparse
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from band_pixels import Measured, every, sample_pixels
from band_scores import ALPHA, quantile_shares
from bands import OWN, RESPLIT, SEED, describe, lead_photos, measure, tabulate, track, write
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.sampling import MAX_SAMPLES, SamplesError, Sampling
from huebands.conformal.guarantee import MODES, AlphaError, Mode
from huebands.conformal.shape import Shape
from huebands.data.shards import ShardError, data_sha256
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from huebands.statistics.bootstrap import resampling_weights
from huebands.statistics.broken_promise import broken_p
from sample_bands import DENSITY, SampledPixels, sample_scores
from sample_table import correct, print_report

NAME = "samples"
_SPLITS = ("val", "calibration", "test")
_RESAMPLES = 2000
_OF_PACKAGE = ("package", "shape", "certificate", "made of these data", "seconds")
_TESTED = ("p", "p_holm", "relative_low", "relative_high")  # figures of the own split alone


def main() -> None:
    """Print one table of all packages, and which row is the narrowest valid one; write and log the same."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    try:
        labels = label_packages(options.model)
        for folder in labels.values():
            check_package(Colorizer.load(folder))
        packages, rows = {}, list[dict[str, Any]]()
        for label, folder in labels.items():
            about, compared = study_package(label, Colorizer.load(folder), options)
            packages[label] = {name: about.pop(name) for name in _OF_PACKAGE}
            rows += compared
    except (PackageError, ShardError, SamplesError, AlphaError) as error:
        raise SystemExit(f"{NAME}: {error}") from error
    correct(rows)
    settings = {name: getattr(options, name) for name in ("count", "stride", "splits")}
    metadata = {"packages": packages, **about, **settings, "alpha": ALPHA}
    metadata["seconds"] = round(time.perf_counter() - started)
    print_report(rows, metadata)
    paths = write(options.report, NAME, rows, {"about": metadata})
    print(f"\n{metadata['seconds']} s -> {', '.join(map(str, paths))}")
    if not options.no_tracking:
        params = {name: metadata[name] for name in ("photos", "count", "stride", "splits", "alpha")}
        run = track(NAME, rows, {"packages": ", ".join(packages), **params}, options.prepared, paths, key="name")
        print(f"MLflow run {run}, experiment huebands-{NAME}")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", help="a complete package; may be given several times")
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--count", type=int, default=16, help="samples of each photo (default: 16)")
    parser.add_argument("--stride", type=int, default=8, help="pixels (default: 8)")
    parser.add_argument("--splits", type=int, default=100, help="random re-splits (default: 100)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--report", type=Path, default=Path(f"reports/{NAME}"))
    parser.add_argument("--no-tracking", action="store_true", help="log nothing to MLflow")
    options = parser.parse_args()
    for name, least in (("count", 2), ("stride", 1), ("splits", 1), ("threads", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} (={getattr(options, name)}) must be at least {least}")
    options.model = options.model or [Path("models/generator")]
    return options


def study_package(
    label: str, colorizer: Colorizer, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Describe a package, its photos and the machine, and give its rows."""
    started = time.perf_counter()
    val, calibration, test = (
        SampledPixels.join(list(read(colorizer, options.prepared, split, options.stride, options.count)))
        for split in _SPLITS
    )
    pool, calibrating = SampledPixels.join([calibration, test]), calibration.pixels.photos
    rows = list(compare(label, colorizer.calibration.shape, val, pool, calibrating, options.splits))
    about = describe(colorizer, options.prepared)
    about |= {
        "made of these data": has_data(colorizer, options.prepared),
        "seconds": round(time.perf_counter() - started),
        "photos": {split: part.pixels.photos for split, part in zip(_SPLITS, (val, calibration, test), strict=True)},
        "pixels": pool.pixels.grey_HW.size // pool.pixels.photos,
    }
    return about, rows


def label_packages(folders: Sequence[Path]) -> dict[str, Path]:
    """Packages by the names of their folders.

    Raises:
        PackageError: when two have the same.
    """
    labels: dict[str, Path] = {}
    for folder in folders:
        label = folder.resolve().name
        if label in labels:
            raise PackageError(f"{folder} and {labels[label]} have the same name, {label}: give one of them another")
        labels[label] = folder
    return labels


def check_package(colorizer: Colorizer) -> None:
    """Check that a package has all that the study needs.

    Raises:
        SamplesError: when its network draws no samples.
        PackageError: when it has no density or no calibration.
    """
    if not colorizer.abilities.samples:
        raise SamplesError(
            f"{colorizer.source} has the network {colorizer.package.generator.params.name}, which knows one colouring"
            " only, so there are no samples to make bands of: leave this package out, or give one whose network draws"
            " samples, such as classifier, dual_head, vae or diffusion"
        )
    _ = colorizer.density, colorizer.calibration


def has_data(colorizer: Colorizer, prepared: Path) -> bool:
    """Whether a package was made of these very data."""
    return bool(colorizer.package.config["lineage"]["data_sha256"] == data_sha256(prepared))


def read(colorizer: Colorizer, prepared: Path, split: str, stride: int, count: int) -> Iterator[SampledPixels]:
    """Sample the pixels of a split's photos, and draw samples of their colours."""
    adaptivity = colorizer.calibration.shape.adaptivity
    for _, photo_id, true_HW3 in lead_photos(prepared, split):
        pixels = sample_pixels(colorizer, true_HW3, stride, [adaptivity], quantile_shares(), SEED, samples=0)
        # The bands of the package alone: equal-tailed ones take as much memory again.
        pixels = replace(pixels, nested={f"{adaptivity:g}": pixels.nested[f"{adaptivity:g}"]})
        samples_NHW3 = draw(colorizer, GreyPhoto.of_rgb(true_HW3), count, seed_of(photo_id), stride)
        yield SampledPixels.of(pixels, samples_NHW3)


def draw(colorizer: Colorizer, photo: GreyPhoto, count: int, seed: int, stride: int) -> np.ndarray:
    """Draw samples of a photo, and keep every `stride`-th pixel: uint8 (count, H, W, 3).

    One request gives `MAX_SAMPLES` at most, so further ones have the seeds after the first.
    """
    parts = []
    for request, first in enumerate(range(0, count, MAX_SAMPLES)):
        sampling = Sampling(count=min(MAX_SAMPLES, count - first), seed=seed + request)
        parts.append(np.stack([rgb_HW3[every(stride)] for rgb_HW3 in colorizer.colours.samples(photo, sampling)]))
    return np.concatenate(parts)


def seed_of(photo_id: str) -> int:
    """The seed of a photo's samples, which depends on nothing but its ID."""
    return int.from_bytes(hashlib.sha256(f"{SEED} {photo_id}".encode()).digest()[:6])


def compare(
    label: str, shape: Shape, val: SampledPixels, pool: SampledPixels, calibrating: int, splits: int
) -> Iterator[dict[str, Any]]:
    """The rows of a package: each score on its own split and over re-splits.

    Args:
        label: name of the package.
        shape: shape of the package's bands.
        val: pixels of the val split, which chooses settings.
        pool: pixels of the calibration split, and below them those of the test split.
        calibrating: how many photos calibrate.
        splits: how many re-splits.
    """
    scores = sample_scores(pool, val, shape, f"{shape.adaptivity:g}")
    photos, random = pool.pixels.photos, np.random.default_rng(SEED)
    orders = [random.permutation(photos) for _ in range(splits)]
    for name, study_orders in ((OWN, [np.arange(photos)]), (RESPLIT, orders)):
        study = {
            (score, mode): measure(chosen.score, mode, pool.pixels, calibrating, study_orders)
            for score, chosen in scores.items()
            for mode in MODES
        }
        for row in tabulate(name, study, DENSITY):
            score = row["score"]
            tests = [
                figures_of_test(mode, study[score, mode], study[DENSITY, mode]) if name == OWN else {} for mode in MODES
            ]
            yield {
                "name": f"{label}: {score}",
                "package": label,
                **row,
                "setting": scores[score].setting,
                **dict.fromkeys((f"{mode}_{figure}" for mode in MODES for figure in _TESTED), math.nan),
                **tests[0],
                **tests[1],
            }


def figures_of_test(mode: Mode, measured: Measured, density: Measured) -> dict[str, float]:
    """The p-value of the promise, and the interval of the width relative to the density's; empty when refused."""
    if not measured.means or not density.means:
        return {}
    widths, density_widths = measured.widths_by_photo, density.widths_by_photo
    weights = resampling_weights(len(widths), _RESAMPLES, SEED)
    low, high = np.percentile(weights @ widths / (weights @ density_widths) - 1, (2.5, 97.5))
    return {
        f"{mode}_p": broken_p(1 - measured.covered_by_photo, ALPHA),
        f"{mode}_relative_low": float(low),
        f"{mode}_relative_high": float(high),
    }


if __name__ == "__main__":
    main()
