"""One process or many: who computes which part of a batch, and what they must agree on.

With torchrun each process takes a part of every batch. Gradients are averaged by DistributedDataParallel, batch
normalisation counts the whole batch, so that the loss curve is that of one process.
"""

import os
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        device: of this process.
    """

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls, device: str | None = None) -> Self:
        """Join the processes that torchrun started; without torchrun there is one.

        Args:
            device: "cpu" or "cuda"; None takes the GPU where there is one.
        """
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if "RANK" not in os.environ:
            return cls(0, 1, torch.device(kind))
        own = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
        if kind == "cuda":
            torch.cuda.set_device(own)
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size(), own)

    def leave(self) -> None:
        """End what `join` began."""
        if self.size > 1 or dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process writes and tells."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Let a network's gradients be those of the whole batch."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def maximum(self, tensor: Tensor) -> Tensor:
        """The largest over the processes, element by element."""
        if self.size > 1:
            dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = World(0, 1, torch.device("cpu"))


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' parts; torch's own SyncBatchNorm needs a GPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W); the statistics are computed in float32."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = torch.cat((x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), count))
        mean, square, total = differentiable.all_reduce(sums).split([x.shape[1], x.shape[1], 1])
        mean = mean / total
        variance = (square / total - mean.square()).clamp_min(0)
        with torch.no_grad():
            assert self.num_batches_tracked is not None
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * total / (total - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        result: Tensor = x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]
        return result.to(input.dtype)


def count_whole_batch(network: nn.Module) -> None:
    """Replace every batch normalisation, in place, by one over all processes; weights and names stay."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            replacement = GlobalBatchNorm2d(child.num_features, child.eps, child.momentum)
            replacement.load_state_dict(child.state_dict())
            setattr(network, name, replacement)
        else:
            count_whole_batch(child)
