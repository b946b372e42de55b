"""A photo's colours, given to its lightness: at 8 bits, or at 16 where the photo's file has them.

Pixels are handled in tiles, so that memory grows with the photo's bytes, not with float copies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from huebands.colorize.hints import Hints
from huebands.colorize.levels import lightness, to_levels
from huebands.colorize.upsampling import ColourLines
from huebands.photos.grey import GreyPhoto
from huebands.photos.picture import Levels

_TILE = 1 << 18  # pixels: a tile's temporaries stay in the processor's cache
_SIDE = 1 << 14  # pixels: the longest side of a tile


@dataclass(frozen=True, eq=False)
class Paint:
    """The colours of a photo as a function of its lightness.

    Attributes:
        photo: the photo.
        lines: of its picture.
        change: that hints make by the density; None: none.
        hints: whose pixels have their own colours; None: there are none.
    """

    photo: GreyPhoto
    lines: ColourLines
    change: ColourLines | None = None
    hints: Hints | None = None

    @torch.inference_mode()
    def on(self, levels_HW: Levels) -> Levels:
        """Colour grey levels of the photo's size; its border stays grey, but for hints.

        Args:
            levels_HW: uint8, or uint16.

        Returns:
            sRGB (H, W, 3) of the same type and the same CIELAB lightness.
        """
        rgb_HW3 = np.repeat(levels_HW[..., None], 3, axis=2)  # a border stays grey
        grey_HW, shown_HW3 = levels_HW[self.photo.picture], rgb_HW3[self.photo.picture]
        top, left = (inside.start for inside in self.photo.picture)
        for rows, columns in _tiles(*grey_HW.shape):
            tile = np.s_[rows.start : rows.stop, columns.start : columns.stop]
            # A copy, because torch warns of the read-only arrays that it may be given.
            grey = torch.from_numpy(np.array(grey_HW[tile]))
            L_HW = lightness(grey)
            ab_2HW = self.lines.ab(L_HW, rows, columns)
            if self.change is not None:
                ab_2HW += self.change.ab(L_HW, _moved(rows, top), _moved(columns, left))
            shown_HW3[tile] = to_levels(torch.cat((L_HW[None], ab_2HW)), grey).permute(1, 2, 0).numpy()
        if self.hints is not None:
            self.hints.apply(rgb_HW3, levels_HW)
        return rgb_HW3


def _moved(pixels: range, offset: int) -> range:
    return range(pixels.start + offset, pixels.stop + offset)


def _tiles(height: int, width: int) -> Iterator[tuple[range, range]]:
    columns = min(width, _SIDE)
    rows = min(height, _SIDE, max(_TILE // columns, 1))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield range(top, min(top + rows, height)), range(left, min(left + columns, width))
