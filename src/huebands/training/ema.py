"""The average of the generator over the training, which is evaluated and packaged."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from huebands.models.interface import Network


class ExponentialMovingAverage:
    """Exponential moving average of weights and normalisation statistics (Polyak & Juditsky, 1992).

    torch's `AveragedModel` gives the same, but its count of steps makes the host wait for the device in every step. So
    its arithmetic alone is used.

    Attributes:
        network: the average, in eval mode.
    """

    def __init__(self, network: Network, decay: float) -> None:
        """Start from the network as it is.

        Args:
            network: to be averaged.
            decay: of one step, in [0, 1); with 0 the average is always the newest network.
        """
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 1; early on, when there is little to average, faster."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages, counters = _tensors(self.network)
        weights, counts = _tensors(network)
        if averages:  # a method without weights has none
            get_ema_multi_avg_fn(decay)(averages, weights, step)
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)

    def state_dict(self) -> dict[str, Any]:
        """The average's weights."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the average up again."""
        self.network.load_state_dict(state)


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers: those of floating point, which are averaged, and the others, which are copied."""
    tensors = [*network.parameters(), *network.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    return floating, [tensor for tensor in tensors if not tensor.is_floating_point()]
