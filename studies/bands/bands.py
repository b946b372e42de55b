"""How wide each way of making bands is, and whether it keeps its promise, on the same frozen generator.

    python studies/bands/bands.py [--model FOLDER] [--prepared FOLDER] [--stride K] [--splits N] [--no-tracking]

Photos are those of the calibration and test splits at the prepared size, of near-duplicates the leader; every score is
measured on the same pixels, every K-th in both directions. Each row is measured twice: calibrated on the calibration
split and measured on the test split, and as the mean over random re-splits of both together, in the same sizes. Widths
are means over photos, in 8-bit levels; per_channel promises each channel's values, joint pixels. Cells are those of
lightness and predicted chroma that hold 1% of the pixels; the least covered has its bootstrap standard error over
photos. What a row leaves open (scales, floors) is chosen on the validation photos.

Rows 1, 2 and MAPIE's of 6 calibrate on all pixels as if they were independent, which promises nothing over photos;
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
from pathlib import Path
from typing import Any

import numpy as np
import torch

from band_pixels import Measured, Pixels, dropouts, look
from band_scores import ALPHA, MAPIE, OURS, Score, make_scores, quantile_shares
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.bands import CHANNELS
from huebands.conformal.guarantee import MODES, AlphaError, Mode
from huebands.data.shards import LabShard, ShardError, data_sha256, read_manifest
from huebands.package.lineage import Dataset, git_commit
from huebands.package.schema import PackageError
from huebands.statistics.risk_bounds import RiskError

EXPERIMENT = "huebands-bands"
OWN, RESPLIT = "own split", "re-splits"
SEED = 0
Study = Mapping[tuple[str, Mode], Measured]  # by score and mode


def main() -> None:
    """Print a row a score for each study, and how the promise was kept; write and log the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/generator"), help="a complete package")
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--stride", type=int, default=8, help="pixels (default: 8)")
    parser.add_argument("--splits", type=int, default=100, help="random re-splits (default: 100)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--report", type=Path, default=Path("reports/bands"))
    parser.add_argument("--no-tracking", action="store_true", help="log nothing to MLflow")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.INFO)  # MAPIE tells of each predicted interval that crosses
    started = time.perf_counter()
    try:
        colorizer = Colorizer.load(options.model)
        shape = colorizer.calibration.shape
        adaptivities = sorted({0.0, shape.adaptivity, 1.0})
        val, calibration, test = (
            Pixels.join(list(read(colorizer, options.prepared, split, options.stride, wanted)))
            for split, wanted in (("val", []), ("calibration", adaptivities), ("test", adaptivities))
        )
    except (PackageError, ShardError) as error:
        raise SystemExit(f"bands: {error}") from error
    pool = Pixels.join([calibration, test])
    about = {
        **describe(colorizer, options.prepared),
        "photos": {"val": val.photos, "calibration": calibration.photos, "test": test.photos},
        "pixels": pool.grey_HW.size // pool.photos,
        "stride": options.stride,
        "splits": options.splits,
        "alpha": ALPHA,
    }
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(f"photos were looked at in {time.perf_counter() - started:.0f} s", flush=True)
    if not dropouts(colorizer):
        print("5 is left out: the generator has no dropout")

    scores = make_scores(pool, val, shape, bool(dropouts(colorizer)))
    random, own = np.random.default_rng(SEED), np.arange(pool.photos)
    orders = [random.permutation(pool.photos) for _ in range(options.splits)]
    studies = {
        name: {
            (of, mode): measure(scores[of], mode, pool, calibration.photos, splits) for of in scores for mode in MODES
        }
        for name, splits in ((OWN, [own]), (RESPLIT, orders))
    }
    rows = [row for name, study in studies.items() for row in tabulate(name, study)]
    for name in studies:
        print_table(name, [row for row in rows if row["study"] == name])
    promise = [kept(studies[RESPLIT][of, mode], of, mode) for of in (OURS, MAPIE) for mode in MODES]
    print_promise(promise, calibration.photos, pool.photos)
    about["seconds"] = round(time.perf_counter() - started)
    paths = write(options.report, rows, promise, about)
    print(f"{about['seconds']} s -> {', '.join(map(str, paths))}")
    if not options.no_tracking:
        print(f"MLflow run {track(rows, about, options.prepared, paths)}, experiment {EXPERIMENT}")


def describe(colorizer: Colorizer, prepared: Path) -> dict[str, Any]:
    """What the figures belong to."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    curve = colorizer.calibration.certificate.get("curve", [])
    certified = [
        f"{of['mode']} {of['width']:.1f} wide, {of['coverage']:.1%} covered" for of in curve if of["alpha"] == ALPHA
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
    colorizer: Colorizer, prepared: Path, split: str, stride: int, adaptivities: Sequence[float]
) -> Iterator[Pixels]:
    """Look at the photos of a split, of near-duplicates at the leader."""
    shard, manifest = LabShard(prepared, split), read_manifest(prepared)
    leads = (manifest["split"] == split) & (manifest["id"] == manifest["group"])
    for row in sorted(manifest[leads]["row"]):
        true_HW3 = shard.rgb([row])[0].permute(1, 2, 0).numpy()
        yield look(colorizer, true_HW3, stride, adaptivities, quantile_shares(), SEED + row)


def measure(score: Score, mode: Mode, pixels: Pixels, calibrating: int, orders: Sequence[np.ndarray]) -> Measured:
    """Calibrate on the first photos of each order, measure on the others."""
    measured = Measured(pixels)
    for order in orders:
        try:
            measured.add(score(order[:calibrating], mode), order[calibrating:])
        except (AlphaError, RiskError) as error:
            measured.refusals.append(str(error))
    return measured


def tabulate(study_name: str, study: Study) -> Iterator[dict[str, Any]]:
    """One flat row a score: its figures in both modes; those of a refused one are NaN."""
    for score in dict.fromkeys(score for score, _ in study):
        row: dict[str, Any] = {"study": study_name, "score": score}
        refused = []
        for mode in MODES:
            measured, reference = study[score, mode], study[MAPIE, mode]
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
            least, error, most = (row[f"{mode}_cell_{of}"] for of in ("least", "least_error", "most"))
            cells.append(f"{_cell(least, '9.1%')} ({_cell(error, '4.1%')}){_cell(most, '9.1%')}")
        print("".join(cells))
    for row in rows:
        if row["refused"]:
            print(f"{row['score']}: {row['refused']}")


def _cell(value: float, form: str) -> str:
    """A number, or a dash as wide where there is none."""
    text = format(value, form)
    return text if math.isfinite(value) else f"{'-':>{len(text)}}"


def kept(measured: Measured, score: str, mode: Mode) -> dict[str, Any]:
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
    """What re-splits tell about the promise."""
    print("\nthe promise, mean coverage over the re-splits")
    for of in promise:
        print(
            f"{of['score']:32}{of['mode']:12} {of['coverage']:.2%} covered, {of['promised']:.0%} promised; s.e."
            f" {of['error_over_resplits']:.2%} over re-splits ({of['errors_apart_over_resplits']:+.1f} of them apart),"
            f" {of['error_over_photos']:.2%} over photos ({of['errors_apart_over_photos']:+.1f})"
        )
    print(
        f"Re-splits of one pool are dependent. For other photos the standard error is that of a mean over the pool,"
        f" std / sqrt({pool}), a cautious one, since steps follow the pool;\nstd / sqrt(re-splits) is that of this"
        " pool's own mean, for which the promise holds as well, since every order of the pool is as likely.\n"
        f"Conformal risk control covers more than it promises: by about 1/(n + 1) = {1 / (calibrating + 1):.2%}, at"
        " most twice that (Angelopoulos et al. 2024, theorem 2), plus what one step is worth."
    )


def write(
    folder: Path, rows: Sequence[Mapping[str, Any]], promise: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> list[Path]:
    """Write bands.csv and bands.json into a folder, made if need be; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, full = folder / "bands.csv", folder / "bands.json"
    rounded = [{name: _rounded(value) for name, value in row.items()} for row in rows]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rounded[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded)
    kept_rows = [{name: _rounded(value) for name, value in row.items()} for row in promise]
    content = {"about": about, "rows": rounded, "promise": kept_rows}
    full.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return [table, full]


def _rounded(value: Any) -> Any:
    """Five decimals; None for what there is not."""
    if not isinstance(value, float):
        return value
    return round(value, 5) if math.isfinite(value) else None


def track(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any], prepared: Path, reports: Sequence[Path]) -> str:
    """Log a run a score, below one for the benchmark; gives that one's id."""
    from huebands.registry.connection import TrackingError
    from huebands.registry.runs import FinishedRun, log_runs

    tags = {"git_commit": git_commit()}
    dataset = Dataset(f"calibration and test splits of {prepared}", data_sha256(prepared), str(prepared), "evaluation")
    params = {name: str(about[name]) for name in ("package", "photos", "stride", "splits", "alpha")}
    children = []
    for score in dict.fromkeys(row["score"] for row in rows):
        metrics = {
            f"{row['study'].replace('-', '_').replace(' ', '_')}_{name}": value
            for row in rows
            if row["score"] == score
            for name, value in row.items()
            if isinstance(value, float) and math.isfinite(value)
        }
        run = FinishedRun(name=score, params=params, metrics=metrics, tags=tags, datasets=[dataset])
        children.append(run)
    parent = FinishedRun(
        name=f"bands on {prepared}", params=params, metrics={}, tags=tags, datasets=[dataset], reports=reports
    )
    try:
        return log_runs(EXPERIMENT, parent, children)
    except TrackingError as error:
        raise SystemExit(f"bands: {reports[0].parent} is written, but not logged: {error}") from error


if __name__ == "__main__":
    main()
