"""The map of the expected colour error: how its samples are calibrated, and brought to a photo's size.

A pixel lies between four samples, and its grey level between two of `density.expected_error.LEVELS`. Samples are
calibrated before they are interpolated, so a page that has the samples can draw the map.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from huebands.conformal.bands import Grid
from huebands.density.expected_error import between_levels
from huebands.loops import samples
from huebands.models.parameters import check

MapName = Literal["expected-error", "width"]
MAPS: tuple[MapName, ...] = get_args(MapName)
MOST_KNOTS = 32
_TILE = 1 << 17  # pixels interpolated at once


class MapError(ValueError):
    """No map has this name, or the model does not give it."""


@dataclass(frozen=True)
class ErrorCurve:
    """The observed error at each expected one, made of straight lines between knots; constant beyond both ends.

    Attributes:
        expected: the mean CIEDE2000 under the density at each knot, rising.
        observed: the mean CIEDE2000 to the truth, of the validation photos; never falling.

    Raises:
        ParamsError: names the attribute, its value and what is allowed.
    """

    expected: tuple[float, ...]
    observed: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.expected)
        check(1 <= count <= MOST_KNOTS, "expected", self.expected, f"be 1 to {MOST_KNOTS} numbers")
        check(len(self.observed) == count, "observed", self.observed, f"be {count} numbers, as many as expected")
        for name in ("expected", "observed"):
            values = np.array(getattr(self, name))
            are_errors = bool(np.isfinite(values).all() and (values >= 0).all())
            check(are_errors, name, getattr(self, name), "be finite numbers, none negative")
        is_rising = bool((np.diff(self.expected) > 0).all())
        check(is_rising, "expected", self.expected, "be rising numbers")
        never_falls = bool((np.diff(self.observed) >= 0).all())
        check(never_falls, "observed", self.observed, "be numbers that never fall")

    def calibrate(self, expected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn expected errors of any shape, as a density gives them, into those that are observed."""
        return np.interp(expected, self.expected, self.observed).astype(np.float32)


def upsample(
    samples_KSS: NDArray[np.float32], grey_HW: NDArray[np.uint8], rows: slice = slice(None)
) -> NDArray[np.float32]:
    """Interpolate samples that are spread evenly over a photo to its pixels: bilinearly, and linearly in grey.

    Args:
        samples_KSS: at each of `LEVELS`.
        grey_HW: grey levels of the photo.
        rows: of the photo that are asked for.
    """
    first, last, _ = rows.indices(len(grey_HW))
    height, width = grey_HW.shape
    map_HW = np.empty((last - first, width), np.float32)
    errors_KSS = np.ascontiguousarray(samples_KSS)
    places, weights = (table.numpy() for table in between_levels())
    step = max(_TILE // width, 1)
    for top in range(first, last, step):
        for left in range(0, width, _TILE):
            tile = slice(top, min(top + step, last)), slice(left, min(left + _TILE, width))
            grid = Grid.over(samples_KSS.shape[1:], (height, width), *tile)
            part_HW = samples.error_map(errors_KSS, np.array(grey_HW[tile]), places, weights, *grid.neighbours)
            map_HW[top - first : tile[0].stop - first, tile[1]] = part_HW
    return map_HW


def choose_map(name: str | None, maps: tuple[MapName, ...]) -> MapName:
    """The map of this name, or the first of those that a model gives.

    Raises:
        MapError: when the model does not give it.
    """
    if name is None:
        return maps[0]
    for map_name in maps:
        if map_name == name:
            return map_name
    reason = "the model has no joint colour density" if name in MAPS else f"maps are {', '.join(MAPS)}"
    raise MapError(f"map (={name!r}) must be {' or '.join(maps)}: {reason}")
