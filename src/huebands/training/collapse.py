"""Whether a discriminator has collapsed: its verdict no longer tells the generator which way to go.

It may be sure, when it tells real from made-up colours nearly always, or blind, when it tells nothing apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from huebands.models.interface import Objective

EPOCHS = 3  # in a row, up to the last one
SURE_LOSS = 0.05  # times the loss at chance
SURE_ACCURACY = 0.99
BLIND = 0.002  # largest distance of the loss from that at chance, relative


@dataclass(frozen=True)
class Collapse:
    """A collapse that lasts up to the last epoch of a history.

    Attributes:
        kind: what the discriminator is.
        epoch: its first epoch, from 1.
        last: the last epoch of the history.
        loss: of the discriminator, in the last epoch.
    """

    kind: Literal["sure", "blind"]
    epoch: int
    last: int
    loss: float

    def __str__(self) -> str:
        """In words that follow "The discriminator"."""
        sign = "told real from made-up colours nearly always" if self.kind == "sure" else "told nothing apart"
        return (
            f"collapsed: from epoch {self.epoch} to {self.last} it {sign} (its loss was {self.loss:.3g} at the end), so"
            " the adversarial term taught the generator little"
        )


def find_collapse(history: Sequence[Mapping[str, float]], objective: Objective) -> Collapse | None:
    """Find a collapse that has lasted for at least the last `EPOCHS` epochs.

    Args:
        history: one row an epoch, from the first epoch on, with "discriminator" and, where the objective measures it,
            "discriminator_accuracy": means over the epoch.
        objective: says from which epoch on a discriminator learns, and what its loss is at chance.
    """
    if objective.judged_from is None:
        return None
    kinds = [_kind(row, objective.chance) for row in history[objective.judged_from - 1 :]]
    length = 0
    while length < len(kinds) and kinds[-1] is not None and kinds[-1 - length] == kinds[-1]:
        length += 1
    if length < EPOCHS or (kind := kinds[-1]) is None:
        return None
    return Collapse(kind, len(history) - length + 1, len(history), history[-1]["discriminator"])


def _kind(row: Mapping[str, float], chance: float) -> Literal["sure", "blind"] | None:
    """What the discriminator was in an epoch; None where it had something to teach."""
    loss = row["discriminator"]
    if loss < SURE_LOSS * chance or row.get("discriminator_accuracy", 0.0) > SURE_ACCURACY:
        return "sure"
    return "blind" if abs(loss - chance) < BLIND * chance else None
