"""Finds the border that a scan has around its picture, so that networks look at the picture alone.

A border is a frame of one tone along a side of the photo: white, black, grey or paper. It is nearly constant along its
whole length, and ends at a sharp, straight edge. Sky and walls can be as even, but end so only rarely.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_LEAST_SIDE = 32  # pixels: in a smaller photo a border cannot be told from the picture
_LEAST, _MOST = 0.01, 0.3  # of the photo's height: depths of borders at top and bottom; likewise of its width
_LEAST_PIXELS = 2
_LINES = 192  # across a side, on which the edge is looked for
_MIDDLE = 0.6  # of a side: its ends may belong to the borders of the neighbouring sides
_TOLERANCE, _SIGMAS = 8.0, 4.0  # levels around a border's tone, or this many of the paper's standard deviations
_ROUGHEST = 6.0  # levels: standard deviation of paper
_SLOPE = 0.02  # of the edge: a skew of 1 degree
_STRAIGHT = 0.006  # of the side: how far an edge may leave its straight line
_ON_EDGE, _ON_FURTHER_EDGE = 0.7, 0.25  # share of the lines that end at the edge; where other sides have a border
_BEFORE_EDGE = 0.03  # share of the lines that may end before
_JUMP, _JUMPING = 12.0, 0.75  # levels across the edge, and the share of its lines that have them
_EVEN = 0.97  # share of a border's pixels that have its tone
_PARTS, _DRIFT = 16, 2.5  # of a border's length, and the standard deviation of their mean levels


def find_picture(levels_HW: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Find the picture inside the borders of a grey photo.

    Args:
        levels_HW: uint8.

    Returns:
        Rows and columns of the picture: all of them where the photo has no border.
    """
    height, width = levels_HW.shape
    if min(height, width) < _LEAST_SIDE:
        return slice(0, height), slice(0, width)
    sides = [_Side(turned) for turned in (levels_HW, levels_HW[::-1], levels_HW.T, levels_HW.T[::-1])]
    depths = [side.border(_ON_EDGE) for side in sides]
    top, bottom, left, right = _complete(sides, depths) if any(depths) else depths
    return slice(top, height - bottom), slice(left, width - right)


def _complete(sides: Sequence["_Side"], depths: Sequence[int]) -> list[int]:
    """Find borders of the same tone at further sides, where the picture shares much of its tone with the border.

    Where the picture shares all of it, a border is as deep as the shallowest of the others.
    """
    known = [(side.tone, depth) for side, depth in zip(sides, depths, strict=True) if depth]
    shallowest = min(depth for _, depth in known)
    completed = []
    for side, depth in zip(sides, depths, strict=True):
        if not depth and any(abs(side.tone - tone) <= _TOLERANCE for tone, _ in known):
            depth = side.border(_ON_FURTHER_EDGE) or (shallowest if side.is_even(shallowest) else 0)
        completed.append(depth)
    return completed


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of a photo, turned to the top.

    Attributes:
        levels_HW: the photo, turned.
    """

    levels_HW: NDArray[np.uint8]

    @cached_property
    def strip(self) -> NDArray[np.uint8]:
        """As deep as a border can be."""
        return self.levels_HW[: round(_MOST * len(self.levels_HW))]

    @cached_property
    def least(self) -> int:
        """Rows of the shallowest border."""
        return max(round(_LEAST * len(self.levels_HW)), _LEAST_PIXELS)

    @cached_property
    def tone(self) -> float:
        """The level of the border, if there is one."""
        return float(np.median(self.strip[: self.least]))

    @cached_property
    def roughness(self) -> float:
        """The standard deviation of the border's levels, by their median absolute deviation."""
        return 1.4826 * float(np.median(np.abs(self.strip[: self.least] - np.float32(self.tone))))

    @property
    def tolerance(self) -> float:
        """How far a border's levels may be from its tone."""
        return max(_TOLERANCE, _SIGMAS * self.roughness)

    def border(self, on_edge: float) -> int:
        """Depth of the border in rows, 0 where there is none.

        Args:
            on_edge: least share of the lines that end at its edge.
        """
        if self.roughness > _ROUGHEST:
            return 0
        width = self.strip.shape[1]
        margin = (1 - _MIDDLE) / 2 * width
        columns_N = np.linspace(margin, width - 1 - margin, min(_LINES, width)).astype(np.int64)
        profile_DN = self.strip[:, columns_N].astype(np.float32)
        edge_N = _first_run(np.abs(profile_DN - self.tone) > self.tolerance)
        slack = max(_STRAIGHT * width, 1.5)
        slope, start = _front(columns_N, edge_N, on_edge)
        beyond_N = edge_N - (start + slope * columns_N)
        on_N = np.abs(beyond_N) <= slack
        ends = start, start + slope * (width - 1)
        inner = int(np.ceil(max(ends) - 1e-6))
        is_edge = (
            abs(slope) <= _SLOPE
            and self.least <= inner < len(profile_DN) - 1
            and on_N.mean() >= on_edge
            and (beyond_N < -slack).mean() <= _BEFORE_EDGE
            and (_jump(profile_DN[:, on_N], edge_N[on_N], max(round(slack / 2), 1)) >= _JUMP).mean() >= _JUMPING
        )
        return inner if is_edge and self.is_even(max(int(min(ends) - slack), 1)) else 0

    def is_even(self, depth: int) -> bool:
        """Whether the outermost rows have the border's tone along their whole length."""
        outer_DW = self.strip[:depth]
        is_close_DW = np.abs(outer_DW - np.float32(self.tone)) <= self.tolerance
        parts = [part.mean() for part in np.array_split(outer_DW, _PARTS, axis=1)]
        return bool(is_close_DW.mean() >= _EVEN and np.std(parts) <= _DRIFT)


def _first_run(differs_DN: NDArray[np.bool_]) -> NDArray[np.int64]:
    """In each column the first row from which three in a row are true; the number of rows where there is none."""
    run_DN = differs_DN[:-2] & differs_DN[1:-1] & differs_DN[2:]
    return np.where(run_DN.any(axis=0), run_DN.argmax(axis=0), len(differs_DN))


def _front(columns_N: NDArray[np.int64], edge_N: NDArray[np.int64], share: float) -> tuple[float, float]:
    """Slope and intercept of the line along the first edges: medians over pairs of them (Theil & Sen).

    Args:
        columns_N: of the lines.
        edge_N: where the lines end.
        share: of the lines on the edge; the others end behind it.
    """
    nearest = np.sort(edge_N)[: max(int(share * len(edge_N)), 2)]
    reach = float(np.median(nearest)) + _SLOPE * len(columns_N)
    is_near_N = edge_N <= reach
    x, y = columns_N[is_near_N], edge_N[is_near_N]
    first, second = np.triu_indices(len(x), k=max(len(x) // 4, 1))
    slope = float(np.median((y[second] - y[first]) / (x[second] - x[first])))
    return slope, float(np.median(y - slope * x))


def _jump(profile_DN: NDArray[np.float32], edge_N: NDArray[np.int64], reach: int) -> NDArray[np.float32]:
    """How far levels change across the edge, from `reach` rows before it to as many behind."""
    columns, last = np.arange(len(edge_N)), len(profile_DN) - 1
    before, behind = (np.clip(edge_N + rows, 0, last) for rows in (-reach, reach))
    return np.asarray(np.abs(profile_DN[behind, columns] - profile_DN[before, columns]))
