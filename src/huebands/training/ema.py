"""The average of the generator over the training, which is evaluated and packaged."""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from huebands.models.interface import Network


class ExponentialMovingAverage:
    """Exponential moving average of weights and normalisation statistics (Polyak & Juditsky, 1992).

    Attributes:
        network: the average, in eval mode.
    """

    def __init__(self, network: Network, decay: float) -> None:
        """Start from the network as it is.

        Args:
            network: whose average is kept.
            decay: of one step, in [0, 1); 0 keeps the network itself.
        """
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 1; early on, when there is little to average, faster."""
        decay = min(self._decay, (1 + step) / (10 + step))
        kept, new = _tensors(self.network), _tensors(network)
        floating = [tensor.is_floating_point() for tensor in kept]
        torch._foreach_lerp_(_chosen(kept, floating), _chosen(new, floating), 1 - decay)
        for mine, theirs, averaged in zip(kept, new, floating, strict=True):
            if not averaged:
                mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """The average's weights."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the average up again."""
        self.network.load_state_dict(state)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _chosen(tensors: Iterable[Tensor], wanted: Iterable[bool]) -> list[Tensor]:
    return [tensor for tensor, chosen in zip(tensors, wanted, strict=True) if chosen]
