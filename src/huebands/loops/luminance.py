"""The loop that tightens bounds by luminance; see `conformal.luminance`."""

import numpy as np
from numpy.typing import NDArray

from huebands.loops.compiled import compiled


@compiled
def propagate(
    lower_N3: NDArray[np.uint8],
    upper_N3: NDArray[np.uint8],
    grey_N: NDArray[np.uint8],
    weights: NDArray[np.float64],
    darkest: NDArray[np.float64],
    brightest: NDArray[np.float64],
    linear: NDArray[np.float64],
    starts: NDArray[np.int64],
) -> None:
    """Tighten the bounds of each channel by those of the other two, in place, until none of a pixel's changes.

    Args:
        lower_N3: bounds.
        upper_N3: likewise.
        grey_N: grey levels.
        weights: of the channels in luminance, (3,).
        darkest: least luminance of each grey level, (256,).
        brightest: most, likewise.
        linear: linear light of each level, and infinity, (257,).
        starts: how many levels lie below each of even cells of linear light, and below 1.
    """
    cells = len(starts) - 1
    low, high = np.empty(3), np.empty(3)
    for pixel in range(len(grey_N)):
        level = grey_N[pixel]
        changes = True
        while changes:
            changes = False
            for channel in range(3):
                low[channel] = linear[lower_N3[pixel, channel]] * weights[channel]
                high[channel] = linear[upper_N3[pixel, channel]] * weights[channel]
            all_low, all_high = low[0] + low[1] + low[2], high[0] + high[1] + high[2]
            for channel in range(3):
                # Where no level is high or low enough, the bound stays at the last level: else this would not end.
                light = (darkest[level] - (all_high - high[channel])) / weights[channel]
                first = starts[int(min(max(light, 0.0), 1.0) * cells)]
                raised = min(first + (linear[first] < light), 255)
                if raised > lower_N3[pixel, channel]:
                    lower_N3[pixel, channel] = raised
                    changes = True
                light = (brightest[level] - (all_low - low[channel])) / weights[channel]
                first = starts[int(min(max(light, 0.0), 1.0) * cells)]
                lowered = max(first + (linear[first] <= light), 1) - 1
                if lowered < upper_N3[pixel, channel]:
                    upper_N3[pixel, channel] = lowered
                    changes = True
