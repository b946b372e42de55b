"""The ab plane in bins: what a classifier of colours chooses between.

Squares of 10 x 10 CIELAB units around multiples of 10, those that hold an 8-bit sRGB colour: 261. The source counts
313; the other 52 hold no colour that an sRGB photo can have (`tests/models/test_ab_bins.py` checks all 16,777,216).

Source: Zhang, Isola & Efros, 2016, https://arxiv.org/abs/1603.08511.
"""

from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor

from huebands.color import AB_SCALE

SIDE = 10.0  # CIELAB units
_SPREAD = 5.0  # CIELAB units: of the Gaussian that smooths how often bins are seen
_CPU = torch.device("cpu")
NEIGHBOURS, SIGMA = 5, 5.0  # of the soft encoding: bins a colour is spread over, CIELAB units
# First and last b of the bins at each a, in sides.
_ROWS = {
    -9: (8, 8), -8: (4, 8), -7: (2, 9), -6: (0, 9), -5: (-2, 9), -4: (-3, 9), -3: (-4, 9), -2: (-4, 9), -1: (-5, 9),
    0: (-6, 9), 1: (-7, 8), 2: (-7, 8), 3: (-8, 8), 4: (-9, 8), 5: (-9, 7), 6: (-10, 7), 7: (-11, 7), 8: (-11, 7),
    9: (-9, 0), 10: (-7, -5),
}  # fmt: skip


BINS = sum(high + 1 - low for low, high in _ROWS.values())
_REACH = 11  # sides: the largest a and b of ab_unit in [-1, 1]
_UNITS = 110  # CIELAB units: the same


@cache
def centres(device: torch.device = _CPU) -> Tensor:
    """The bins' centres, ab in CIELAB units, float32 (BINS, 2); made once a device, so that no step waits."""
    with torch.inference_mode(False):  # else gradients could not pass them later
        places = [(a, b) for a, (low, high) in _ROWS.items() for b in range(low, high + 1)]
        return SIDE * torch.tensor(places, dtype=torch.float32, device=device)


def nearest(ab_unit_B2HW: Tensor) -> Tensor:
    """The bin of each colour, int64 (B, H, W): that of its square, or for a square without a bin the nearest."""
    a, b = (ab_unit_B2HW.float() * (AB_SCALE / SIDE)).round().long().clamp(-_REACH, _REACH).unbind(dim=1)
    return _bin_of_square(ab_unit_B2HW.device)[a + _REACH, b + _REACH]


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


def spread(ab_unit_B2HW: Tensor) -> tuple[Tensor, Tensor]:
    """Give what `encode` gives for colours rounded to whole CIELAB units, but only what is above 0, out of a table.

    Args:
        ab_unit_B2HW: in [-1, 1].

    Returns:
        Bins, int64, and their probabilities, float32, both (B, `NEIGHBOURS`, H, W).
    """
    bins, weights = _spread_table(ab_unit_B2HW.device)
    a, b = (ab_unit_B2HW.float() * AB_SCALE).round().long().clamp(-_UNITS, _UNITS).add(_UNITS).unbind(dim=1)
    places = a * (2 * _UNITS + 1) + b
    return bins[places].movedim(-1, 1), weights[places].movedim(-1, 1)


def annealed_mean(logits_BQHW: Tensor, temperature: float) -> Tensor:
    """The mean colour of sharpened probabilities: 1 gives the mean, 0 would give the mode.

    Args:
        logits_BQHW: of the bins.
        temperature: above 0; the logits are divided by it.

    Returns:
        ab_unit (B, 2, H, W), float32.
    """
    probabilities = torch.softmax(logits_BQHW.float() / temperature, dim=1)
    ab_unit = centres(logits_BQHW.device) / AB_SCALE
    return torch.einsum("bqhw,qc->bchw", probabilities, ab_unit)


def draw(logits_BQHW: Tensor, count: int, temperature: float, random: torch.Generator) -> Tensor:
    """Draw colourings: of each photo `count` ones, independently of each other.

    Each bin gets a random bonus, the same at all places of a photo, and the annealed mean follows. The bonuses have
    Gumbel's distribution, so that near temperature 0 the colour of each place is drawn with the bins' probabilities
    (the Gumbel-max trick; softened as in Jang, Gu & Poole, 2017, https://arxiv.org/abs/1611.01144). As places share
    them, one surface gets one colour.

    Args:
        logits_BQHW: of the bins.
        count: of the samples of each photo.
        temperature: above 0; see `annealed_mean`.
        random: the only source of randomness.

    Returns:
        ab_unit (count, B, 2, H, W), float32.
    """
    shape = (count, *logits_BQHW.shape[:2], 1, 1)
    uniform = torch.rand(shape, generator=random, device=random.device, dtype=torch.float64).clamp_min(1e-300)
    gumbel = -(-uniform.log()).log()
    bonus = gumbel.float().to(logits_BQHW.device)
    return torch.stack([annealed_mean(logits_BQHW + bonus_BQ11, temperature) for bonus_BQ11 in bonus])


def _distances(ab_unit_B2HW: Tensor) -> Tensor:
    """Squared distances to all bins' centres, CIELAB units squared, (B, BINS, H, W)."""
    ab_B12HW = (ab_unit_B2HW.float() * AB_SCALE)[:, None]
    a_Q, b_Q = centres(ab_B12HW.device)[:, :, None, None].unbind(dim=1)
    return (ab_B12HW[:, :, 0] - a_Q).square() + (ab_B12HW[:, :, 1] - b_Q).square()


@cache
def _bin_of_square(device: torch.device) -> Tensor:
    """The bin nearest to each square's centre, int64 (2 _REACH + 1, 2 _REACH + 1)."""
    with torch.inference_mode(False):
        side = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32, device=device) * SIDE
        squares = torch.cartesian_prod(side, side)
        return torch.cdist(squares, centres(device)).argmin(dim=1).view(len(side), len(side))


@cache
def _spread_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each whole a and b the nearest bins and their probabilities, ((2 _UNITS + 1)^2, NEIGHBOURS) each."""
    with torch.inference_mode(False):
        side = torch.arange(-_UNITS, _UNITS + 1, dtype=torch.float32)
        squared, nearby = (
            torch.cdist(torch.cartesian_prod(side, side), centres()).square().topk(NEIGHBOURS, dim=1, largest=False)
        )
        return nearby.to(device), torch.softmax(-squared / (2 * SIGMA**2), dim=1).to(device)


def class_weights(counts_Q: Tensor, lambda_uniform: float) -> Tensor:
    """Weigh bins.

    Args:
        counts_Q: pixels of the training photos in each bin.
        lambda_uniform: of the weights: 1: every pixel weighs alike; near 0: every bin does, however rare.

    Returns:
        float32 (BINS,): their mean over the pixels, smoothed as they are, is 1.
    """
    distances = torch.cdist(centres(), centres())
    kernel = torch.exp(-distances.square() / (2 * _SPREAD**2))
    smooth = (kernel / kernel.sum(dim=0)) @ (counts_Q / counts_Q.sum())
    weights = 1 / ((1 - lambda_uniform) * smooth + lambda_uniform / BINS)
    return weights / (smooth * weights).sum()


def weigh_by_frequency(ab_unit_truth: Iterable[Tensor], lambda_uniform: float) -> Tensor:
    """Give the `class_weights` of colours, ab_unit (B, 2, H, W) each, on their device."""
    counts, device = torch.zeros(BINS), _CPU
    for ab_unit in ab_unit_truth:
        counts += torch.bincount(nearest(ab_unit).flatten(), minlength=BINS).cpu()
        device = ab_unit.device
    return class_weights(counts, lambda_uniform).to(device)
