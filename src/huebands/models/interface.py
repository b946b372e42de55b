"""What a family of colorizers is: a network and an objective.

A network is a file models/networks/NAME.py with the classes `Params` and `Network`; an objective is a file
models/objectives/NAME.py with `Params` and `Objective`. `models.registry` finds both by NAME, and one choice in
conf/model/ joins them. docs/add-a-family.md walks through an example.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from huebands.models.compiled import CompiledNetwork


@dataclass(frozen=True, kw_only=True)
class Condition:
    """All that a colorizer gets of a photo.

    Attributes:
        L_unit_B1SS: lightness, L / 50 - 1, in [-1, 1].
        hints_B3SS: where someone has painted, ab_unit and 1, elsewhere zeros; None: nobody has.
        exemplar_B3SS: L_unit and ab_unit of a photo whose colours are wanted; None: there is none.
    """

    L_unit_B1SS: Tensor
    hints_B3SS: Tensor | None = None
    exemplar_B3SS: Tensor | None = None

    @property
    def painted(self) -> Tensor:
        """`hints_B3SS`, of zeros where nobody has painted."""
        if self.hints_B3SS is not None:
            return self.hints_B3SS
        return torch.zeros_like(self.L_unit_B1SS).repeat(1, 3, 1, 1)


@dataclass(frozen=True, kw_only=True)
class NetworkParams:
    """What every network's parameters have. `name` is the stem of the network's file."""

    name: str

    @property
    def multiple(self) -> int:
        """Sides of the network's square must be multiples of this many pixels."""
        return 1

    @property
    def smallest(self) -> int:
        """Sides of the network's square must have at least so many pixels."""
        return self.multiple


@dataclass(frozen=True, kw_only=True)
class ObjectiveParams:
    """What every objective's parameters have. `name` is the stem of the objective's file."""

    name: str

    @property
    def smallest(self) -> int:
        """Sides of the network's square must have at least so many pixels."""
        return 1

    @property
    def least_epochs(self) -> int:
        """A training must have at least so many epochs."""
        return 1


class Network(nn.Module, ABC):
    """A network that gives a photo its colours.

    `forward` is what the objective trains, and `colours` is what a photo gets: they may differ, as a classifier gives
    probabilities and shows their mean.

    Args:
        params: of its module's `Params`.
        image_size: side of the square that it takes, S pixels.
    """

    _compiled: Callable[..., Sequence[Tensor]] | None = None

    def __init__(self, params: Any, image_size: int) -> None:
        super().__init__()
        self.params, self.image_size = params, image_size

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Colour photos.

        Args:
            condition: of B photos.
            random: the only source of randomness.

        Returns:
            ab_unit (B, 2, S, S), float32 in [-1, 1].
        """
        return self.run(condition.L_unit_B1SS)[0]

    @property
    def takes_hints(self) -> bool:
        """Whether its colours follow `Condition.hints_B3SS`. By default they do not."""
        return False

    @property
    def takes_exemplar(self) -> bool:
        """Whether its colours follow `Condition.exemplar_B3SS`. By default they do not."""
        return False

    @property
    def gives_samples(self) -> bool:
        """Whether it knows a distribution of colourings that `samples` can draw from. By default it does not."""
        return False

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw colourings of photos, independently of each other.

        Args:
            condition: of B photos.
            count: of the samples of each photo.
            random: the only source of randomness.

        Returns:
            ab_unit (count, B, 2, S, S), float32 in [-1, 1].

        Raises:
            NotImplementedError: when it knows one colouring only, see `gives_samples`.
        """
        raise NotImplementedError(f"network (={self.params.name}) gives one colouring, and no samples")

    @property
    def inputs(self) -> Sequence[tuple[int, ...]]:
        """Shapes of what `core` takes, without the batch. By default L_unit (1, S, S) alone."""
        return [(1, self.image_size, self.image_size)]

    def core(self) -> nn.Module:
        """The part that is compiled: it maps `inputs` to a tensor or several. By default all of it."""
        return self

    def run(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Run the core, compiled where `compiled` made it so."""
        if self._compiled is not None:
            return self._compiled(*inputs)
        outputs = self.core()(*inputs)
        return [outputs] if isinstance(outputs, Tensor) else outputs

    def compiled(self) -> Self:
        """Give a network with the same weights whose core runs compiled; threads may share it. In eval mode only."""
        network = copy.copy(self)
        network._compiled = CompiledNetwork(self.core(), self.inputs)
        return network

    def load_pretrained(self) -> None:
        """Load pretrained weights before a training begins. By default there are none.

        Raises:
            FetchError, OSError: when the weights cannot be fetched.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The weights that learn, as the optimizer's groups, each with its `share` of the learning rate."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad], "share": 1.0}]

    @classmethod
    @abstractmethod
    def describe(cls, params: Any) -> str:
        """Say what it is in a sentence or two, for the model card."""

    @classmethod
    def judged_by_inception(cls, params: Any) -> bool:
        """Whether FID and KID can judge it: not where it colours with the network that they look through."""
        return True

    @classmethod
    def assets(cls, params: Any) -> Iterator[Path]:
        """Fetch the pinned archives that `load_pretrained` reads. By default there are none."""
        return iter(())


class Learner(Protocol):
    """What an objective uses of a network that learns; `training.learner` implements it."""

    @property
    def network(self) -> nn.Module:
        """The network itself."""

    @property
    def parallel(self) -> nn.Module:
        """The network as all processes compute it: what is trained goes through here."""

    def update(self, loss: Tensor) -> Tensor:
        """Descend on a loss; gives the norm of the gradient, a scalar on the device."""


class Learners(Protocol):
    """All networks of a training, on this process's device."""

    @property
    def generator(self) -> Learner:
        """The network that colours."""

    @property
    def helpers(self) -> Mapping[str, Learner]:
        """Those of `Objective.helpers` that learn."""

    @property
    def frozen(self) -> Mapping[str, nn.Module]:
        """Those of `Objective.helpers` that do not learn."""

    @property
    def step(self) -> int:
        """The number of the batch at hand, from 1, counted over the whole training."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute convolutions in the training's precision."""


class Objective(ABC):
    """What a network learns.

    Attributes:
        figures: the columns that it adds to history.csv. "generator" is the loss that the generator descends on,
            "generator_gradient" the norm of its gradient and "clipped" the share of pixels that sRGB cannot show.
            A discriminator adds its loss as "discriminator", and may add its "discriminator_accuracy".
        chance: the loss of a discriminator that tells nothing apart.
    """

    figures: ClassVar[tuple[str, ...]]
    chance: ClassVar[float] = 0.0

    def __init__(self, params: Any) -> None:
        self.params = params

    def helpers(self) -> dict[str, nn.Module]:
        """Build the networks that the objective needs beside the generator; those without gradients are frozen."""
        return {}

    def optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """Options of the helpers' optimizers, by helper, where they differ from the generator's.

        `share` of train.learning_rate, and Adam's `betas`.
        """
        return {}

    @property
    def judged_from(self) -> int | None:
        """The first epoch in which a discriminator learns, from 1; None where there is no discriminator."""
        return None

    def prepare(self, ab_unit_truth: Iterable[Tensor]) -> None:  # noqa: B027  # few objectives need it
        """Read the true colours of all training photos once, ab_unit (B, 2, S, S) each. By default read none."""

    @abstractmethod
    def step(self, learners: Learners, condition: Condition, ab_unit_truth: Tensor, epoch: int) -> dict[str, Tensor]:
        """Update every learner once, on one batch.

        Args:
            learners: in training mode.
            condition: this process's part of the batch.
            ab_unit_truth: (B, 2, S, S).
            epoch: from 1.

        Returns:
            `figures`, each a detached scalar on the device: the host waits for none of them.
        """

    @classmethod
    @abstractmethod
    def describe(cls, params: Any) -> str:
        """Say what was learned, in sentences for the model card."""

    @classmethod
    def assets(cls, params: Any) -> Iterator[Path]:
        """Fetch the pinned archives that `helpers` reads. By default there are none."""
        return iter(())
