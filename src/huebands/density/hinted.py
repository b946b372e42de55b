"""How the densities of a photo's places follow hints: colours that are known at some of its places.

A place has the colour of a hinted surface with a probability that grows with how alike the places are: in their
densities (Bhattacharyya coefficient), in lightness, and in where they lie. Then its colour is near the hint's, and as
likely as its own density says; otherwise the hint tells nothing. So a place's density becomes

    (1 - s) p(colour) + s p(colour) h(colour) / sum p h,    h = sum_k s_k q(colour; hint k) / s,    s = sum_k s_k
    s_k = w_k / (prior + sum_j w_j)
    w_k = exp(closeness exp(-(d_k / reach)^2) - nearness d_k^2 - evenness (L - L_k)^2 - likeness (1 - B_k))

where q is a mixture of normal distributions around the hint's position in the coordinate of `density.coordinate`: the
same surface in light and in shade has nearly one position. The shares are those of the regression of Nadaraya, 1964,
and Watson, 1964, with a prior that no hint tells anything. Nine numbers are fitted by the likelihood of the validation
photos' colours: see `colorize.hint_law`. Whatever they are, calibration on photos with hints makes the bands valid.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from huebands import color
from huebands.density import coordinate
from huebands.models.parameters import check

SPREADS = (0.05, 0.12, 0.3)  # deviations of q's parts from the hint, positions
MOST = 256  # hinted places that are used; of more, so many that are spread evenly over them
WEIGHTS = ("closeness", "reach", "nearness", "evenness", "likeness", "prior")
_CLOSEST = 30.0  # of closeness: sums of weights stay finite in float32
_LEAST = 1e-30  # a sum of weights that can divide
_FLOOR = 1e-4  # of q, divided by the number of cells: a hint rules no colour out


@dataclass(frozen=True, kw_only=True)
class HintKernel:
    """How far hints reach.

    Distances are in sides of the square that the density sees.

    Attributes:
        closeness: weighs that a place is next to the hint.
        reach: how far that goes, a distance.
        nearness: weighs the squared distance.
        evenness: weighs the squared difference in lightness, in units of 100.
        likeness: weighs the difference of the densities, 1 minus their Bhattacharyya coefficient.
        prior: weight of no hint.
        shares: of q's parts, one for each of `SPREADS`; they add up to 1.

    Raises:
        ParamsError: names the attribute, its value and what is allowed.
    """

    closeness: float
    reach: float
    nearness: float
    evenness: float
    likeness: float
    prior: float
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("nearness", "evenness", "likeness"):
            value = getattr(self, name)
            check(math.isfinite(value) and value >= 0, name, value, "be a number from 0 on")
        check(0 <= self.closeness <= _CLOSEST, "closeness", self.closeness, f"be a number in [0, {_CLOSEST:g}]")
        for name in ("reach", "prior"):
            value = getattr(self, name)
            check(math.isfinite(value) and value > 0, name, value, "be a number above 0")
        are_shares = len(self.shares) == len(SPREADS) and all(0 <= share <= 1 for share in self.shares)
        sum_to_one = are_shares and math.isclose(sum(self.shares), 1, abs_tol=1e-6)
        check(sum_to_one, "shares", self.shares, f"be {len(SPREADS)} numbers in [0, 1] that add up to 1")

    def follow(self, probabilities_QHW: Tensor, places: "HintedPlaces") -> Tensor:
        """Let a photo's densities follow its hints.

        Args:
            probabilities_QHW: of the cells of joint histograms.
            places: what the hints tell of all of its places.

        Returns:
            Probabilities of the cells, (Q, H, W).
        """
        likely_NQ = probabilities_QHW.flatten(1).T
        followed_NQ = follow(likely_NQ, places, self._weights, torch.tensor(self.shares))
        return followed_NQ.T.reshape(probabilities_QHW.shape).contiguous()

    def spread(self, values_CK: Tensor, places: "HintedPlaces") -> Tensor:
        """Spread values of the hinted places over all places, (C, N); where no hint is alike they become 0."""
        weights_NK = weigh(places, self._weights)
        shares_NK = weights_NK / (weights_NK.sum(dim=1, keepdim=True) + self.prior)
        return values_CK @ shares_NK.T

    @property
    def _weights(self) -> Tensor:
        return torch.tensor([getattr(self, name) for name in WEIGHTS])


@dataclass(frozen=True)
class HintedPlaces:
    """What hints tell of N places, by K hinted places.

    Attributes:
        hinted_K: indices of the hinted places, row by row.
        squared_NK: squared distances, in sides of the square.
        lightness_NK: squared differences in lightness, in units of 100.
        unlikeness_NK: 1 minus the Bhattacharyya coefficient of the densities.
        around_PKQ: probabilities of the cells around each hint, for each of `SPREADS`.
    """

    hinted_K: Tensor
    squared_NK: Tensor
    lightness_NK: Tensor
    unlikeness_NK: Tensor
    around_PKQ: Tensor

    @classmethod
    def of(
        cls, probabilities_QHW: Tensor, grey_HW: Tensor, hints_3HW: Tensor, side: int, places_N: Tensor | None = None
    ) -> "HintedPlaces":
        """Compare places with the hinted ones.

        Args:
            probabilities_QHW: of the cells of joint histograms.
            grey_HW: uint8, grey levels.
            hints_3HW: ab_unit and 1 at hinted places, of which there is one at least; elsewhere zeros.
            side: places on a side of the square that the density sees.
            places_N: indices of the places, row by row; None: all.
        """
        hinted_K = hints_3HW[2].flatten().nonzero()[:, 0]
        if len(hinted_K) > MOST:
            hinted_K = hinted_K[torch.linspace(0, len(hinted_K) - 1, MOST).long()]
        chosen_N = torch.arange(grey_HW.numel()) if places_N is None else places_N
        height, width = grey_HW.shape
        position_N2 = torch.stack(
            torch.meshgrid(torch.arange(height) / side, torch.arange(width) / side, indexing="ij"), dim=-1
        ).flatten(0, 1)
        L_N = color.lightness_of_grey(grey_HW).flatten() / 100
        roots_NQ = probabilities_QHW.flatten(1).T.sqrt()
        return cls(
            hinted_K,
            (position_N2[chosen_N, None] - position_N2[hinted_K]).square().sum(dim=2),
            (L_N[chosen_N, None] - L_N[hinted_K]).square(),
            (1 - roots_NQ[chosen_N] @ roots_NQ[hinted_K].T).clamp_min(0),
            around(positions_of(hints_3HW, grey_HW)[:, hinted_K].T, math.isqrt(len(probabilities_QHW))),
        )


def follow(likely_NQ: Tensor, places: HintedPlaces, weights_6: Tensor, shares_P: Tensor) -> Tensor:
    """The densities (N, Q) of places, after their hints.

    Args:
        likely_NQ: before.
        places: what the hints tell of them.
        weights_6: what `WEIGHTS` names of a `HintKernel`.
        shares_P: its shares.
    """
    weights_NK = weigh(places, weights_6)
    total_N1 = weights_NK.sum(dim=1, keepdim=True)
    around_KQ = torch.einsum("p,pkq->kq", shares_P, places.around_PKQ)
    shares_NK = weights_NK / total_N1.clamp_min(_LEAST)  # of a place that no hint is like: zeros
    hint_NQ = shares_NK @ around_KQ + _FLOOR / likely_NQ.shape[1]
    agreed_NQ = likely_NQ * hint_NQ
    agreed_NQ = agreed_NQ / agreed_NQ.sum(dim=1, keepdim=True)
    told_N1 = total_N1 / (total_N1 + weights_6[-1])
    followed_NQ: Tensor = (1 - told_N1) * likely_NQ + told_N1 * agreed_NQ
    return followed_NQ


def weigh(places: HintedPlaces, weights_6: Tensor) -> Tensor:
    """The weight of each hint for each place, w (N, K); `weights_6` as for `follow`."""
    closeness, reach, nearness, evenness, likeness, _ = weights_6
    close_NK = closeness * torch.exp(-places.squared_NK / reach.square())
    unlike_NK = nearness * places.squared_NK + evenness * places.lightness_NK + likeness * places.unlikeness_NK
    return torch.exp(close_NK - unlike_NK)


def positions_of(hints_3HW: Tensor, grey_HW: Tensor) -> Tensor:
    """Positions of R and B of each place's hint, at the place's grey level: (2, H W); grey where there is no hint."""
    lab_3HW = torch.cat((color.lightness_of_grey(grey_HW)[None], hints_3HW[:2] * color.AB_SCALE))
    values_3HW = color.lab_to_srgb(color.fit_to_gamut(lab_3HW)) * 255
    return coordinate.encode(values_3HW, grey_HW)[[0, 2]].flatten(1)


def around(positions_K2: Tensor, bins: int) -> Tensor:
    """Probabilities of the cells of a joint histogram around positions of R and B, for each of `SPREADS`: (P, K, Q)."""
    edges = torch.linspace(-1, 1, bins + 1)
    deviation_P111 = torch.tensor(SPREADS)[:, None, None, None]
    below_PK2E = torch.special.ndtr((edges - positions_K2[..., None]) / deviation_P111)
    mass_PK2B = below_PK2E.diff(dim=-1)
    mass_PK2B = mass_PK2B / mass_PK2B.sum(dim=-1, keepdim=True)
    red, blue = mass_PK2B.unbind(2)
    joint_PKQ: Tensor = (red[..., :, None] * blue[..., None, :]).flatten(2)
    return joint_PKQ
