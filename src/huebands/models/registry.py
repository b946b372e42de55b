"""Networks and objectives, found by the names of their files."""

import importlib
import pkgutil
from types import ModuleType
from typing import Annotated, cast

from huebands.models import networks, objectives
from huebands.models.interface import Network, NetworkParams, Objective, ObjectiveParams
from huebands.models.parameters import Choice


def network_names() -> tuple[str, ...]:
    """The names of all networks."""
    return _names(networks)


def objective_names() -> tuple[str, ...]:
    """The names of all objectives."""
    return _names(objectives)


def network_params(name: str) -> type[NetworkParams]:
    """The dataclass of a network's parameters."""
    return cast(type[NetworkParams], _module(networks, name).Params)


def objective_params(name: str) -> type[ObjectiveParams]:
    """The dataclass of an objective's parameters."""
    return cast(type[ObjectiveParams], _module(objectives, name).Params)


def network_class(name: str) -> type[Network]:
    """The class of a network."""
    return cast(type[Network], _module(networks, name).Network)


def objective_class(name: str) -> type[Objective]:
    """The class of an objective."""
    return cast(type[Objective], _module(objectives, name).Objective)


# Types of a section that names a network or an objective, for `parameters.build`.
ChosenNetwork = Annotated[NetworkParams, Choice(network_names, network_params)]
ChosenObjective = Annotated[ObjectiveParams, Choice(objective_names, objective_params)]


def build_network(params: NetworkParams, image_size: int) -> Network:
    """Build a network for squares of `image_size` pixels, with weights drawn from torch's global generator."""
    return network_class(params.name)(params, image_size)


def build_objective(params: ObjectiveParams) -> Objective:
    """Build an objective."""
    return objective_class(params.name)(params)


def _names(package: ModuleType) -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def _module(package: ModuleType, name: str) -> ModuleType:
    return importlib.import_module(f"{package.__name__}.{name}")
