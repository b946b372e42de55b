"""Widths and coverage of each way of making bands, on the same frozen generator.

    python studies/bands/bands.py [--model FOLDER] [--prepared FOLDER] [--stride K] [--splits N] [--no-dropout]
        [--no-tracking]

Photos are those of the calibration and test splits at the prepared size, one of each group of near-duplicates. Every
score is measured on the same pixels, every K-th in both directions. Each row is measured twice: calibrated on the
calibration split and measured on the test split, and as the mean over random re-splits of both together, in the same
sizes. Widths are means over photos, in 8-bit levels; per_channel promises each channel's values, joint pixels. Cells
are those of lightness and predicted chroma that hold 1% of the pixels; the least covered has its bootstrap standard
error over photos. What a row leaves open (scales, floors) is chosen on the validation photos.

Rows 1, 2 and MAPIE's of 6 calibrate on all pixels as if they were independent, which guarantees nothing over photos;
joint: each channel at a third of alpha. 1 and MAPIE's of 6 are as MAPIE gives them, also beyond 0 and 255. All others
calibrate over photos, and are cut to what sRGB can show at the pixel's grey level: symmetric bands explicitly, those of
the distribution by construction, since their ends are positions between what sRGB can show. "Quantiles, over photos"
has all of ours but the way in which intervals grow. What changes the joint mode alone leaves per_channel as it is. A
band holds one value more than it is wide if its ends are whole levels, and as many as it is wide if they are not: so
rounding outwards makes bands narrower.
"""

import argparse
import csv
import json
import logging
import math
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from band_pixels import SAMPLES, Measured, Pixels, dropouts, sample_pixels
from band_scores import ALPHA, MAPIE, OURS, Score, make_scores, quantile_shares
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.bands import CHANNELS
from huebands.conformal.guarantee import MODES, AlphaError, Mode
from huebands.data.near_duplicates import lead_rows
from huebands.data.progress import follow
from huebands.data.shards import LabShard, ShardError, data_sha256, read_split
from huebands.package.lineage import Dataset, git_commit
from huebands.package.schema import PackageError
from huebands.statistics.losses import RiskError

NAME = "bands"
OWN, RESPLIT = "own split", "re-splits"
SEED = 0
Study = Mapping[tuple[str, Mode], Measured]  # by score and mode


def main() -> None:
    """Print a row for each score and study, and the coverage over re-splits; write and log the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/generator"), help="a complete package")
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--stride", type=int, default=8, help="pixels (default: 8)")
    parser.add_argument("--splits", type=int, default=100, help="random re-splits (default: 100)")
    parser.add_argument("--no-dropout", action="store_true", help="leave out row 5, which takes half of the time")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--report", type=Path, default=Path("reports/bands"))
    parser.add_argument("--no-tracking", action="store_true", help="log nothing to MLflow")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.INFO)  # MAPIE logs each predicted interval that crosses
    started = time.perf_counter()
    try:
        colorizer = Colorizer.load(options.model)
        shape = colorizer.calibration.shape
        adaptivities = sorted({0.0, shape.adaptivity, 1.0})
        samples = 0 if options.no_dropout else SAMPLES
        val, calibration, test = (
            Pixels.join(list(read(colorizer, options.prepared, split, options.stride, split_adaptivities, samples)))
            for split, split_adaptivities in (("val", []), ("calibration", adaptivities), ("test", adaptivities))
        )
    except (PackageError, ShardError) as error:
        raise SystemExit(f"bands: {error}") from error
    pool = Pixels.join([calibration, test])
    metadata = {
        **describe(colorizer, options.prepared),
        "photos": {"val": val.photos, "calibration": calibration.photos, "test": test.photos},
        "pixels": pool.grey_HW.size // pool.photos,
        "stride": options.stride,
        "splits": options.splits,
        "alpha": ALPHA,
    }
    print("\n".join(f"{name}: {value}" for name, value in metadata.items()))
    print(f"photos were sampled in {time.perf_counter() - started:.0f} s", flush=True)
    by_dropout = bool(dropouts(colorizer)) and samples > 0
    if not by_dropout:
        print(f"5 is left out: {'as asked' if samples == 0 else 'the generator has no dropout'}")

    scores = make_scores(pool, val, shape, by_dropout)
    random, own_order = np.random.default_rng(SEED), np.arange(pool.photos)
    orders = [random.permutation(pool.photos) for _ in range(options.splits)]
    studies = {
        name: {
            (score, mode): measure(scores[score], mode, pool, calibration.photos, splits)
            for score in scores
            for mode in MODES
        }
        for name, splits in ((OWN, [own_order]), (RESPLIT, orders))
    }
    rows = [row for name, study in studies.items() for row in tabulate(name, study)]
    for name in studies:
        print_table(name, [row for row in rows if row["study"] == name])
    promise = [
        resplit_coverage(studies[RESPLIT][score, mode], score, mode) for score in (OURS, MAPIE) for mode in MODES
    ]
    print_promise(promise, calibration.photos, pool.photos)
    metadata["seconds"] = round(time.perf_counter() - started)
    paths = write(options.report, NAME, rows, {"about": metadata, "promise": [_rounded_row(row) for row in promise]})
    print(f"{metadata['seconds']} s -> {', '.join(map(str, paths))}")
    if not options.no_tracking:
        params = {name: metadata[name] for name in ("package", "photos", "stride", "splits", "alpha")}
        print(f"MLflow run {track(NAME, rows, params, options.prepared, paths)}, experiment huebands-{NAME}")


def describe(colorizer: Colorizer, prepared: Path) -> dict[str, Any]:
    """The package, the data, the code and the machine of the figures."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    curve = colorizer.calibration.certificate.get("curve", [])
    certified = [
        f"{row['mode']} {row['width']:.1f} wide, {row['coverage']:.1%} covered"
        for row in curve
        if row["alpha"] == ALPHA
    ]
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "mapie"))
    return {
        "package": f"{colorizer.source} ({colorizer.package.config['name']}), {colorizer.package.package_sha256[:12]}",
        "data": f"{prepared}, {data_sha256(prepared)[:12]}",
        "shape": f"adaptivity {colorizer.calibration.shape.adaptivity:g}, G ahead by"
        f" {colorizer.calibration.shape.joint_offsets[1]} steps in the joint mode",
        "certificate": "; ".join(certified) + ", on test photos at their own sizes",
        "code": f"commit {git_commit()}, {libraries}",
        "machine": f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} used",
    }


def read(
    colorizer: Colorizer, prepared: Path, split: str, stride: int, adaptivities: Sequence[float], samples: int
) -> Iterator[Pixels]:
    """Sample the photos of a split; `samples` colorizations with dropout."""
    for row, _, true_HW3 in lead_photos(prepared, split):
        yield sample_pixels(colorizer, true_HW3, stride, adaptivities, quantile_shares(), SEED + row, samples)


def lead_photos(prepared: Path, split: str) -> Iterator[tuple[int, str, np.ndarray]]:
    """Row, ID and true colours, uint8 (H, W, 3), of one photo of each group of near-duplicates in a split."""
    shard, leads = LabShard(prepared, split), lead_rows(read_split(prepared, split))
    rows = leads["row"].tolist()
    finished = follow(repeat(1, len(rows)), split, len(rows), done=0)
    for row, photo_id, _ in zip(rows, leads["id"], finished, strict=True):
        yield row, photo_id, shard.rgb([row])[0].permute(1, 2, 0).numpy()


def measure(score: Score, mode: Mode, pixels: Pixels, calibrating: int, orders: Sequence[np.ndarray]) -> Measured:
    """Calibrate on the first photos of each order, measure on the others."""
    measured = Measured(pixels)
    for order in orders:
        try:
            measured.add(score(order[:calibrating], mode), order[calibrating:])
        except (AlphaError, RiskError) as error:
            measured.refusals.append(str(error))
    return measured


def tabulate(study_name: str, study: Study, reference_score: str = MAPIE) -> Iterator[dict[str, Any]]:
    """One flat row a score: its figures in both modes; those of a refused one are NaN.

    Args:
        study_name: the first column.
        study: figures of each score.
        reference_score: the score to which widths are relative.
    """
    for score in dict.fromkeys(score for score, _ in study):
        row: dict[str, Any] = {"study": study_name, "score": score}
        refused = []
        for mode in MODES:
            measured, reference = study[score, mode], study[reference_score, mode]
            figures = measured.figures()
            relative = figures["width"] / reference.figures()["width"] - 1
            row |= {f"{mode}_{name}": value for name, value in {**figures, "relative": relative}.items()}
            if measured.refusals:
                refused.append(f"{mode} refused {len(measured.refusals)} times: {measured.refusals[0]}")
        yield {**row, "refused": "; ".join(refused)}


def print_table(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line a score; a dash for what could not be calibrated."""
    modes = "".join(f"{f'{mode}: width':^33}" for mode in MODES)
    print(f"\n{name:36}{modes}{'coverage':^16}" + "".join(f"{f'cells, {mode}':^25}" for mode in MODES))
    widths = "".join(f"{channel:>6}" for channel in CHANNELS) + f"{'mean':>7}{'to 1':>8}"
    print(f"{'':36}{widths}{widths}{'channel':>9}{'joint':>7}" + f"{'least':>9} (s.e.){'most':>9}" * 2)
    for row in rows:
        cells = [f"{row['score']:36}"]
        for mode in MODES:
            cells += [_cell(row[f"{mode}_width_{channel}"], "6.1f") for channel in CHANNELS]
            cells += [_cell(row[f"{mode}_width"], "7.1f"), _cell(row[f"{mode}_relative"], "+8.1%")]
        cells += [_cell(row[f"{mode}_coverage"], form) for mode, form in zip(MODES, ("9.1%", "7.1%"), strict=True)]
        for mode in MODES:
            least, error, most = (row[f"{mode}_cell_{figure}"] for figure in ("least", "least_error", "most"))
            cells.append(f"{_cell(least, '9.1%')} ({_cell(error, '4.1%')}){_cell(most, '9.1%')}")
        print("".join(cells))
    for row in rows:
        if row["refused"]:
            print(f"{row['score']}: {row['refused']}")


def _cell(value: float, form: str) -> str:
    """A number, or a dash of the same width where there is none."""
    text = format(value, form)
    return text if math.isfinite(value) else f"{'-':>{len(text)}}"


def resplit_coverage(measured: Measured, score: str, mode: Mode) -> dict[str, Any]:
    """Coverage over the re-splits beside what was promised, with both standard errors."""
    coverage, promised = measured.coverage, 1 - ALPHA
    errors = {"over_resplits": measured.error_over_splits, "over_photos": measured.error_over_photos}
    return {
        "score": score,
        "mode": mode,
        "coverage": coverage,
        "promised": promised,
        **{f"error_{name}": error for name, error in errors.items()},
        **{f"errors_apart_{name}": (coverage - promised) / error for name, error in errors.items()},
    }


def print_promise(promise: Sequence[Mapping[str, Any]], calibrating: int, pool: int) -> None:
    """Print the coverage over the re-splits."""
    print("\nthe promise, mean coverage over the re-splits")
    for row in promise:
        print(
            f"{row['score']:32}{row['mode']:12} {row['coverage']:.2%} covered, {row['promised']:.0%} promised; s.e."
            f" {row['error_over_resplits']:.2%} over re-splits ({row['errors_apart_over_resplits']:+.1f} of them"
            f" apart), {row['error_over_photos']:.2%} over photos ({row['errors_apart_over_photos']:+.1f})"
        )
    print(
        f"Re-splits of one pool are dependent. For other photos the standard error is that of a mean over the pool,"
        f" std / sqrt({pool}), a cautious one, since steps follow the pool;\nstd / sqrt(re-splits) is that of this"
        " pool's own mean, for which the promise holds as well, since every order of the pool is as likely.\n"
        f"Conformal risk control covers more than it promises: by about 1/(n + 1) = {1 / (calibrating + 1):.2%}, at"
        " most twice that (Angelopoulos et al. 2024, theorem 2), plus what one step is worth."
    )


def write(folder: Path, study: str, rows: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> list[Path]:
    """Write rows as STUDY.csv, and with further content as STUDY.json, into a folder, made if need be; gives the paths.

    Raises:
        ValueError: when the further content holds a number that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    csv_path, json_path = folder / f"{study}.csv", folder / f"{study}.json"
    rounded = [_rounded_row(row) for row in rows]
    with csv_path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rounded[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded)
    text = json.dumps({**content, "rows": rounded}, indent=2, allow_nan=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    return [csv_path, json_path]


def _rounded_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Round numbers to five decimals; None where there is no finite one."""

    def rounded(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return round(value, 5) if math.isfinite(value) else None

    return {name: rounded(value) for name, value in row.items()}


def track(
    study: str,
    rows: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    prepared: Path,
    reports: Sequence[Path],
    key: str = "score",
) -> str:
    """Log a run for each score, below one for the study.

    Args:
        study: name of the study; its experiment is called huebands-STUDY.
        rows: of all scores.
        params: of every run.
        prepared: folder of the photos.
        reports: files of the study.
        key: the column that names a score's run.

    Returns:
        The study's id.
    """
    from huebands.registry.connection import TrackingError
    from huebands.registry.runs import FinishedRun, log_runs

    tags = {"git_commit": git_commit()}
    dataset = Dataset(f"calibration and test splits of {prepared}", data_sha256(prepared), str(prepared), "evaluation")
    params = {name: str(value) for name, value in params.items()}
    children = []
    for score in dict.fromkeys(row[key] for row in rows):
        metrics = {
            f"{row['study'].replace('-', '_').replace(' ', '_')}_{name}": value
            for row in rows
            if row[key] == score
            for name, value in row.items()
            if isinstance(value, float) and math.isfinite(value)
        }
        run = FinishedRun(name=score, params=params, metrics=metrics, tags=tags, datasets=[dataset])
        children.append(run)
    parent = FinishedRun(
        name=f"{study} on {prepared}", params=params, metrics={}, tags=tags, datasets=[dataset], reports=reports
    )
    try:
        return log_runs(f"huebands-{study}", parent, children)
    except TrackingError as error:
        raise SystemExit(f"{study}: {reports[0].parent} is written, but not logged: {error}") from error


if __name__ == "__main__":
    main()
