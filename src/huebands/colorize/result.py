"""The result: a colorized photo and its bands."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.full_colours import FullColours
from huebands.colorize.hints_report import HintsReport
from huebands.conformal.error_map import MAPS, MapName, choose_map, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.photos.heatmap import EXPECTED_ERROR, WIDTH, Scale, heat_map


@dataclass(frozen=True, kw_only=True, eq=False)
class Colorization:
    """A colorized photo and, for every pixel and channel, a range for the true value.

    The guarantee is about the photo as a whole: it says nothing of one pixel. A small `likeness` means that the photo
    is unlike the calibration photos: then the guarantee may not hold.

    Attributes:
        rgb: uint8 (H, W, 3), the colours shown.
        bands: R, G and B, uint8 (H, W, 2) = [lower, upper] each.
        grey: uint8 (H, W), the photo as the model saw it.
        guarantee: guarantee that the bands keep.
        steps: int (3,), of the nested bands for R, G and B; grouped: pixels have these or later ones.
        likeness: conformal p-value of the atypicality score: at most q with probability q for a photo exchangeable
            with the calibration photos.
        error_KSS: expected error of pixels with each of K grey levels, `density.expected_error.LEVELS`, at samples
            spread evenly over the photo; None where the model gives none.
        full: the colours at the depth of the photo's file, with its transparency; None: they are `rgb`.
        hints: what there is to say of the photo's hints; None: it has none.
        caveat: what holds in place of the guarantee where the colours follow hints or a reference; None: it holds.
        law: what the guarantee needs of the photo's hints, where the calibration photos had hints; None: nothing.
        samples: further colourings, uint8 (H, W, 3) each. They need not lie inside the bands, see `share_outside`.
    """

    rgb: NDArray[np.uint8]
    bands: dict[str, NDArray[np.uint8]]
    grey: NDArray[np.uint8]
    guarantee: Guarantee
    steps: NDArray[np.int_]
    likeness: float
    error_KSS: NDArray[np.float32] | None = None
    full: FullColours | None = None
    samples: tuple[NDArray[np.uint8], ...] = ()
    hints: HintsReport | None = None
    caveat: str | None = None
    law: str | None = None

    @cached_property
    def width(self) -> NDArray[np.float32]:
        """Band width at every pixel, the mean over the channels, (H, W) in 8-bit levels."""
        total = np.zeros(self.grey.shape, np.float32)
        for band in self.bands.values():
            total += band[..., 1] - band[..., 0]
        return total / np.float32(len(self.bands))

    def share_outside(self, rgb_HW3: NDArray[np.uint8]) -> float:
        """The share of a picture's channel values, or in the joint mode of its pixels, that are outside the bands.

        Args:
            rgb_HW3: of the photo's size.
        """
        outside_3HW = []
        for index, band_HW2 in enumerate(self.bands.values()):
            values_HW = rgb_HW3[..., index]
            outside_3HW.append((values_HW < band_HW2[..., 0]) | (values_HW > band_HW2[..., 1]))
        is_joint = self.guarantee.mode == "joint"
        return float((np.logical_or.reduce(outside_3HW) if is_joint else np.stack(outside_3HW)).mean())

    @cached_property
    def samples_outside(self) -> tuple[float, ...]:
        """`share_outside` of each sample."""
        return tuple(self.share_outside(sample) for sample in self.samples)

    @cached_property
    def expected_error(self) -> NDArray[np.float32] | None:
        """Expected colour error of what is shown, (H, W) in CIEDE2000; None where the model gives none.

        Among pixels of new photos like the validation photos with the value 6, the mean error is about 6.
        """
        return None if self.error_KSS is None else upsample(self.error_KSS, self.grey)

    @property
    def maps(self) -> tuple[MapName, ...]:
        """The names of its maps of uncertainty; the first is the usual one."""
        return MAPS if self.error_KSS is not None else ("width",)

    def map(self, name: MapName | None = None) -> tuple[NDArray[np.float32], Scale]:
        """A map of uncertainty, (H, W), and the scale of its picture.

        Args:
            name: of the map; None: the first of `maps`.

        Raises:
            MapError: when there is no such map.
        """
        expected_error = self.expected_error
        if choose_map(name, self.maps) == "expected-error" and expected_error is not None:
            return expected_error, EXPECTED_ERROR
        return self.width, WIDTH

    @property
    def uncertainty(self) -> NDArray[np.uint8]:
        """Heat map of the usual map of uncertainty, uint8 (H, W, 3); the scale is the same for every photo."""
        return heat_map(*self.map())
