"""The ab plane in bins: what a classifier of colours chooses between.

Squares of 10 x 10 CIELAB units around multiples of 10, those that hold an 8-bit sRGB colour: 261. The source counts
313; the other 52 hold no colour that an sRGB photo can have (`tests/models/test_ab_bins.py` looks at all 16,777,216).

Source: Zhang, Isola & Efros, 2016, https://arxiv.org/abs/1603.08511.
"""

from functools import cache

import torch
from torch import Tensor

from huebands.color import AB_SCALE

SIDE = 10.0  # CIELAB units
NEIGHBOURS, SIGMA = 5, 5.0  # of the soft encoding: bins a colour is spread over, CIELAB units
# First and last b of the bins at each a, in sides.
_ROWS = {
    -9: (8, 8), -8: (4, 8), -7: (2, 9), -6: (0, 9), -5: (-2, 9), -4: (-3, 9), -3: (-4, 9), -2: (-4, 9), -1: (-5, 9),
    0: (-6, 9), 1: (-7, 8), 2: (-7, 8), 3: (-8, 8), 4: (-9, 8), 5: (-9, 7), 6: (-10, 7), 7: (-11, 7), 8: (-11, 7),
    9: (-9, 0), 10: (-7, -5),
}  # fmt: skip


@cache
def centres() -> Tensor:
    """The bins' centres, ab in CIELAB units, float32 (BINS, 2)."""
    with torch.inference_mode(False):  # else gradients could not pass them later
        return SIDE * torch.tensor([(a, b) for a, (low, high) in _ROWS.items() for b in range(low, high + 1)])


BINS = sum(high + 1 - low for low, high in _ROWS.values())


def nearest(ab_unit_B2HW: Tensor) -> Tensor:
    """The bin of each colour, int64 (B, H, W)."""
    return _distances(ab_unit_B2HW).argmin(dim=1)


def encode(ab_unit_B2HW: Tensor) -> Tensor:
    """Spread each colour over its nearest bins, by a Gaussian of their distance.

    Args:
        ab_unit_B2HW: in [-1, 1].

    Returns:
        Probabilities (B, BINS, H, W), float32, `NEIGHBOURS` of them above 0.
    """
    squared, nearby = _distances(ab_unit_B2HW).topk(NEIGHBOURS, dim=1, largest=False)
    weights = torch.softmax(-squared / (2 * SIGMA**2), dim=1)
    batch, _, height, width = nearby.shape
    return weights.new_zeros(batch, BINS, height, width).scatter_(1, nearby, weights)


def annealed_mean(logits_BQHW: Tensor, temperature: float) -> Tensor:
    """The mean colour of sharpened probabilities: 1 gives the mean, 0 would give the mode.

    Args:
        logits_BQHW: of the bins.
        temperature: above 0; the logits are divided by it.

    Returns:
        ab_unit (B, 2, H, W), float32.
    """
    probabilities = torch.softmax(logits_BQHW.float() / temperature, dim=1)
    ab_unit = centres().to(logits_BQHW.device) / AB_SCALE
    return torch.einsum("bqhw,qc->bchw", probabilities, ab_unit)


def _distances(ab_unit_B2HW: Tensor) -> Tensor:
    """Squared distances to all bins' centres, CIELAB units squared, (B, BINS, H, W)."""
    ab_B12HW = (ab_unit_B2HW.float() * AB_SCALE)[:, None]
    a_Q, b_Q = centres().to(ab_B12HW.device)[:, :, None, None].unbind(dim=1)
    return (ab_B12HW[:, :, 0] - a_Q).square() + (ab_B12HW[:, :, 1] - b_Q).square()
