"""Colour bleeding: colour that runs over the edges of lightness, the commonest flaw of colorizations.

No standard score exists. This one compares where colour changes in the result and in the truth, near edges that a
viewer sees in both, since they share their lightness.
"""

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, generate_binary_structure
from skimage.color import rgb2lab

NO_COLOUR = 0.01  # mean change of colour a pixel below which a result is grey, CIELAB units
STRONG = 8.0  # change of L that makes a strong edge, CIELAB units a pixel
CORE, BAND = 1, 16  # pixels around strong edges: where a change of colour belongs, and how far bleeding is looked for
SIGMA_L, SIGMA_AB = 1.0, 2.0  # of the Gaussian derivatives, pixels; colour's outlasts the rounding to 8 bits


def bleeding(truth: np.ndarray, result: np.ndarray) -> float:
    """`bleeding_of_lab` of sRGB photos, uint8 (H, W, 3)."""
    return bleeding_of_lab(rgb2lab(truth), rgb2lab(result))


def bleeding_of_lab(truth_lab: np.ndarray, result_lab: np.ndarray) -> float:
    """Share of a result's change of colour that lies beside strong lightness edges, and not so in the truth.

    Change of colour is the length of ab's gradient. Over the band of pixels near strong edges of the truth's L it is
    divided by its sum, for result and truth alike, so that pale and strong colours are judged alike and only places
    count. What the result then has more than the truth is summed over the band without the edges themselves: a wrong
    colour that ends at the edge is no bleeding, and neither is texture that the truth has too.

    Colour that spreads beyond the band no longer counts as crossing its edge, so the score levels off where colour
    is smeared over more than some 8 pixels. The constants are for photos of about 256x256 pixels.

    Args:
        truth_lab: CIELAB (H, W, 3).
        result_lab: of the same shape.

    Returns:
        In [0, 1]: 0 for the truth itself, for a result without colour, and where there is no strong edge.
    """
    edges = _gradient(truth_lab[..., :1], SIGMA_L) > STRONG
    band, core = _dilate(edges, BAND), _dilate(edges, CORE)
    excess = _shares(result_lab, band) - _shares(truth_lab, band)
    return float(np.maximum(excess, 0)[band & ~core].sum())


def _shares(lab: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Share of each pixel in the band's whole change of colour, 0 outside the band and where there is none."""
    change = np.where(band, _gradient(lab[..., 1:], SIGMA_AB), 0.0)
    total = change.sum()
    return np.asarray(change / total) if total > NO_COLOUR * band.sum() else np.zeros_like(change)


def _gradient(channels_HWC: np.ndarray, sigma: float) -> np.ndarray:
    """Length of the gradient over all channels, a pixel."""
    derivatives = [
        gaussian_filter(channels_HWC[..., channel], sigma, order=order)
        for channel in range(channels_HWC.shape[-1])
        for order in ((0, 1), (1, 0))
    ]
    return np.asarray(np.sqrt(np.sum(np.square(derivatives), axis=0)))


def _dilate(mask: np.ndarray, pixels: int) -> np.ndarray:
    return np.asarray(binary_dilation(mask, generate_binary_structure(2, 1), iterations=pixels))
