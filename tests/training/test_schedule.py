"""The learning rate: warm-up, plateau, decay."""

from dataclasses import replace
from pathlib import Path

import pytest

from huebands import params
from huebands.training.params import TrainParams
from huebands.training.schedule import learning_rate

RATE, STEPS = 2e-4, 5  # of the plateau; in an epoch
TRAIN = replace(
    params.load(Path(__file__).parents[2] / "params.yaml").train,
    epochs=10, learning_rate=RATE, warmup_epochs=2, decay=0.4,
)  # fmt: skip


def rates(settings: TrainParams) -> list[float]:
    return [learning_rate(settings, step, STEPS) for step in range(1, settings.epochs * STEPS + 1)]


def test_it_rises_linearly_from_its_first_share_to_the_rate() -> None:
    assert rates(TRAIN)[:10] == pytest.approx([RATE * step / 10 for step in range(1, 11)])


def test_it_holds_between_warm_up_and_decay() -> None:
    assert rates(TRAIN)[10:30] == [RATE] * 20


def test_it_falls_linearly_and_the_last_step_still_learns() -> None:
    assert rates(TRAIN)[30:] == pytest.approx([RATE * left / 20 for left in range(20, 0, -1)])


def test_without_warm_up_and_decay_it_is_constant() -> None:
    assert rates(replace(TRAIN, warmup_epochs=0, decay=0.0)) == [RATE] * 50


@pytest.mark.parametrize(("warmup", "decay"), [(0, 1.0), (10, 0.0), (10, 1.0), (7, 0.8), (1, 0.1)])
def test_it_is_always_positive_and_never_above_the_rate(warmup: int, decay: float) -> None:
    actual = rates(replace(TRAIN, warmup_epochs=warmup, decay=decay))
    assert all(0 < rate <= RATE for rate in actual)


@pytest.mark.parametrize(
    ("photos_seen", "photos", "epochs"), [(0, 94, 10), (1000, 94, 10), (900, 100, 9), (901, 100, 10), (250, 100, 3)]
)
def test_photos_seen_ends_the_training_in_the_epoch_that_reaches_it(photos_seen: int, photos: int, epochs: int) -> None:
    assert replace(TRAIN, photos_seen=photos_seen).limited(photos).epochs == epochs


def test_too_few_epochs_for_the_warm_up_are_named() -> None:
    with pytest.raises(params.ParamsError, match=r"warmup_epochs \(=2\) must be in \[0, epochs \(=1\)\]"):
        replace(TRAIN, photos_seen=50).limited(100)
