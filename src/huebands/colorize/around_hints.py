"""What hints do to the bands around them: width and coverage by the distance to the nearest hint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from huebands.colorize.hints import Hints

EDGES = (0.02, 0.05, 0.1, 0.2)  # distances, in the photo's short side


@dataclass(frozen=True)
class AroundHints:
    """Sums over the pixels of one photo, by distance.

    Attributes:
        shares_D: of the photo's pixels, per distance; distances begin at 0 and at each of `EDGES`.
        width_D: sum of the bands' widths with hints, 8-bit levels, divided by the number of the photo's pixels.
        before_D: likewise without hints.
        covered_D: likewise of the shares of the values inside their bands.
    """

    shares_D: NDArray[np.float64]
    width_D: NDArray[np.float64]
    before_D: NDArray[np.float64]
    covered_D: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        hints: Hints,
        bands_HW32: NDArray[np.uint8],
        before_HW32: NDArray[np.uint8],
        true_HW3: NDArray[np.uint8],
    ) -> "AroundHints":
        """Measure a photo whose true colours are known.

        Args:
            hints: of true colours.
            bands_HW32: with the hints.
            before_HW32: without.
            true_HW3: the true colours.
        """
        free_HW = np.ones(true_HW3.shape[:2], bool)
        free_HW[hints.rows_N, hints.columns_N] = False
        distance_HW = ndimage.distance_transform_edt(free_HW) / min(free_HW.shape)
        place_N = np.digitize(distance_HW, EDGES).ravel()
        inside_HW3 = (bands_HW32[..., 0] <= true_HW3) & (true_HW3 <= bands_HW32[..., 1])
        figures = [
            np.ones(len(place_N)),
            *((bands[..., 1] - bands[..., 0]).mean(axis=2).ravel() for bands in (bands_HW32, before_HW32)),
            inside_HW3.mean(axis=2).ravel(),
        ]
        return cls(*(np.bincount(place_N, figure, len(EDGES) + 1) / len(place_N) for figure in figures))


def summarise(photos: Sequence[AroundHints]) -> list[dict[str, Any]]:
    """Rows for the certificate: means over the pixels at a distance, with equal weights of photos."""
    sums = {name: np.sum([getattr(photo, name) for photo in photos], axis=0) for name in vars(photos[0])}
    return [
        {
            "from": start,
            "to": end,
            "share": round(float(sums["shares_D"][index] / len(photos)), 4),
            "width": round(float(sums["width_D"][index] / sums["shares_D"][index]), 2),
            "width_without": round(float(sums["before_D"][index] / sums["shares_D"][index]), 2),
            "coverage": round(float(sums["covered_D"][index] / sums["shares_D"][index]), 4),
        }
        for index, (start, end) in enumerate(zip((0.0, *EDGES), (*EDGES, None), strict=True))
        if sums["shares_D"][index] > 0
    ]
