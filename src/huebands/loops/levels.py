"""Loops between 8-bit levels, linear light and CIELAB.

Levels are found by edges of light, which rise, and by starts: how many edges lie below the start of each of even cells
between 0 and 1, whose number is a power of two.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from huebands.loops.compiled import compiled

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_16, _116, _200, _500 = np.float32(16), np.float32(116), np.float32(200), np.float32(500)


@compiled
def grey_levels(
    rgb_N3: NDArray[np.uint8],
    linear: NDArray[np.float32],
    weights: NDArray[np.float32],
    edges: NDArray[np.float32],
    starts: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """See `color.grey_levels`.

    Args:
        rgb_N3: sRGB.
        linear: linear light of each level, (256,).
        weights: of the channels in luminance, (3,).
        edges: luminances at which the nearest grey level changes.
        starts: of the edges.
    """
    grey_N = np.empty(len(rgb_N3), np.uint8)
    for pixel in range(len(rgb_N3)):
        red, green, blue = linear[rgb_N3[pixel, 0]], linear[rgb_N3[pixel, 1]], linear[rgb_N3[pixel, 2]]
        luminance = weights[0] * red + weights[1] * green + weights[2] * blue
        grey_N[pixel] = count_below(luminance, edges, starts)
    return grey_N


@compiled
def shown_levels(
    L_HW: NDArray[np.float32],
    ab_2HW: NDArray[np.float32],
    steps: int,
    curve: NDArray[np.float32],
    from_xyz: NDArray[np.float32],
    white: NDArray[np.float32],
    gamut: NDArray[np.float32],
    edges: NDArray[np.float32],
    starts: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """See `srgb.shown_levels`; (H, W, 3).

    Args:
        L_HW: in [0, 100].
        ab_2HW: CIELAB units.
        steps: of the bisection.
        curve: of CIELAB: where it becomes a line, and the line's offset and slope.
        from_xyz: the matrix to linear light, (3, 3).
        white: in XYZ, (3,).
        gamut: least and most linear light that rounds to levels without clipping.
        edges: linear light from which on the level is 1 to 255.
        starts: of the edges.
    """
    height, width = L_HW.shape
    rgb_HW3 = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            L, a, b = L_HW[y, x], ab_2HW[0, y, x], ab_2HW[1, y, x]
            light = _linear(L, a, b, curve, from_xyz, white)
            if not _is_shown(light, gamut):
                low, high = _ZERO, _ONE
                for _ in range(steps):
                    middle = (low + high) / _TWO
                    if _is_shown(_linear(L, middle * a, middle * b, curve, from_xyz, white), gamut):
                        low = middle
                    else:
                        high = middle
                light = _linear(L, low * a, low * b, curve, from_xyz, white)
            red, green, blue = light
            rgb_HW3[y, x, 0] = count_up_to(red, edges, starts)
            rgb_HW3[y, x, 1] = count_up_to(green, edges, starts)
            rgb_HW3[y, x, 2] = count_up_to(blue, edges, starts)
    return rgb_HW3


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
    """See `conformal.luminance.propagate`; in place.

    Args:
        lower_N3: bounds.
        upper_N3: likewise.
        grey_N: grey levels.
        weights: of the channels in luminance, (3,).
        darkest: least luminance of each grey level, (256,).
        brightest: most, likewise.
        linear: linear light of each level, (256,).
        starts: of the levels, whose edges these are.
    """
    low, high = np.empty(3), np.empty(3)
    for pixel in range(len(grey_N)):
        grey = grey_N[pixel]
        has_changed = True
        while has_changed:
            has_changed = False
            for channel in range(3):
                low[channel] = linear[lower_N3[pixel, channel]] * weights[channel]
                high[channel] = linear[upper_N3[pixel, channel]] * weights[channel]
            all_low, all_high = low[0] + low[1] + low[2], high[0] + high[1] + high[2]
            for channel in range(3):
                # Where no level is high or low enough, the bound stays at the last level: else this would not end.
                light = (darkest[grey] - (all_high - high[channel])) / weights[channel]
                raised = min(count_below(light, linear, starts), 255)
                if raised > lower_N3[pixel, channel]:
                    lower_N3[pixel, channel] = raised
                    has_changed = True
                light = (brightest[grey] - (all_low - low[channel])) / weights[channel]
                lowered = max(count_up_to(light, linear, starts), 1) - 1
                if lowered < upper_N3[pixel, channel]:
                    upper_N3[pixel, channel] = lowered
                    has_changed = True


@compiled
def count_below(light: Any, edges: Any, starts: Any) -> Any:
    """How many edges are less than a number."""
    count = starts[_cell(light, len(starts))]
    while count < len(edges) and edges[count] < light:
        count += 1
    return count


@compiled
def count_up_to(light: Any, edges: Any, starts: Any) -> Any:
    """How many edges are at most a number."""
    count = starts[_cell(light, len(starts))]
    while count < len(edges) and edges[count] <= light:
        count += 1
    return count


@compiled
def _cell(light: Any, cells: Any) -> Any:
    if not light > 0:
        return 0
    return cells - 1 if light >= 1 else int(light * np.float32(cells))


@compiled
def _linear(L: Any, a: Any, b: Any, curve: Any, from_xyz: Any, white: Any) -> Any:
    """As `color.lab_to_linear`."""
    f_y = (L + _16) / _116
    x = _uncurved(f_y + a / _500, curve) * white[0]
    y = _uncurved(f_y, curve) * white[1]
    z = _uncurved(max(f_y - b / _200, _ZERO), curve) * white[2]
    return (
        _fused(from_xyz[0, 2], z, _fused(from_xyz[0, 1], y, from_xyz[0, 0] * x)),
        _fused(from_xyz[1, 2], z, _fused(from_xyz[1, 1], y, from_xyz[1, 0] * x)),
        _fused(from_xyz[2, 2], z, _fused(from_xyz[2, 1], y, from_xyz[2, 0] * x)),
    )


@compiled
def _uncurved(f: Any, curve: Any) -> Any:
    return f * f * f if f > curve[0] else (f - curve[1]) / curve[2]


@compiled
def _is_shown(light: Any, gamut: Any) -> Any:
    red, green, blue = light
    least, most = gamut[0], gamut[1]
    return least <= red <= most and least <= green <= most and least <= blue <= most


@intrinsic  # type: ignore[untyped-decorator]
def _fused(typing_context: Any, factor: Any, value: Any, term: Any) -> Any:
    """Multiply, add and round once, as torch does in matrix products on processors with AVX2 or more."""
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature, generate
