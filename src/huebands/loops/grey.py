"""The loop that finds grey levels; see `color.grey_levels`."""

import numpy as np
from numpy.typing import NDArray

from huebands.loops.compiled import compiled


@compiled
def grey_levels(
    rgb_N3: NDArray[np.uint8],
    linear: NDArray[np.float32],
    weights: NDArray[np.float32],
    edges: NDArray[np.float32],
    starts: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The grey of the same luminance, (N,).

    Args:
        rgb_N3: sRGB.
        linear: linear light of each level, (256,).
        weights: of the channels in luminance, (3,).
        edges: luminances at which the nearest grey level changes, rising.
        starts: how many edges lie below each of even cells of luminance; their number is a power of two.
    """
    cells = np.float32(len(starts))
    grey_N = np.empty(len(rgb_N3), np.uint8)
    for pixel in range(len(rgb_N3)):
        red, green, blue = linear[rgb_N3[pixel, 0]], linear[rgb_N3[pixel, 1]], linear[rgb_N3[pixel, 2]]
        luminance = weights[0] * red + weights[1] * green + weights[2] * blue
        level = starts[min(int(luminance * cells), len(starts) - 1)]
        while level < len(edges) and edges[level] < luminance:
            level += 1
        grey_N[pixel] = level
    return grey_N
