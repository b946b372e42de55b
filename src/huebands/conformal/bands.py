"""Bands: the range of each channel around the shown colour, cut to what the photo's lightness allows."""

from functools import cache

import numpy as np

from huebands import color

CHANNELS = ("R", "G", "B")


def bands(shown_rgb: np.ndarray, grey: np.ndarray, half_widths: np.ndarray) -> dict[str, np.ndarray]:
    """Put a band around every shown value.

    The band [shown - h, shown + h] is cut to the values that a colour of this grey level can have at all.
    The grey level of the true colour is known, so the cut never takes the true value away: it is in the band
    exactly when |true - shown| <= h.

    Args:
        shown_rgb: uint8 (H, W, 3), the colorization.
        grey: uint8 (H, W), `color.grey_levels` of the photo.
        half_widths: integers (3,) in 0..255, for R, G and B.

    Returns:
        R, G and B, each uint8 (H, W, 2) = [lower, upper]; lower <= shown <= upper.
    """
    shown = shown_rgb.astype(np.int16)
    result = {}
    for channel, name in enumerate(CHANNELS):
        value, half_width = shown[..., channel], int(half_widths[channel])
        possible = _possible_values()[grey, channel]
        lower = np.maximum(value - half_width, possible[..., 0])
        upper = np.minimum(value + half_width, possible[..., 1])
        # Rounding may leave the shown colour a level outside what its grey allows: it stays in its own band.
        pair = (np.minimum(lower, value), np.maximum(upper, value))
        result[name] = np.stack(pair, axis=-1).astype(np.uint8)
    return result


@cache
def _possible_values() -> np.ndarray:
    return color.gamut_table().numpy().astype(np.int16)
