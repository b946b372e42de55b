"""Networks that learn, and the one way in which their weights change.

The host only launches work: nothing in an update waits for a figure. A loss or gradient that is not finite is noticed
on the device, which then skips this and all later updates; the loop finds it in the figures of the epoch.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from huebands.models.interface import Network, Objective
from huebands.models.params import ModelParams
from huebands.models.registry import build_network, build_objective
from huebands.training.distributed import ALONE, World, count_whole_batch
from huebands.training.params import TrainParams
from huebands.training.precision import precision_of


@dataclass
class Learner:
    """A network that learns.

    Attributes:
        network: its weights.
        parallel: the network, as the world computes it; the network itself in one process.
        optimizer: fused AdamW; it skips its update where `non_finite` is 1.
        non_finite: on the device, 0 or 1, the same tensor for all learners of a training.
        gradient_clip: largest norm of the gradient; 0: no limit.
        world: the processes that train together.
        share: this process's photos over those of an average process, of the batch at hand.
    """

    network: nn.Module
    parallel: nn.Module
    optimizer: torch.optim.Optimizer
    non_finite: Tensor
    gradient_clip: float
    world: World
    share: float = 1.0

    def update(self, loss: Tensor) -> Tensor:
        """Descend, unless something is not finite, here or in another process; gives the gradient's unclipped norm."""
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.share).backward()
        parameters = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        finite = torch.isfinite(loss.detach()) & torch.isfinite(norm)
        self.non_finite.copy_(self.world.maximum(torch.maximum(self.non_finite, 1 - finite.float())))
        if self.gradient_clip > 0:
            nn.utils.clip_grads_with_norm_(parameters, self.gradient_clip, norm)
        self.optimizer.step()
        return norm


@dataclass
class Learners:
    """All networks of a training, on this process's device.

    Attributes:
        generator: the network that colours.
        helpers: the objective's other networks that learn, by name.
        frozen: its networks that do not.
        precision: of the convolutions.
        step: number of the batch at hand, from 1.
    """

    generator: Learner
    helpers: dict[str, Learner]
    frozen: dict[str, nn.Module]
    precision: torch.dtype
    step: int = 1

    @property
    def all(self) -> dict[str, Learner]:
        """Everything that learns, by name."""
        return {"generator": self.generator, **self.helpers}

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute convolutions in the training's precision."""
        device = self.generator.non_finite.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == torch.bfloat16)

    def train(self) -> None:
        """Switch all that learn to training."""
        for learner in self.all.values():
            learner.network.train()

    def set_learning_rate(self, rate: float) -> None:
        """Set the rate of all that learn, each group of weights at its share."""
        for learner in self.all.values():
            for group in learner.optimizer.param_groups:
                group["lr"] = rate * group["share"]

    def set_share(self, share: float) -> None:
        """Say which share of an average process's photos this process has in the batch to come."""
        for learner in self.all.values():
            learner.share = share

    def capture(self) -> dict[str, Any]:
        """Gather weights and optimizers for a checkpoint."""
        captured: dict[str, Any] = {}
        for name, learner in self.all.items():
            captured |= {name: learner.network.state_dict(), f"{name}_optimizer": learner.optimizer.state_dict()}
        return captured

    def restore(self, saved: dict[str, Any]) -> None:
        """Put captured weights and optimizers back."""
        for name, learner in self.all.items():
            learner.network.load_state_dict(saved[name])
            learner.optimizer.load_state_dict(saved[f"{name}_optimizer"])


def set_up(model: ModelParams, params: TrainParams, world: World = ALONE) -> tuple[Network, Objective, Learners]:
    """Build a family's network and objective, and put all that learns on the device, each with an optimizer.

    Args:
        model: network and objective; weights are drawn from torch's global generator.
        params: of the optimizers; the precision is chosen.
        world: the processes that train together.

    Raises:
        FetchError, OSError: when pretrained weights cannot be fetched.
    """
    network, objective = build_network(model.network, model.image_size), build_objective(model.objective)
    network.load_pretrained()
    helpers, precision = objective.helpers(), getattr(torch, precision_of(params))
    non_finite = torch.zeros((), device=world.device)

    def learner(module: nn.Module, groups: list[dict[str, Any]], weight_decay: float = 0.0) -> Learner:
        if world.size > 1:
            count_whole_batch(module)
        module = _place(module, world)
        rate, betas = params.learning_rate, (params.beta1, 0.999)
        optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas, weight_decay=weight_decay, fused=True)
        optimizer.found_inf = non_finite  # type: ignore[attr-defined]  # as torch.amp.GradScaler does
        return Learner(module, world.wrap(module), optimizer, non_finite, params.gradient_clip, world)

    generator = learner(network, network.parameter_groups(), params.weight_decay)
    learning, frozen = dict[str, Learner](), {}
    options = objective.optimizers()
    for name, helper in helpers.items():
        if any(parameter.requires_grad for parameter in helper.parameters()):
            learning[name] = learner(
                helper, [{"params": list(helper.parameters()), "share": 1.0, **options.get(name, {})}]
            )
        else:
            frozen[name] = _freeze(helper, precision, world)
    return network, objective, Learners(generator, learning, frozen, precision)


def _freeze(module: nn.Module, precision: torch.dtype, world: World) -> nn.Module:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(precision)  # autocast would cast frozen weights at every use
    return _place(module, world)


def _place(module: nn.Module, world: World) -> nn.Module:
    placed: nn.Module = module.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
