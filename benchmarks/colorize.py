"""A whole `Colorizer.colorize` call against its network alone: what size costs, as a ratio in one run."""

import statistics
import timeit
from collections.abc import Callable

import numpy as np
import torch

from huebands.colorize.colorizer import Colorizer

SIDES, REPEATS = (64, 512, 2048), 5


def median_seconds(function: Callable[[], object]) -> float:
    """Time repeated calls, after one to warm up."""
    return statistics.median(timeit.repeat(function, number=1, repeat=1 + REPEATS)[1:])


def main() -> None:
    """Print one line for each size."""
    colorizer = Colorizer.load()
    size = colorizer.package.config["preprocessing"]["image_size"]
    L_unit = torch.zeros(1, 1, size, size)
    with torch.inference_mode():
        network = median_seconds(lambda: colorizer.package.generator(L_unit))
    print(f"{colorizer.source}, torch {torch.__version__} with {torch.get_num_threads()} threads,", end=" ")
    print(f"median of {REPEATS}; the network alone: {network * 1e3:.0f} ms")
    random = np.random.default_rng(0)
    for side in SIDES:
        coarse = random.integers(0, 256, (side // 8, side // 8), dtype=np.uint8)
        grey = np.kron(coarse, np.ones((8, 8), np.uint8))
        seconds = median_seconds(lambda grey=grey: colorizer.colorize(grey, alpha=0.1))  # type: ignore[misc]
        print(f"{side} x {side}: {seconds / network:.1f} times the network ({seconds * 1e3:.0f} ms)")


if __name__ == "__main__":
    main()
