"""Loops that bring samples, which are spread evenly over a photo, to its pixels.

Scores and bands come from one function, `_value`. Pixels lie in arrays of their own, without gaps.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from huebands.loops.compiled import compiled

_ZERO, _ONE = np.float32(0), np.float32(1)


class Neighbours(NamedTuple):
    """Which samples lie around rows, or columns, of pixels.

    Attributes:
        before: the sample above each row, or left of each column.
        after: the sample below, or right.
        weight: of the one after.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    weight: NDArray[np.float32]


class Pixels(NamedTuple):
    """Pixels of one channel.

    Attributes:
        shown_HW: the levels shown.
        grey_HW: grey levels.
        below: how far below each of the 256 grey levels the channel can lie.
        above: how far above.
        rows: the samples around the rows.
        columns: the samples around the columns.
    """

    shown_HW: NDArray[np.uint8]
    grey_HW: NDArray[np.uint8]
    below: NDArray[np.float32]
    above: NDArray[np.float32]
    rows: Neighbours
    columns: Neighbours


@compiled
def bands(
    lower_KSS: NDArray[np.float32],
    upper_KSS: NDArray[np.float32],
    pixels: Pixels,
    steps_per_knot: int,
    steps_HW: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The bands at steps, uint8 (H, W, 2) = [lower, upper]; see `conformal.bands`.

    Args:
        lower_KSS: lower ends of the samples' intervals at some knots, positions in [-1, 1].
        upper_KSS: their upper ends.
        pixels: of the channel.
        steps_per_knot: steps from one knot to the next.
        steps_HW: of the pixels, from the first knot on; (1, 1) for all alike.
    """
    shown_HW, grey_HW, below, above, rows, columns = pixels
    height, width = grey_HW.shape
    last = len(lower_KSS) - 1
    lower_2KW = np.empty((2, last + 1, width), np.float32)
    upper_2KW = np.empty((2, last + 1, width), np.float32)
    knots, shares = np.empty(width, np.int64), np.empty(width, np.float32)
    are_many = steps_HW.size > 1
    bands_HW2 = np.empty((height, width, 2), np.uint8)
    for y in range(height):
        if y == 0 or rows.before[y] != rows.before[y - 1]:
            _along_columns(lower_2KW, lower_KSS, rows.before[y], rows.after[y], columns)
            _along_columns(upper_2KW, upper_KSS, rows.before[y], rows.after[y], columns)
        if y == 0 or are_many:
            for x in range(width):
                step = steps_HW[y, x] if are_many else steps_HW[0, 0]
                knots[x], shares[x] = step // steps_per_knot, _share(step, steps_per_knot)
        weight = rows.weight[y]
        for x in range(width):
            knot, following, share = knots[x], min(knots[x] + 1, last), shares[x]
            grey, shown = grey_HW[y, x], np.float32(shown_HW[y, x])
            lower = _value(
                lower_2KW[0, knot, x], lower_2KW[1, knot, x], lower_2KW[0, following, x], lower_2KW[1, following, x],
                weight, share, np.float32(grey), below[grey], above[grey],
            )  # fmt: skip
            upper = _value(
                upper_2KW[0, knot, x], upper_2KW[1, knot, x], upper_2KW[0, following, x], upper_2KW[1, following, x],
                weight, share, np.float32(grey), below[grey], above[grey],
            )  # fmt: skip
            bands_HW2[y, x, 0] = np.uint8(min(np.floor(lower), shown))
            bands_HW2[y, x, 1] = np.uint8(max(np.ceil(upper), shown))
    return bands_HW2


@compiled
def first_steps(
    lower_KSS: NDArray[np.float32],
    upper_KSS: NDArray[np.float32],
    pixels: Pixels,
    steps_per_knot: int,
    true_HW: NDArray[np.uint8],
) -> NDArray[np.uint16]:
    """The first step at which `bands` hold the true value, or the last step, uint16 (H, W).

    Args:
        lower_KSS: see `bands`; at every knot.
        upper_KSS: likewise.
        pixels: see `bands`.
        steps_per_knot: likewise.
        true_HW: true values.
    """
    shown_HW, grey_HW, below, above, rows, columns = pixels
    height, width = grey_HW.shape
    last = len(lower_KSS) - 1
    ends_22KW = np.empty((2, 2, last + 1, width), np.float32)  # of the lower bounds, and of the upper ones
    steps_HW = np.empty((height, width), np.uint16)
    for y in range(height):
        if y == 0 or rows.before[y] != rows.before[y - 1]:
            _along_columns(ends_22KW[0], lower_KSS, rows.before[y], rows.after[y], columns)
            _along_columns(ends_22KW[1], upper_KSS, rows.before[y], rows.after[y], columns)
        weight = rows.weight[y]
        for x in range(width):
            grey, true, shown = grey_HW[y, x], np.float32(true_HW[y, x]), np.float32(shown_HW[y, x])
            # A band holds the value shown. So it holds one below that by its lower bound alone, one above by its upper.
            is_above = true > shown
            ends_2KW = ends_22KW[1] if is_above else ends_22KW[0]
            low, high = -1, 0 if true == shown else last * steps_per_knot  # a step that misses, and one that holds
            while high - low > 1:
                step = (low + high) // 2
                knot = step // steps_per_knot
                following = min(knot + 1, last)
                value = _value(
                    ends_2KW[0, knot, x], ends_2KW[1, knot, x], ends_2KW[0, following, x], ends_2KW[1, following, x],
                    weight, _share(step, steps_per_knot), np.float32(grey), below[grey], above[grey],
                )  # fmt: skip
                is_held = np.ceil(value) >= true if is_above else np.floor(value) <= true
                low, high = (low, step) if is_held else (step, high)
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
        rows: the samples around the rows.
        columns: the samples around the columns.
    """
    height, width = grey_HW.shape
    errors_2KW = np.empty((2, len(errors_KSS), width), np.float32)
    map_HW = np.empty((height, width), np.float32)
    for y in range(height):
        if y == 0 or rows.before[y] != rows.before[y - 1]:
            _along_columns(errors_2KW, errors_KSS, rows.before[y], rows.after[y], columns)
        weight = rows.weight[y]
        for x in range(width):
            grey = grey_HW[y, x]
            place = places[grey]
            darker = _mix(errors_2KW[0, place, x], errors_2KW[1, place, x], weight)
            lighter = _mix(errors_2KW[0, place + 1, x], errors_2KW[1, place + 1, x], weight)
            map_HW[y, x] = _mix(darker, lighter, weights[grey])
    return map_HW


@compiled
def _along_columns(
    samples_2KW: NDArray[np.float32], samples_KSS: NDArray[np.float32], before: int, after: int, columns: Neighbours
) -> None:
    """Interpolate two rows of samples to all columns of pixels."""
    left, right, weights = columns
    for side, row in enumerate((before, after)):
        for place in range(samples_KSS.shape[0]):
            for x in range(samples_2KW.shape[2]):
                values = samples_KSS[place, row, left[x]], samples_KSS[place, row, right[x]]
                samples_2KW[side, place, x] = _mix(values[0], values[1], weights[x])


@compiled
def _value(
    start_above: Any, start_below: Any, end_above: Any, end_below: Any,
    weight: Any, share: Any, grey: Any, below: Any, above: Any,
) -> Any:  # fmt: skip
    """The value of a pixel a share of the way from one knot to the next, in 8-bit levels.

    Each knot has a position in the row of samples above the pixel and in the one below. The position in between is
    decoded as `density.coordinate.Spans.decode` does.
    """
    start, end = _mix(start_above, start_below, weight), _mix(end_above, end_below, weight)
    u = start + share * (end - start)
    s = abs(u)
    return grey + s * np.sqrt(s) * (above if u > _ZERO else -below)


@compiled
def _share(step: Any, steps_per_knot: Any) -> Any:
    return np.float32(step % steps_per_knot) / np.float32(steps_per_knot)


@compiled
def _mix(before: Any, after: Any, weight: Any) -> Any:
    return before * (_ONE - weight) + after * weight
