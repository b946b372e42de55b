"""Calibration by MAPIE's split conformal regressor and by our counting, on the same scores: seconds, memory, quantiles.

    python benchmarks/calibration.py [--photos 500] [--rounds 3]

Scores are first steps as `NestedBands.first_steps` gives them, made photo by photo. MAPIE gets all values at once, as
the residuals of an estimator that predicts 0: in float64, as predictions are, and in uint16, the fewest bytes that it
takes, which works for predictions of 0 alone. Ours sees one photo at a time. It also counts pixels left by any channel,
which MAPIE does not, and once without groups, which is MAPIE's job, and once with the pipeline's three partitions.

Making scores is not timed. Each contestant has a process of its own and calibrates one photo first, to warm up. Ratios
are of processor time, so that a busy machine does not count: all run in one thread. Memory is the peak above what the
process held after its imports, scores included; for MAPIE also without the arrays that it is given.

The quantile: of N values MAPIE takes the k-th smallest score, k = ceil((1 - alpha)(N + 1)), which is the first step
that leaves at most N - k values. Ours takes the first step with (left + 1)/(N + 1) <= alpha, which is to say with left
<= floor(alpha(N + 1)) - 1 = N - k. The table says exactly how many are left: photos are of equal size, and shares of
65536 pixels are not rounded. Where quantiles differ the benchmark exits with 1. Needs Linux, for /proc.
"""

import argparse
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import time
import zlib
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mapie.regression import SplitConformalRegressor

from huebands.conformal.bands import STEPS
from huebands.conformal.groups import PARTITIONS
from huebands.conformal.scores import JOINT, photo_losses
from huebands.conformal.table import LossTable
from huebands.package.lineage import git_commit
from huebands.statistics.losses import SLACK
from huebands.statistics.risk_control import first_step_of_sums

SIDE = 256
VALUES = SIDE * SIDE * JOINT  # of a photo
ALPHAS = (0.01, 0.05, 0.1, 0.2)
JOINT_OFFSETS = (0, 12, 4)
BLOCKS = (32, 32, 1)  # a side, for each partition: only the group of the whole photo is the same everywhere
MAPIE_BYTES = 56  # a value, at MAPIE's peak in float64, its arrays included: measured 48
MEGABYTE = 10**6
MAPIE = {"MAPIE, float64": "float64", "MAPIE, uint16": "uint16"}
OURS = {"ours, no groups": False, "ours, all groups": True}
Result = dict[str, Any]


def first_steps(index: int) -> np.ndarray:
    """A photo's scores, uint16 (SIDE, SIDE, 3); all its values have the same spread."""
    random = np.random.default_rng((0, index))
    spread = random.lognormal(math.log(25), 0.5)
    errors = random.standard_exponential((SIDE, SIDE, 3), np.float32) * np.float32(spread)
    return np.asarray(np.minimum(errors, STEPS - 1).astype(np.uint16))


def groups_of(index: int) -> np.ndarray:
    """The groups of a photo's pixels, uint8 (partitions, SIDE, SIDE)."""
    random, start, layers = np.random.default_rng((1, index)), 0, []
    for names, blocks in zip(PARTITIONS.values(), BLOCKS, strict=True):
        drawn = random.integers(start, start + len(names), (blocks, blocks), np.uint8)
        layers.append(drawn.repeat(SIDE // blocks, axis=0).repeat(SIDE // blocks, axis=1))
        start += len(names)
    return np.stack(layers)


class Zero:
    """A fitted estimator that predicts 0."""

    is_fitted = True

    def fit(self, features: np.ndarray, target: np.ndarray) -> "Zero":
        """Learn nothing."""
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict in the type of the features."""
        return features[:, 0]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def calibrate_with_mapie(photos: int, dtype: str) -> Result:
    """Calibrate with MAPIE on all values in one array."""
    check = 0
    scores = np.empty(photos * VALUES, dtype)
    for index in range(photos):
        photo = first_steps(index).ravel()
        scores[index * VALUES : (index + 1) * VALUES], check = photo, zlib.crc32(photo.tobytes(), check)
    features = np.zeros((len(scores), 1), dtype)
    array_bytes = reset_peak()
    # The slack that our own quantile has where (1 - alpha)(N + 1) is a whole number.
    levels = [1 - (alpha + SLACK) for alpha in ALPHAS]
    regressor = SplitConformalRegressor(Zero(), confidence_level=levels, prefit=True)
    start = clocks()
    regressor.conformalize(features, scores)
    end = clocks()
    _, intervals = regressor.predict_interval(features[:1])
    wall, processor = end - start
    return {
        "wall": wall,
        "processor": processor,
        "quantiles_processor": (clocks() - end)[1],
        "peak": memory("VmHWM"),
        "bytes_without_arrays": memory("VmHWM") - array_bytes,
        "quantiles": intervals[0, 1].tolist(),
        "check": check,
    }


def calibrate_with_ours(photos: int, grouped: bool) -> Result:
    """Count photo by photo."""
    check, seconds = 0, np.zeros(2)
    table, no_groups = LossTable.empty(photos), np.empty((0, SIDE, SIDE), np.uint8)
    for index in range(photos):
        photo, groups = first_steps(index), groups_of(index) if grouped else no_groups
        check = zlib.crc32(photo.tobytes(), check)
        start = clocks()
        table.add(index, photo_losses(photo, groups, JOINT_OFFSETS), atypicality=0.0)
        seconds += clocks() - start
    start = clocks()
    left_T = table.losses[:, :JOINT].sum(axis=(0, 1)) * SIDE**2
    steps = [int(first_step_of_sums(left_T, photos * VALUES, alpha)) for alpha in ALPHAS]
    wall, processor = seconds
    return {
        "wall": wall,
        "processor": processor,
        "quantiles_processor": (clocks() - start)[1],
        "peak": memory("VmHWM"),
        "quantiles": steps,
        "check": check,
        "left": [[left_T[step - 1] if step else photos * VALUES, left_T[step]] for step in steps],
    }


def calibrate(contestant: str, photos: int) -> Result:
    """Calibrate on one photo to warm up, then on all."""
    start_bytes = reset_peak()
    for count in (1, photos):
        if contestant in MAPIE:
            result = calibrate_with_mapie(count, MAPIE[contestant])
        else:
            result = calibrate_with_ours(count, OURS[contestant])
    return {"bytes": result["peak"] - start_bytes, **result}


def in_its_own_process(contestant: str, photos: int) -> Result:
    """Run `calibrate` in a process of its own."""
    command = [sys.executable, __file__, "--photos", str(photos), "--contestant", contestant]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(process.stdout))


def clocks() -> np.ndarray:
    """Seconds of the wall and of this process's processor time."""
    return np.array((time.perf_counter(), time.process_time()))


def reset_peak() -> int:
    """Reset the peak of this process's memory; gives what it holds now, bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return memory("VmRSS")


def memory(name: str, file: str = "/proc/self/status") -> int:
    """Read a figure of /proc, in bytes."""
    lines = Path(file).read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def as_many_as_fit(photos: int) -> int:
    """Take fewer photos, and print it, where MAPIE needs more memory than is free."""
    free = memory("MemAvailable", "/proc/meminfo")
    possible = free // (VALUES * MAPIE_BYTES)
    if possible >= photos:
        return photos
    print(
        f"MAPIE would need {photos * VALUES * MAPIE_BYTES / 1e9:.1f} GB for {photos} photos, and {free / 1e9:.1f} GB "
        f"are free: {possible} PHOTOS INSTEAD OF {photos}"
    )
    if not possible:
        raise SystemExit("not even one photo fits")
    return possible


def check_quantiles(results: dict[str, Result], photos: int) -> bool:
    """Print both quantiles of each alpha; returns whether all are the same, of the same values, and exact."""
    values, ours = photos * VALUES, results["ours, no groups"]
    all_equal = len({result["check"] for result in results.values()}) == 1
    print(f"  scores {'the same' if all_equal else 'NOT the same'} in all processes, by their CRC-32")
    for index, alpha in enumerate(ALPHAS):
        rank = math.ceil((1 - Fraction(str(alpha))) * (values + 1))
        left_before, left = ours["left"][index]
        quantiles = {name: result["quantiles"][index] for name, result in results.items()}
        equal = len(set(quantiles.values())) == 1 and left <= values - rank < left_before
        all_equal &= equal
        print(
            f"  alpha {alpha:g}: {'equal' if equal else 'NOT equal'}, "
            + ", ".join(f"{quantile:g} ({name})" for name, quantile in quantiles.items())
            + f"; rank {rank:,} may leave {values - rank:,}: this step leaves {left:,.0f},"
            f" the one before {left_before:,.0f}"
        )
    return all_equal


def report(rounds: list[dict[str, Result]]) -> None:
    """Print the medians of each contestant, and MAPIE's time and memory as multiples of ours, round by round."""

    def median(name: str, figure: str) -> float:
        return float(statistics.median(results[name][figure] for results in rounds))

    for name in (*MAPIE, *OURS):
        beside_arrays = (
            f" ({median(name, 'bytes_without_arrays') / MEGABYTE:.0f} beside its arrays)" if name in MAPIE else ""
        )
        print(
            f"  {name}: {median(name, 'processor'):.3g} s ({median(name, 'wall'):.3g} s on the wall), and "
            f"{median(name, 'quantiles_processor'):.2g} s for {len(ALPHAS)} quantiles; "
            f"{median(name, 'bytes') / MEGABYTE:.4g} MB{beside_arrays}"
        )
    for mapie in MAPIE:
        for ours in OURS:
            times = [results[mapie]["processor"] / results[ours]["processor"] for results in rounds]
            print(
                f"  {mapie}, against {ours}: {statistics.median(times):.1f} times the time "
                f"({min(times):.1f} to {max(times):.1f} over {len(rounds)} rounds), "
                f"{median(mapie, 'bytes') / median(ours, 'bytes'):.0f} times the memory "
                f"({median(mapie, 'bytes_without_arrays') / median(ours, 'bytes'):.0f} without MAPIE's arrays)"
            )


def describe() -> str:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, commit {git_commit()[:12]}, MAPIE {version('mapie')}, "
        f"numpy {np.__version__}, {model}, {os.cpu_count()} cores"
    )


def main() -> None:
    """Print what is measured; exit with 1 where quantiles differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contestant", choices=(*MAPIE, *OURS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(calibrate(options.contestant, options.photos)))
        return
    print(describe())
    photos = as_many_as_fit(options.photos)
    print(f"{photos} photos of {SIDE} x {SIDE}: {photos * VALUES:,} values")
    rounds = [{name: in_its_own_process(name, photos) for name in (*OURS, *MAPIE)} for _ in range(options.rounds)]
    report(rounds)
    if not check_quantiles(rounds[0], photos):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
