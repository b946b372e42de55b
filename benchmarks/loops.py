"""The loops over pixels against the same arithmetic in torch: milliseconds a megapixel on one thread, and the ratio.

    python benchmarks/loops.py [--report FOLDER]

Both take turns, and the medians count. What they give is compared too.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from huebands import color
from huebands.conformal.bands import STEPS_PER_KNOT, Ends, Grid, NestedBands
from huebands.conformal.error_map import upsample
from huebands.density.coordinate import Spans
from huebands.density.expected_error import LEVELS, between_levels
from huebands.density.intervals import KNOTS, nested_intervals
from huebands.loops.srgb import grey_levels, shown_levels
from measurement import machine, write

SIDE, SAMPLES, ROUNDS = 1000, 32, 7
STEPS = np.array([129, 82, 129])  # those of the default model at 90%
Array = NDArray[np.generic]


def main() -> None:
    """Measure each loop, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--report", type=Path, help="folder for loops.json and loops.csv; none when left out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{SIDE} x {SIDE} pixels, median of {ROUNDS}; {machine()}")
    rows = []
    for name, (loop, in_torch) in pairs().items():
        loop_seconds, torch_seconds, different = measure(loop, in_torch)
        row = {
            "loop": name,
            "torch_ms": f"{torch_seconds * 1e3:.0f}",
            "loop_ms": f"{loop_seconds * 1e3:.1f}",
            "ratio": f"{torch_seconds / loop_seconds:.1f}",
            "different_values": f"{different}",
        }
        rows.append(row)
        print(", ".join(f"{key}: {value}" for key, value in row.items()))
    if options.report:
        command = "python benchmarks/loops.py --report reports/benchmarks"
        note = f"One thread, {SIDE} x {SIDE} pixels, median of {ROUNDS} rounds in turns."
        write(options.report / "loops", command, {"pixels": SIDE**2}, rows, note)


@torch.inference_mode()
def pairs() -> dict[str, tuple[Callable[[], Array], Callable[[], Array]]]:
    """Each loop, and the same in torch."""
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    rgb_HW3 = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    grey_HW, shown_HW3 = random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8), rgb_HW3[::-1].copy()
    lab_3HW = torch.rand(3, SIDE, SIDE, generator=generator) * 100
    lab_3HW[1:] = (lab_3HW[1:] - 50) * 0.8
    logits = torch.randn(3, 32, SAMPLES, SAMPLES, generator=generator)
    grey_SS = torch.from_numpy(random.integers(0, 256, (SAMPLES, SAMPLES), dtype=np.uint8))
    nested = NestedBands(shown_HW3, grey_HW, Ends(*nested_intervals(logits.log_softmax(dim=1), grey_SS, 0.5)))
    errors_KSS = random.uniform(0, 30, (len(LEVELS), SAMPLES, SAMPLES)).astype(np.float32)
    rgb_3HW = torch.from_numpy(rgb_HW3).movedim(-1, 0)
    return {
        "grey levels": (
            lambda: grey_levels(rgb_HW3.reshape(-1, 3)),
            lambda: color.grey_levels(rgb_3HW).numpy().ravel(),
        ),
        "colours": (
            lambda: shown_levels(lab_3HW).numpy(),
            lambda: color.to_bytes(color.lab_to_srgb(color.fit_to_gamut(lab_3HW))).numpy(),
        ),
        "bands": (lambda: nested.at(STEPS), lambda: bands_in_torch(nested)),
        "map of errors": (lambda: upsample(errors_KSS, grey_HW), lambda: map_in_torch(errors_KSS, grey_HW)),
    }


def measure(loop: Callable[[], Array], in_torch: Callable[[], Array]) -> tuple[float, float, int]:
    """Median seconds of both, and how many values differ."""
    seconds: tuple[list[float], list[float]] = ([], [])
    different = int(np.count_nonzero(loop() != in_torch()))
    for _ in range(ROUNDS):
        for function, times in zip((loop, in_torch), seconds, strict=True):
            started = time.process_time()
            function()
            times.append(time.process_time() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1]), different


def bands_in_torch(nested: NestedBands) -> Array:
    """The bands at `STEPS`."""
    grid, bands = Grid.over(nested.intervals.size, nested.grey_HW.shape, slice(None)), []
    for channel, step in enumerate(STEPS.tolist()):
        spans = Spans.of(torch.from_numpy(nested.grey_HW), channel)
        shown = torch.from_numpy(nested.shown_HW3[..., channel].astype(np.float32))
        knot, share = step // STEPS_PER_KNOT, step % STEPS_PER_KNOT / STEPS_PER_KNOT
        lower, upper = (
            spans.decode(start + share * (end - start))
            for start, end in map(grid.interpolate, nested.intervals.knots(knot, min(knot + 2, KNOTS + 1), channel))
        )
        bands.append(torch.stack((torch.minimum(lower.floor_(), shown), torch.maximum(upper.ceil_(), shown)), dim=-1))
    return torch.stack(bands, dim=2).to(torch.uint8).numpy()


def map_in_torch(errors_KSS: NDArray[np.float32], grey_HW: NDArray[np.uint8]) -> Array:
    """The map of errors."""
    place, weight = (table[torch.from_numpy(grey_HW.astype(np.int64))[None]] for table in between_levels())
    errors_KHW = Grid.over(errors_KSS.shape[1:], grey_HW.shape, slice(None)).interpolate(torch.from_numpy(errors_KSS))
    return np.asarray((errors_KHW.gather(0, place) * (1 - weight) + errors_KHW.gather(0, place + 1) * weight)[0])


if __name__ == "__main__":
    main()
