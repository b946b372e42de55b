"""A decoded photo at the depth of its file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huebands.photos.strips import strips

Levels = NDArray[np.unsignedinteger[Any]]  # uint8 or uint16


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded photo, upright, in sRGB.

    Attributes:
        levels: uint8 (H, W, 3), or uint16 (H, W, 3) or (H, W) where the file has more than 8 bits a sample.
        alpha_HW: opacity, of the same type; None: opaque.
        format: of the file, as Pillow names it.
    """

    levels: Levels
    alpha_HW: Levels | None
    format: str

    @property
    def is_deep(self) -> bool:
        """Whether the file has more than 8 bits a sample."""
        return self.levels.dtype == np.uint16

    def part(self, rows: slice, columns: slice) -> "Picture":
        """A copy of some rows and columns."""
        alpha_HW = None if self.alpha_HW is None else self.alpha_HW[rows, columns].copy()
        return Picture(self.levels[rows, columns].copy(), alpha_HW, self.format)

    def on_white(self) -> NDArray[np.uint8]:
        """The photo on white, uint8 (H, W, 3)."""
        if not self.is_deep:
            if self.alpha_HW is None:
                return self.levels.view(np.uint8)
            alpha = Image.fromarray(self.alpha_HW)
            white = Image.new("RGB", alpha.size, "white")
            return np.array(Image.composite(Image.fromarray(self.levels), white, alpha))
        levels = self.levels
        if self.alpha_HW is not None:
            levels = _on_white(levels, self.alpha_HW)
        if levels.ndim == 2:
            return np.repeat(round_to_eight_bits(levels)[..., None], 3, axis=2)
        return round_to_eight_bits(levels)


def round_to_eight_bits(levels: Levels) -> NDArray[np.uint8]:
    """Round 16-bit levels to 8 bits."""
    rounded = np.empty(levels.shape, np.uint8)
    for rows in strips(*levels.shape[:2]):
        rounded[rows] = (levels[rows].astype(np.uint32) + 128) // 257
    return rounded


def _on_white(levels: Levels, alpha_HW: Levels) -> Levels:
    alpha = alpha_HW.astype(np.float32) / 65535
    alpha = alpha if levels.ndim == 2 else alpha[..., None]
    return np.rint(65535 - alpha * (65535 - levels.astype(np.float32))).astype(np.uint16)
