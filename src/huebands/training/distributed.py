"""One process or many: who computes which part of a batch, and what they must agree on.

With torchrun each process takes a part of every batch. Gradients are averaged by DistributedDataParallel, batch
normalisation counts the whole batch, so that the loss curve is that of one process.
"""

import inspect
import os
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.distributed as dist
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

        Raises:
            ValueError: when there is no GPU for this process.
        """
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        index = int(os.environ.get("LOCAL_RANK", "0"))
        if kind == "cuda":
            if index >= torch.cuda.device_count():
                raise ValueError(
                    f"process {index} of this machine wants a GPU of its own, and torch sees"
                    f" {torch.cuda.device_count()}; start fewer processes, or train on the CPU"
                )
            torch.cuda.set_device(index)
            torch.backends.cudnn.benchmark = True  # batches have at most two shapes
        place = torch.device(kind, index) if kind == "cuda" else torch.device(kind)
        if "RANK" not in os.environ:
            return cls(0, 1, place)
        dist.init_process_group("nccl" if kind == "cuda" else "gloo", device_id=place if kind == "cuda" else None)
        return cls(dist.get_rank(), dist.get_world_size(), place)

    def leave(self) -> None:
        """Leave the processes that `join` joined."""
        if self.size > 1 or dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Average a network's gradients over the processes, so that they are those of the whole batch."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        sync_buffers: dict[str, Any] = {_SYNC_BUFFERS: False}  # batch normalisation keeps them equal
        return DistributedDataParallel(network, device_ids=devices, **sync_buffers)

    def of_leader(self, value: Any) -> Any:
        """Give all processes the leading process's value; only that process needs the disk."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=self.device)
        return values[0]

    def agree(self, value: str, what: str) -> None:
        """Make sure that all processes hold the same value.

        Raises:
            ValueError: when they do not, in every process.
        """
        if self.size == 1:
            return
        values: list[str] = [""] * self.size
        dist.all_gather_object(values, value)
        if len(set(values)) > 1:
            raise ValueError(f"{what} must be the same in all processes, and are {', '.join(values)} by rank")

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
        """Wait until every process calls this."""
        if self.size > 1:
            dist.barrier()


ALONE = World(0, 1, torch.device("cpu"))

# torch 2.13 renamed the option; a machine that only trains may have an older torch.
_KNOWN = inspect.signature(DistributedDataParallel.__init__).parameters
_SYNC_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _KNOWN else "broadcast_buffers"


class SumOverProcesses(torch.autograd.Function):
    """The sum of all processes' tensors; every process's loss depends on it, so gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """Sum a copy."""
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Sum the gradients of all processes' losses."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' parts; torch's own SyncBatchNorm needs a GPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W); the statistics are computed in float32."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = x.new_full((1,), x.numel() / x.shape[1])
        sums: Tensor = SumOverProcesses.apply(torch.cat((x.sum((0, 2, 3)), count)))
        mean, total = sums[:-1] / sums[-1], sums[-1]
        # Two passes: the difference of the mean square and the squared mean would lose the digits of a small variance.
        centred = x - mean[:, None, None]
        variance: Tensor = SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / total
        with torch.no_grad():
            assert self.num_batches_tracked is not None
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * total / (total - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        result: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return result.to(input.dtype)


def count_whole_batch(network: nn.Module) -> None:
    """Replace every batch normalisation, in place, by one over all processes; weights and names stay."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            replacement = GlobalBatchNorm2d(child.num_features, child.eps, child.momentum)
            replacement.load_state_dict(child.state_dict())
            replacement.weight, replacement.bias = child.weight, child.bias  # a frozen one stays frozen
            replacement.train(child.training)
            setattr(network, name, replacement)
        else:
            count_whole_batch(child)
