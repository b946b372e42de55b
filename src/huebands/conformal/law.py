"""The law of conditions that a calibration belongs to, where the calibration photos had hints."""

import math
from dataclasses import dataclass

from huebands.density.hinted import HintKernel
from huebands.models.parameters import check


@dataclass(frozen=True, kw_only=True)
class HintLaw:
    """Hints as the calibration photos had them, and how the densities follow them.

    A photo gets points of its true colours. Their number has a geometric distribution from 1 on. Their places are
    normal around the middle, and clipped to the photo.

    Attributes:
        mean: number of the points.
        most: greatest number.
        deviation: of a place from the middle, in sides of the photo.
        kernel: how far hints reach.

    Raises:
        ParamsError: names the attribute, its value and what is allowed.
    """

    mean: float = 8.0
    most: int = 64
    deviation: float = 0.25
    kernel: HintKernel

    def __post_init__(self) -> None:
        check(math.isfinite(self.mean) and self.mean >= 1, "mean", self.mean, "be a number from 1 on")
        check(self.most >= 1, "most", self.most, "be an integer from 1 on")
        check(math.isfinite(self.deviation) and self.deviation > 0, "deviation", self.deviation, "be above 0")

    @property
    def in_words(self) -> str:
        """What the promise needs of hints."""
        return (
            f"The calibration photos had 1 to {self.most} hints, {self.mean:g} on average: points of their true"
            " colours. The promise reaches a photo with hints like these; it does not reach a hint that is a guess."
        )
