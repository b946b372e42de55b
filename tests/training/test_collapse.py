"""A discriminator that has collapsed is noticed, told once, and written into what the training leaves."""

import csv
import math
from pathlib import Path

import pytest
from test_training import OBJECTIVE, PARAMS, Recorder, learning, run

from huebands.models.objectives import cgan, dual_head
from huebands.models.registry import build_objective
from huebands.training.collapse import EPOCHS, find_collapse
from huebands.training.loop import Trained
from huebands.training.report import with_outcome

ROOT = Path(__file__).parents[2]
CGAN = cgan.Objective(OBJECTIVE)  # the first epoch is its pretraining
HINGE = build_objective(
    dual_head.Params(
        name="dual_head", lambda_huber=100.0, huber_delta=0.1, lambda_classes=1.0, lambda_uniform=0.5,
        lambda_adversarial=0.1, adversarial_from=2, lambda_features=0.0,
        discriminator=dual_head.DiscriminatorParams(loss="hinge", rate=1.0, beta1=0.5, r1=0.0, r1_every=16),
    )
)  # fmt: skip
CHANCE = math.log(2)


def rows(*losses: float) -> list[dict[str, float]]:
    """A history after one epoch without a discriminator, whose loss is then 0."""
    return [{"discriminator": loss} for loss in (0.0, *losses)]


def committed(report: str) -> list[dict[str, float]]:
    """The losses of a committed training."""
    with (ROOT / report / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{"discriminator": float(row["discriminator"])} for row in csv.DictReader(file)]


@pytest.mark.parametrize("losses", [(0.5, 0.6, 0.65), (0.01, 0.01), (0.01, 0.01, 0.01, 0.3), (CHANCE, CHANCE), ()])
def test_a_discriminator_that_teaches_has_not_collapsed(losses: tuple[float, ...]) -> None:
    assert find_collapse(rows(*losses), CGAN) is None


def test_epochs_without_a_discriminator_do_not_count() -> None:
    assert EPOCHS == 3
    assert find_collapse(rows(0.0, 0.0), CGAN) is None
    never = cgan.Objective(learning(lambda_adversarial=0.0).objective)
    assert find_collapse(rows(0.0, 0.0, 0.0, 0.0), never) is None


@pytest.mark.parametrize(("objective", "scale"), [(CGAN, CHANCE), (HINGE, 2.0)])
def test_a_sure_and_a_blind_discriminator_are_found_from_their_first_epoch_on(
    objective: cgan.Objective | dual_head.Objective, scale: float
) -> None:
    sure = find_collapse(rows(0.9 * scale, 0.04 * scale, 0.02 * scale, 0.0), objective)
    assert sure is not None and (sure.kind, sure.epoch, sure.last) == ("sure", 3, 5)
    assert str(sure).startswith("collapsed: from epoch 3 to 5 it told real from made-up colours nearly always")
    blind = find_collapse(rows(0.9 * scale, 1.0001 * scale, scale, 0.9999 * scale), objective)
    assert blind is not None and (blind.kind, blind.epoch) == ("blind", 3)


def test_a_discriminator_that_is_always_right_is_sure_whatever_its_loss() -> None:
    history = [{"discriminator": 0.9, "discriminator_accuracy": accuracy} for accuracy in (0.5, 0.995, 0.999, 1.0)]
    collapse = find_collapse(history, HINGE)
    assert collapse is not None and (collapse.kind, collapse.epoch) == ("sure", 2)


def test_the_committed_trainings_are_judged_as_their_curves_look() -> None:
    """The default's discriminator kept its loss between 0.51 and 0.76; that of `photos` fell to 0.003."""
    assert find_collapse(committed("reports/train"), cgan.Objective(learning(pretrain_epochs=0).objective)) is None
    collapse = find_collapse(
        committed("reports/release/photos"), cgan.Objective(learning(pretrain_epochs=30).objective)
    )
    assert collapse is not None and (collapse.kind, collapse.epoch, collapse.last) == ("sure", 72, 90)


def test_a_collapse_is_told_once_and_kept_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huebands.training.collapse.SURE_LOSS", 100.0)  # every loss is sure then
    first = Recorder(stop_in_epoch=5)
    with pytest.raises(KeyboardInterrupt):
        run(PARAMS, tmp_path, first)
    assert len(first.warnings) == 1 and first.warnings[0].startswith("the discriminator collapsed: from epoch 2 to 4")
    resumed = Recorder()
    trained = run(PARAMS, tmp_path, resumed)
    assert resumed.warnings == [], "the first run has told it"
    assert trained.collapse.startswith("collapsed: from epoch 2 to 6 ")
    lineage = with_outcome({"lineage": {"data": "toys"}}, trained)["lineage"]
    assert lineage == {"data": "toys", "precision": "float32", "collapse": trained.collapse}


def test_a_training_without_collapse_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huebands.training.collapse.BLIND", 0.0)  # in so few steps a discriminator learns little
    recorder = Recorder()
    trained = run(PARAMS, tmp_path, recorder)
    assert (recorder.warnings, trained.collapse) == ([], "")
    assert "collapse" not in with_outcome({"lineage": {}}, Trained({}, [], "float32"))["lineage"]
