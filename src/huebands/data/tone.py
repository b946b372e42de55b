"""How far a photo's colours spread from a single tone curve, which tells toned prints from photos in colour.

A sepia print, a cyanotype or a duotone gives every lightness one colour: a and b are functions of L. JPEG keeps a and b
at half the resolution and adds noise to them, so they are compared in cells, and what is left over is averaged again.
"""

import numpy as np

_CELL = 2  # pixels: what JPEG keeps of the colours
_GRID = 16  # regions a side whose mean deviation counts: noise averages out in them, objects do not
_CURVE_POINTS = 50  # the curve has a point every 2 units of lightness
_CELLS_A_POINT = 20  # fewer would let the curve follow the objects of a small square
_BLUE_HUES = (190.0, 310.0)  # degrees
_CYANOTYPE_CHROMA = 25.0


def tone_spread(lab: np.ndarray) -> float:
    """Measure how far a photo's colours lie from the curve ab(L) through them.

    Haze, snow and the sea are a weak blue by nature and nearly follow such a curve, but a cyanotype is strongly blue.
    So the distances of a weakly blue photo are scaled up as if it had a cyanotype's chroma.

    Args:
        lab: int16 hundredths of CIELAB, (3, S, S).

    Returns:
        Root mean square of the distances, CIELAB units: below about 1 for a toned print, JPEG noise included.
    """
    lab_3SS = lab.astype(np.float64) / 100
    deviation = _pool(_deviation(_pool(lab_3SS, _CELL)), max(lab.shape[-1] // _CELL // _GRID, 1))
    spread = np.sqrt((deviation**2).sum(axis=0).mean())
    chroma = np.sqrt((lab_3SS[1:] ** 2).sum(axis=0).mean())
    _, a, b = lab_3SS.mean(axis=(1, 2))
    if chroma > 0 and _BLUE_HUES[0] <= np.degrees(np.arctan2(b, a)) % 360 <= _BLUE_HUES[1]:
        spread *= max(1.0, _CYANOTYPE_CHROMA / chroma)
    return float(spread)


def _deviation(lab_3SS: np.ndarray) -> np.ndarray:
    """Subtract from a and b their mean at each lightness: (3, S, S) to (2, S, S)."""
    values = lab_3SS.reshape(3, -1)
    L, *ab = values
    points = min(max(L.size // _CELLS_A_POINT, 1), _CURVE_POINTS)
    point = np.clip(L * (points / 100), 0, points - 1).astype(np.intp)
    counts = np.bincount(point, minlength=points)
    reached = counts > 0
    curve_L, *curve_ab = (np.bincount(point, channel, points)[reached] / counts[reached] for channel in values)
    deviations = [channel - np.interp(L, curve_L, curve) for channel, curve in zip(ab, curve_ab, strict=True)]
    return np.stack(deviations).reshape(2, *lab_3SS.shape[1:])


def _pool(channels_CSS: np.ndarray, cell: int) -> np.ndarray:
    """Average over cells of `cell` x `cell`; what does not fill a cell is left out."""
    count, side = len(channels_CSS), channels_CSS.shape[-1] // cell
    cells = channels_CSS[:, : side * cell, : side * cell].reshape(count, side, cell, side, cell)
    means: np.ndarray = cells.mean(axis=(2, 4))
    return means
