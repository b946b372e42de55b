"""Tells pages, drawings and diagrams from photos: thin dark strokes are spread over bright, even paper."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_SIDE = 512  # pixels: the longer side at which strokes are looked for
_PAPER, _STROKE = 31, 9  # pixels: a grey closing of this size leaves paper; of this one, what is no thin stroke
_DARK, _BARE = 0.75, 0.9  # of the paper's level: below is ink, above is bare paper
_LEAST_BARE, _LEAST_THIN = 0.45, 0.75  # shares of the pixels that are bare, and of the ink that is thin
_DARKEST_PAPER, _ROUGHEST = 120, 0.7  # median level of paper, and mean slope of its levels from pixel to pixel
_CELLS, _INKED, _LEAST_SPREAD = 8, 0.005, 0.45  # a side; share of ink that a cell has; share of such cells


def is_drawn(grey_HW: NDArray[np.uint8]) -> bool:
    """Whether a grey photo shows a page or a drawing.

    It takes few photos for pages, and misses drawings with broad dark areas.

    Args:
        grey_HW: uint8, of any size. In a strip that has fewer than 8 pixels across, at 512 along, nothing is found.
    """
    grey = Image.fromarray(grey_HW)
    grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    levels_HW = np.asarray(grey).astype(np.float32)
    if min(levels_HW.shape) < _CELLS:
        return False
    paper_HW = np.maximum(ndimage.grey_closing(levels_HW, size=(_PAPER, _PAPER)), 1)
    is_ink_HW = levels_HW < _DARK * paper_HW
    is_thick_HW = ndimage.grey_closing(levels_HW, size=(_STROKE, _STROKE)) < _DARK * paper_HW
    rows, columns = (np.arange(_CELLS) * side // _CELLS for side in levels_HW.shape)
    counts = np.add.reduceat(np.add.reduceat(is_ink_HW.astype(np.int64), rows, axis=0), columns, axis=1)
    return bool(
        np.median(paper_HW) >= _DARKEST_PAPER
        and np.hypot(*np.gradient(paper_HW)).mean() <= _ROUGHEST
        and (levels_HW > _BARE * paper_HW).mean() >= _LEAST_BARE
        and is_thick_HW.sum() <= (1 - _LEAST_THIN) * is_ink_HW.sum()
        and (counts >= _INKED * levels_HW.size / _CELLS**2).mean() >= _LEAST_SPREAD
    )
