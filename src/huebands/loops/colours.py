"""The loop that turns CIELAB into levels that sRGB can show; see `color.shown_levels`."""

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
    """Reduce chroma until sRGB can show the colours, and round them to 8-bit levels, (H, W, 3).

    Args:
        L_HW: in [0, 100].
        ab_2HW: CIELAB units.
        steps: of the bisection.
        curve: of CIELAB: where it becomes a line, and the line's offset and slope.
        from_xyz: the matrix to linear light, (3, 3).
        white: (3,), XYZ.
        gamut: least and most linear light that sRGB can show.
        edges: linear light from which on the level is 1 to 255.
        starts: how many edges lie below each of even cells of linear light; their number is a power of two.
    """
    height, width = L_HW.shape
    rgb_HW3 = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            L, a, b = L_HW[y, x], ab_2HW[0, y, x], ab_2HW[1, y, x]
            red, green, blue = _linear(L, a, b, curve, from_xyz, white)
            if not _is_shown(red, green, blue, gamut):
                low, high = _ZERO, _ONE
                for _ in range(steps):
                    middle = (low + high) / _TWO
                    red, green, blue = _linear(L, middle * a, middle * b, curve, from_xyz, white)
                    if _is_shown(red, green, blue, gamut):
                        low = middle
                    else:
                        high = middle
                red, green, blue = _linear(L, low * a, low * b, curve, from_xyz, white)
            rgb_HW3[y, x, 0] = _level(red, edges, starts)
            rgb_HW3[y, x, 1] = _level(green, edges, starts)
            rgb_HW3[y, x, 2] = _level(blue, edges, starts)
    return rgb_HW3


@compiled
def _linear(L: Any, a: Any, b: Any, curve: Any, from_xyz: Any, white: Any) -> Any:
    """CIELAB to linear light, as `color.lab_to_linear`."""
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
def _is_shown(red: Any, green: Any, blue: Any, gamut: Any) -> Any:
    least, most = gamut[0], gamut[1]
    return least <= red <= most and least <= green <= most and least <= blue <= most


@compiled
def _level(light: Any, edges: Any, starts: Any) -> Any:
    """How many edges are not above linear light."""
    cells = np.float32(len(starts))
    level = starts[min(max(int(light * cells), 0), len(starts) - 1)]
    while level < len(edges) and edges[level] <= light:
        level += 1
    return level


@intrinsic
def _fused(typing_context: Any, first: Any, second: Any, term: Any) -> Any:
    """first * second + term, rounded once, as matrices are multiplied by torch on processors with AVX2."""
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature, generate
