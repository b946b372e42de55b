"""What there is to say of the hints on a photo: which are unusual."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.hints import Hints, point_radius
from huebands.conformal.bands import NestedBands

USUAL = 0.1  # alpha of the bands outside which a hint is unusual


@dataclass(frozen=True)
class HintsReport:
    """The hints on one photo.

    Attributes:
        radius: of a point's disk, pixels.
        alpha: of the bands that the hints were compared with.
        unusual: x and y of the spots whose colour lies outside its band without hints.
    """

    radius: int
    alpha: float
    unusual: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls, hints: Hints, unhinted: NestedBands, alpha: float, steps: NDArray[np.integer], rgb_HW3: NDArray[np.uint8]
    ) -> Self:
        """Compare each spot with its band.

        Args:
            hints: on the photo.
            unhinted: the photo's bands around its colours without hints.
            alpha: of the bands.
            steps: of the bands, (3,).
            rgb_HW3: the photo's colours with the hints.
        """
        unusual = []
        for row, column in hints.spots:
            pixel = unhinted.sampled(slice(row, row + 1), slice(column, column + 1))
            lower_3, upper_3 = pixel.at(steps)[0, 0].T
            if ((rgb_HW3[row, column] < lower_3) | (rgb_HW3[row, column] > upper_3)).any():
                unusual.append((column, row))
        height, width = unhinted.grey_HW.shape
        return cls(point_radius((height, width)), alpha, tuple(unusual))

    @property
    def in_words(self) -> str:
        """Where a hint is unusual; "" where none is."""
        places = ", ".join(f"({x}, {y})" for x, y in self.unusual)
        return f"unusual here: the hint at {places}" if places else ""
