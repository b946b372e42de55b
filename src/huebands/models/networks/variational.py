"""Colour spreads from hints over surfaces, and stops at edges of lightness; nothing is learned.

    minimise  sum over r of (u(r) - sum over s in N(r) of w(r, s) u(s))^2,  with u given at the hints
    w(r, s) in proportion to exp(-(L(r) - L(s))^2 / (2 variance(r))),  sum of w(r, .) = 1

u is a or b, N(r) are the eight neighbours, and variance(r) is that of lightness around r. The minimum solves a sparse
linear system. Without a hint, all stays grey.

Source: Levin, Lischinski & Weiss, 2004, Colorization using optimization. They solve at the photo's own size; here the
system has the network's size, and guided upsampling brings its colours along the photo's own edges.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands.models.interface import Condition, NetworkParams
from huebands.models.interface import Network as BaseNetwork
from huebands.models.parameters import check

if TYPE_CHECKING:
    from scipy import sparse

_NEIGHBOURS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))
_LEAST_WEIGHT = 1e-5  # of a neighbour: no surface is cut off, so the system has one solution


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """What counts as an edge."""

    name: Literal["variational"]
    variance_share: float  # of the neighbourhood's variance of lightness; smaller: weaker edges stop colour
    least_deviation: float  # of lightness in a neighbourhood, L_unit: differences below it are noise

    def __post_init__(self) -> None:
        check(self.variance_share > 0, "variance_share", self.variance_share, "be above 0")
        check(self.least_deviation > 0, "least_deviation", self.least_deviation, "be above 0")


class Network(BaseNetwork):
    """Map lightness and hints to colour, by solving for it."""

    params: Params

    @property
    def takes_hints(self) -> bool:
        """They are all that it knows of colour."""
        return True

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Spread the hints: ab_unit (B, 2, S, S); grey for photos without any."""
        ab_unit: Tensor = self(condition.L_unit_B1SS, condition.painted)
        return ab_unit

    def forward(self, L_unit_B1SS: Tensor, hints_B3SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) and hints (B, 3, S, S) to ab_unit (B, 2, S, S)."""
        photos = zip(L_unit_B1SS[:, 0].cpu().double().numpy(), hints_B3SS.cpu().double().numpy(), strict=True)
        ab_unit = np.stack([self._spread(L_SS, hints_3SS) for L_SS, hints_3SS in photos])
        return torch.from_numpy(ab_unit).to(L_unit_B1SS).clamp(-1, 1)

    def _spread(self, L_SS: NDArray[np.float64], hints_3SS: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy import sparse  # a machine that only trains may lack it
        from scipy.sparse import linalg

        ab_2SS, hinted_SS = hints_3SS[:2], hints_3SS[2] > 0
        if not hinted_SS.any():
            return np.zeros_like(ab_2SS)
        free_N, colours_N2 = ~hinted_SS.ravel(), ab_2SS.reshape(2, -1).T
        rows_FN = (sparse.eye_array(L_SS.size, format="csr") - self.weights(L_SS))[free_N]
        solve = linalg.splu(rows_FN[:, free_N].tocsc())
        spread_N2 = colours_N2.copy()
        spread_N2[free_N] = solve.solve(-(rows_FN[:, ~free_N] @ colours_N2[~free_N]))
        return np.ascontiguousarray(spread_N2.T.reshape(ab_2SS.shape))

    def weights(self, L_SS: NDArray[np.float64]) -> "sparse.csr_array":
        """The weights w of all places' neighbours, (S^2, S^2); each row adds up to 1."""
        from scipy import sparse

        height, width = L_SS.shape
        padded = np.pad(L_SS, 1, constant_values=np.nan)
        index_SS = np.arange(L_SS.size).reshape(L_SS.shape)
        padded_index = np.pad(index_SS, 1, constant_values=-1)

        def moved(array: NDArray[np.generic], down: int, right: int) -> NDArray[np.generic]:
            return array[1 + down : 1 + down + height, 1 + right : 1 + right + width]

        L_8SS = np.stack([moved(padded, *step) for step in _NEIGHBOURS])
        index_8SS = np.stack([moved(padded_index, *step) for step in _NEIGHBOURS])
        variance_SS = self.params.variance_share * np.nanvar(np.concatenate((L_8SS, L_SS[None])), axis=0)
        variance_SS = np.maximum(variance_SS, self.params.least_deviation**2)
        inside_8SS = index_8SS >= 0
        weights_8SS = np.exp(-np.square(np.where(inside_8SS, L_8SS - L_SS, 0)) / (2 * variance_SS)) + _LEAST_WEIGHT
        weights_8SS = np.where(inside_8SS, weights_8SS, 0)
        weights_8SS /= weights_8SS.sum(axis=0)
        rows_8SS = np.broadcast_to(index_SS, index_8SS.shape)
        entries = (weights_8SS[inside_8SS], (rows_8SS[inside_8SS], index_8SS[inside_8SS]))
        return sparse.csr_array(entries, shape=(L_SS.size, L_SS.size))

    def compiled(self) -> Self:
        """Nothing in it can be compiled."""
        return self

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            "A variational method without weights: colour spreads from hints over surfaces and stops at edges of"
            " lightness. Without hints a photo stays grey."
        )
