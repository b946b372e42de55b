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
    text = Path(path).read_text(encoding="utf-8")
    try:
        if Path(path).suffix == ".json":
            return from_mapping(json.loads(text))
        import yaml  # a machine that only trains may lack it, and reads JSON

        return from_mapping(yaml.safe_load(text))
    except json.JSONDecodeError as error:
        raise ParamsError(str(path), f": not JSON ({error})") from error
    except ImportError as error:
        raise ParamsError(str(path), ": reading YAML needs PyYAML; give the same parameters as a .json file") from error


def from_mapping(values: Mapping[str, Any]) -> Params:
    """Build checked parameters from nested mappings, as YAML gives them."""
    if not isinstance(values, Mapping):
        raise ParamsError("params", f" (={values!r}) must be a mapping")
    return typing.cast(Params, build(Params, values))
