"""CIELAB conversions against scikit-image: seconds of both for the same photo, medians, and their ratio."""

import statistics
import timeit
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab

from huebands import color

SIDE, REPEATS = 1024, 7


def median_seconds(function: Callable[[], object]) -> float:
    """Time repeated calls, after one to warm up."""
    return statistics.median(timeit.repeat(function, number=1, repeat=1 + REPEATS)[1:])


def main() -> None:
    """Print one line for each direction."""
    rgb_3HW = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    lab_3HW = color.srgb_to_lab(rgb_3HW)
    rgb_HW3, lab_HW3 = (np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in (rgb_3HW, lab_3HW))
    print(f"{SIDE} x {SIDE} float32, torch {torch.__version__} with {torch.get_num_threads()} threads,", end=" ")
    print(f"scikit-image {version('scikit-image')}, median of {REPEATS}")
    for name, ours, reference in (
        ("sRGB to Lab", lambda: color.srgb_to_lab(rgb_3HW), lambda: rgb2lab(rgb_HW3)),
        ("Lab to sRGB", lambda: color.lab_to_srgb(lab_3HW), lambda: lab2rgb(lab_HW3)),
    ):
        own_seconds, reference_seconds = median_seconds(ours), median_seconds(reference)
        print(
            f"{name}: {reference_seconds / own_seconds:.2f} times scikit-image's speed "
            f"({own_seconds * 1e3:.0f} ms against {reference_seconds * 1e3:.0f} ms)"
        )


if __name__ == "__main__":
    main()
