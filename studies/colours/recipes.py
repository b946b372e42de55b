"""The parameters of the study's trainings."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training."""

    name: str
    parts: tuple[int, ...] = (0,)  # of the packed train photos; the training waits for them
    val: str = "val"  # the packed val photos
    photos: int = 0  # how many of them, from the first; 0 for all
    shares: dict[str, float] = field(default_factory=dict)  # how often a source's photos are drawn; 1 where not given
    encoder: str = "efficientnet-lite0"
    learns: str = "all"  # of the encoder: none, last (the blocks at its coarsest stride) or all
    encoder_rate: float = 0.2  # share of the rate
    filters: int = 64
    stride: int = 4
    size: int = 128
    batch: int = 256
    steps: int = 500
    seconds: float = 1e9  # the training ends by then, its rate cooled down all the same
    rate: float = 2e-3
    warm_up: float = 0.05  # share of the training
    decay: float = 0.02  # of weights
    dropout: float = 0.1
    huber: float = 10.0  # weight of Huber's loss, divided by delta: about that of the absolute error
    delta: float = 0.1  # ab_unit
    classes: float = 1.0  # weight of the bins' cross-entropy
    uniform: float = 0.5  # as in the classification objective: 1 for no rebalancing
    rebalanced_huber: bool = False
    adversarial: float = 0.0
    adversarial_from: float = 0.2  # share of the training
    discriminator_rate: float = 4e-4
    r1: float = 0.0
    ema: float = 0.995
    crop: float = 0.25
    border: float = 0.0
    tone: float = 0.15
    compiled: bool = False
    keep: bool = False  # the weights
    seed: int = 0


def read(path: Path) -> list[Recipe]:
    """Read a file of recipes: `base`, and in `runs` what differs from it."""
    values = json.loads(path.read_text())
    return [Recipe(**{**values.get("base", {}), **run}) for run in values["runs"]]
