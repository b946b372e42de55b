"""Loops that bring samples, which are spread evenly over a photo, to its pixels.

Rows and columns are (before, after, weight): for each row of pixels the samples above and below it and the weight of
the one below, float32; for each column likewise. Pixels lie in arrays of their own, without gaps.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from huebands.loops.compiled import compiled

Neighbours = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]

_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def bands(
    lower_KSS: NDArray[np.float32],
    upper_KSS: NDArray[np.float32],
    steps_HW: NDArray[np.int64],
    steps_per_knot: int,
    shown_HW: NDArray[np.uint8],
    grey_HW: NDArray[np.uint8],
    below: NDArray[np.float32],
    above: NDArray[np.float32],
    rows: Neighbours,
    columns: Neighbours,
) -> NDArray[np.uint8]:
    """The bands of one channel at steps; see `conformal.bands`.

    Args:
        lower_KSS: lower ends of the samples' intervals at some knots, positions in [-1, 1].
        upper_KSS: their upper ends.
        steps_HW: of the pixels, from the first knot on; (1, 1) for all alike.
        steps_per_knot: from one knot to the next.
        shown_HW: the colours shown.
        grey_HW: grey levels.
        below: how far below each of the 256 grey levels the channel can lie.
        above: likewise.
        rows: see the module.
        columns: likewise.

    Returns:
        (H, W, 2) = [lower, upper].
    """
    height, width = grey_HW.shape
    last = len(lower_KSS) - 1
    row_before, row_after, row_weight = rows
    lower_2KW = np.empty((2, last + 1, width), np.float32)
    upper_2KW = np.empty((2, last + 1, width), np.float32)
    knots, shares = np.empty(width, np.int64), np.empty(width, np.float32)
    are_many = steps_HW.size > 1
    bands_HW2 = np.empty((height, width, 2), np.uint8)
    for y in range(height):
        if y == 0 or row_before[y] != row_before[y - 1]:
            _along_columns(lower_2KW, lower_KSS, row_before[y], row_after[y], columns)
            _along_columns(upper_2KW, upper_KSS, row_before[y], row_after[y], columns)
        if y == 0 or are_many:
            for x in range(width):
                step = steps_HW[y, x] if are_many else steps_HW[0, 0]
                knots[x] = step // steps_per_knot
                shares[x] = np.float32(step % steps_per_knot) / np.float32(steps_per_knot)
        weight = row_weight[y]
        for x in range(width):
            knot, following, share = knots[x], min(knots[x] + 1, last), shares[x]
            level, shown = grey_HW[y, x], np.float32(shown_HW[y, x])
            start = _mix(lower_2KW[0, knot, x], lower_2KW[1, knot, x], weight)
            end = _mix(lower_2KW[0, following, x], lower_2KW[1, following, x], weight)
            value = _decode(start + share * (end - start), np.float32(level), below[level], above[level])
            bands_HW2[y, x, 0] = np.uint8(min(np.floor(value), shown))
            start = _mix(upper_2KW[0, knot, x], upper_2KW[1, knot, x], weight)
            end = _mix(upper_2KW[0, following, x], upper_2KW[1, following, x], weight)
            value = _decode(start + share * (end - start), np.float32(level), below[level], above[level])
            bands_HW2[y, x, 1] = np.uint8(max(np.ceil(value), shown))
    return bands_HW2


@compiled
def first_steps(
    lower_KSS: NDArray[np.float32],
    upper_KSS: NDArray[np.float32],
    true_HW: NDArray[np.uint8],
    steps_per_knot: int,
    shown_HW: NDArray[np.uint8],
    grey_HW: NDArray[np.uint8],
    below: NDArray[np.float32],
    above: NDArray[np.float32],
    rows: Neighbours,
    columns: Neighbours,
) -> NDArray[np.uint16]:
    """The first step at which the band of `bands` holds the true value, or the last step, uint16 (H, W).

    Args:
        lower_KSS: see `bands`; at every knot.
        upper_KSS: likewise.
        true_HW: true values.
        steps_per_knot: see `bands`, and for all that follow.
        shown_HW: likewise.
        grey_HW: likewise.
        below: likewise.
        above: likewise.
        rows: likewise.
        columns: likewise.
    """
    height, width = grey_HW.shape
    last = len(lower_KSS) - 1
    row_before, row_after, row_weight = rows
    lower_2KW = np.empty((2, last + 1, width), np.float32)
    upper_2KW = np.empty((2, last + 1, width), np.float32)
    steps_HW = np.empty((height, width), np.uint16)
    for y in range(height):
        if y == 0 or row_before[y] != row_before[y - 1]:
            _along_columns(lower_2KW, lower_KSS, row_before[y], row_after[y], columns)
            _along_columns(upper_2KW, upper_KSS, row_before[y], row_after[y], columns)
        weight = row_weight[y]
        for x in range(width):
            level, true, shown = grey_HW[y, x], np.float32(true_HW[y, x]), np.float32(shown_HW[y, x])
            low, high = -1, last * steps_per_knot  # the step before the first that may be it, and the last
            while high - low > 1:
                step = (low + high) // 2
                knot, share = step // steps_per_knot, np.float32(step % steps_per_knot) / np.float32(steps_per_knot)
                following = min(knot + 1, last)
                if true < shown:
                    start = _mix(lower_2KW[0, knot, x], lower_2KW[1, knot, x], weight)
                    end = _mix(lower_2KW[0, following, x], lower_2KW[1, following, x], weight)
                else:
                    start = _mix(upper_2KW[0, knot, x], upper_2KW[1, knot, x], weight)
                    end = _mix(upper_2KW[0, following, x], upper_2KW[1, following, x], weight)
                value = _decode(start + share * (end - start), np.float32(level), below[level], above[level])
                # A true value below the colour shown is held by the lower bound alone, one above by the upper alone.
                is_held = true == shown or (np.floor(value) <= true if true < shown else np.ceil(value) >= true)
                if is_held:
                    high = step
                else:
                    low = step
            steps_HW[y, x] = high
    return steps_HW


@compiled
def error_map(
    errors_KSS: NDArray[np.float32],
    grey_HW: NDArray[np.uint8],
    places: NDArray[np.int64],
    weights: NDArray[np.float32],
    rows: Neighbours,
    columns: Neighbours,
) -> NDArray[np.float32]:
    """Errors of pixels from those of samples, which have one for each of several grey levels; float32 (H, W).

    Args:
        errors_KSS: of the samples.
        grey_HW: grey levels.
        places: which of the K comes before each of the 256 grey levels.
        weights: of the next one.
        rows: see the module.
        columns: likewise.
    """
    height, width = grey_HW.shape
    row_before, row_after, row_weight = rows
    errors_2KW = np.empty((2, len(errors_KSS), width), np.float32)
    map_HW = np.empty((height, width), np.float32)
    for y in range(height):
        if y == 0 or row_before[y] != row_before[y - 1]:
            _along_columns(errors_2KW, errors_KSS, row_before[y], row_after[y], columns)
        weight = row_weight[y]
        for x in range(width):
            level = grey_HW[y, x]
            place = places[level]
            darker = _mix(errors_2KW[0, place, x], errors_2KW[1, place, x], weight)
            lighter = _mix(errors_2KW[0, place + 1, x], errors_2KW[1, place + 1, x], weight)
            map_HW[y, x] = _mix(darker, lighter, weights[level])
    return map_HW


@compiled
def _along_columns(
    samples_2KW: NDArray[np.float32], samples_KSS: NDArray[np.float32], before: int, after: int, columns: Neighbours
) -> None:
    """Interpolate two rows of samples to all columns of pixels."""
    column_before, column_after, column_weight = columns
    for side, row in enumerate((before, after)):
        for place in range(samples_KSS.shape[0]):
            for x in range(samples_2KW.shape[2]):
                samples_2KW[side, place, x] = _mix(
                    samples_KSS[place, row, column_before[x]],
                    samples_KSS[place, row, column_after[x]],
                    column_weight[x],
                )


@compiled
def _mix(before: Any, after: Any, weight: Any) -> Any:
    return before * (_ONE - weight) + after * weight


@compiled
def _decode(u: Any, grey: Any, below: Any, above: Any) -> Any:
    """As `density.coordinate.Spans.decode`."""
    s = abs(u)
    return grey + s * np.sqrt(s) * (above if u > _ZERO else -below)
