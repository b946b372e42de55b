"""Typed, checked parameters: all of params.yaml, every field with one line of meaning.

A section that a room reads is described in that room's params.py; those that stages alone read are described here. An
unknown key or a bad value raises `ParamsError`, which names the key, the value and what is allowed.
"""

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huebands.colorize.params import CalibrateParams
from huebands.data.params import DataParams, PrepareParams, ValidateParams
from huebands.density.params import DensityParams
from huebands.models.parameters import ParamsError as ParamsError
from huebands.models.parameters import build, check
from huebands.models.params import ModelParams
from huebands.promotion.params import PromoteParams
from huebands.training.params import TrainParams


@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """What the evaluation shows."""

    sheet_rows: int  # photos shown for each of best, median and worst
    seed: int  # of the bootstrap over photos

    def __post_init__(self) -> None:
        check(self.sheet_rows >= 1, "sheet_rows", self.sheet_rows, "be at least 1")
        check(self.seed >= 0, "seed", self.seed, "not be negative")


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """The registry."""

    model_name: str
    experiment: str


@dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    data: DataParams
    prepare: PrepareParams
    validate: ValidateParams
    model: ModelParams
    train: TrainParams
    density: DensityParams
    evaluate: EvaluateParams
    calibrate: CalibrateParams
    register: RegisterParams
    promote: PromoteParams = field(default_factory=PromoteParams)

    def __post_init__(self) -> None:
        least = self.model.objective.least_epochs
        must = f"be at least {least}, which model.objective (={self.model.objective.name}) needs"
        check(self.train.epochs >= least, "train.epochs", self.train.epochs, must)


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a parameter file: YAML, or JSON where the name ends so.

    Raises:
        ParamsError: on an unknown key, a missing key or a bad value, naming it; when the file is not of its format.
    """
    is_json, content = Path(path).suffix == ".json", Path(path).read_bytes()
    try:
        values = (json.loads if is_json else _parse_yaml)(content.decode())
    except ImportError as error:
        raise ParamsError(str(path), ": reading YAML needs PyYAML; give the same parameters as a .json file") from error
    except ValueError as error:
        problem = f": not {'JSON' if is_json else 'YAML'} ({' '.join(str(error).split())}); repair it at that place"
        raise ParamsError(str(path), problem) from error
    return from_mapping(values)


def from_mapping(values: Mapping[str, Any]) -> Params:
    """Build checked parameters from nested mappings, as YAML gives them."""
    if not isinstance(values, Mapping):
        raise ParamsError("params", f" (={values!r}) must be a mapping")
    return typing.cast(Params, build(Params, values))


def _parse_yaml(text: str) -> Any:
    """Parse YAML; ValueError says what is wrong, as that of `json.loads` does."""
    import yaml  # a machine that only trains may lack it, and reads JSON

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
