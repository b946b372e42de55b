"""The discriminator of the objective `dual_head`, which its preset leaves out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from composition import composed
from huebands import params
from huebands.color import encode_lab, srgb_to_lab, to_units
from huebands.models.interface import Condition, Objective
from huebands.models.parameters import ParamsError
from huebands.models.parts import adversarial
from huebands.models.parts.spectral_patchgan import SpectralPatchGAN, gradient_penalty
from huebands.training.augment import Photos
from huebands.training.learner import Learners, set_up
from huebands.training.loop import Row, train
from huebands.training.precision import Precision

SIDE, PHOTOS = 64, 4


def settings_with(discriminator: dict[str, Any] | None = None, **objective: Any) -> params.Params:
    """The family with a small network and other parameters of its objective."""
    values = composed("model=dual-head")
    values["model"]["network"] |= {"encoder": "resnet18", "pretrained": False, "filters": 8}
    values["model"]["image_size"] = SIDE
    values["model"]["objective"] |= {"lambda_adversarial": 1.0, "adversarial_from": 2, **objective}
    values["model"]["objective"]["discriminator"] |= discriminator or {}
    values["train"] |= {"precision": "float32", "epochs": 3, "warmup_epochs": 0, "batch_size": 2, "jitter": 0.0}
    return params.from_mapping(values)


def build(settings: params.Params) -> tuple[Objective, Learners]:
    torch.manual_seed(0)
    _, objective, learners = set_up(settings.model, settings.train)
    objective.prepare([photos()[1]])
    learners.train()
    return objective, learners


def photos() -> tuple[Tensor, Tensor]:
    return to_units(srgb_to_lab(torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))))


def step(objective: Objective, learners: Learners, epoch: int = 2) -> dict[str, Tensor]:
    L_unit, ab_unit = photos()
    return objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch)


def count_passes(network: nn.Module) -> list[int]:
    """Count, from now on, how many inputs the network's first layer has seen."""
    passes: list[int] = []
    next(iter(network.children())).register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    return passes


def test_from_its_epoch_on_the_discriminator_learns_and_joins_the_loss() -> None:
    objective, learners = build(settings_with({"r1": 1.0, "r1_every": 1}, lambda_features=1.0))
    discriminator = learners.helpers["discriminator"].network
    before = [parameter.clone() for parameter in discriminator.parameters()]
    early, judged = step(objective, learners, epoch=1), ("discriminator", "adversarial", "features", "r1")
    assert all(early[name] == 0 for name in judged)
    assert all(torch.equal(old, new) for old, new in zip(before, discriminator.parameters(), strict=True))
    late = step(objective, learners)
    assert all(torch.isfinite(figure) for figure in late.values())
    assert all(late[name] != 0 for name in judged) and 0 <= late["discriminator_accuracy"] <= 1
    assert any(not torch.equal(old, new) for old, new in zip(before, discriminator.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_the_generator_descends_on_the_sum_of_the_weighted_terms(loss: str) -> None:
    weights = {"lambda_huber": 3.0, "lambda_classes": 0.5, "lambda_adversarial": 0.2, "lambda_features": 7.0}
    figures = step(*build(settings_with({"loss": loss}, **weights)))
    expected = sum(weight * figures[name.removeprefix("lambda_")] for name, weight in weights.items())
    torch.testing.assert_close(figures["generator"], expected)


def test_without_a_weight_there_is_no_discriminator() -> None:
    objective, learners = build(settings_with(lambda_adversarial=0.0))
    assert learners.helpers == {} and objective.judged_from is None
    figures = step(objective, learners)
    assert all(figures[name] == 0 for name in ("adversarial", "discriminator", "features", "r1"))


@pytest.mark.parametrize(
    ("discriminator", "lambda_features", "passes"),
    [
        ({}, 0.0, [4, 2]),  # real and made-up together, then the generator's
        ({}, 1.0, [4, 2, 2]),  # and the truth's maps
        ({"loss": "relativistic"}, 0.0, [4, 2, 2]),
        ({"loss": "relativistic"}, 1.0, [4, 2, 2]),
        ({"r1": 1.0, "r1_every": 1}, 0.0, [4, 2, 2]),
        ({"r1": 1.0, "r1_every": 2}, 0.0, [4, 2]),  # not due in the first batch
    ],
)
def test_a_term_without_weight_costs_no_pass(
    discriminator: dict[str, Any], lambda_features: float, passes: list[int]
) -> None:
    objective, learners = build(settings_with(discriminator, lambda_features=lambda_features))
    counted = count_passes(learners.helpers["discriminator"].network)
    step(objective, learners)
    assert counted == passes


def test_r1_comes_at_its_interval_and_counts_as_often() -> None:
    objective, learners = build(settings_with({"r1": 1.0, "r1_every": 3}))
    penalties = []
    for learners.step in range(1, 7):
        penalties.append(step(objective, learners)["r1"].item())
    assert [penalty > 0 for penalty in penalties] == [False, False, True, False, False, True]
    firsts = []
    for every in (1, 3):
        objective, learners = build(settings_with({"r1": 1.0, "r1_every": every}))
        learners.step = every
        firsts.append(step(objective, learners)["r1"].item())
    assert firsts[1] == pytest.approx(3 * firsts[0])


def test_r1_holds_the_discriminators_gradient_down() -> None:
    penalties = {}
    for weight in (0.0, 10.0):
        objective, learners = build(settings_with({"r1": weight, "r1_every": 1, "rate": 5.0}))
        for _ in range(12):
            step(objective, learners)
        L_unit, ab_unit = photos()
        lab_unit = nn.functional.interpolate(torch.cat((L_unit, ab_unit), dim=1), (16, 16), mode="area")
        penalties[weight] = gradient_penalty(learners.helpers["discriminator"].network, lab_unit).item()
    assert penalties[10.0] < 0.5 * penalties[0.0], penalties


def test_the_discriminator_has_a_rate_and_a_memory_of_its_own() -> None:
    _, learners = build(settings_with({"rate": 0.25, "beta1": 0.1}))
    learners.set_learning_rate(0.004)
    (group,) = learners.helpers["discriminator"].optimizer.param_groups
    assert (group["lr"], group["betas"][0]) == (0.001, 0.1)
    assert learners.generator.optimizer.param_groups[0]["betas"][0] != 0.1


def test_weights_of_the_generator_alone_decay() -> None:
    plain, ends = settings_with(), list[dict[str, Tensor]]()
    for weight_decay in (0.0, 0.5):
        objective, learners = build(replace(plain, train=replace(plain.train, weight_decay=weight_decay)))
        learners.set_learning_rate(0.01)
        start = weights(learners.generator.network.colour)
        step(objective, learners)
        discriminator = learners.helpers["discriminator"].network
        ends.append({"colour": weights(learners.generator.network.colour), "discriminator": weights(discriminator)})
    torch.testing.assert_close(ends[0]["colour"] - ends[1]["colour"], 0.01 * 0.5 * start, rtol=1e-3, atol=1e-6)
    assert torch.equal(ends[0]["discriminator"], ends[1]["discriminator"])


def weights(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_losses_equal_their_formulas() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert adversarial.discriminator_loss("hinge", real, fake).item() == pytest.approx(0.5 / 2 + 2 / 2)
    assert adversarial.generator_loss("hinge", None, fake).item() == pytest.approx(1.0)
    assert adversarial.accuracy("hinge", real, fake).item() == 0.75
    # Means are 1.25 and -1: margins of the real are 3 and 1.5, of the made-up -4.25 and -0.25.
    assert adversarial.discriminator_loss("relativistic", real, fake).item() == pytest.approx(0.75 / 2)
    expected = (1 + 3 + 1 + 1.5) / 2 + (1 + 4.25 + 1 + 0.25) / 2
    assert adversarial.generator_loss("relativistic", real, fake).item() == pytest.approx(expected)
    assert adversarial.accuracy("relativistic", real, fake).item() == 1.0
    for kind in ("hinge", "relativistic"):
        equal = torch.zeros(3)
        assert adversarial.discriminator_loss(kind, equal, equal) == adversarial.CHANCE
    maps = [torch.ones(2, 2), torch.zeros(3)]
    assert adversarial.feature_loss(maps, [torch.zeros(2, 2), torch.full((3,), 0.5)]).item() == pytest.approx(0.75)
    with pytest.raises(ValueError, match=r"real \(=None\) must be logits"):
        adversarial.generator_loss("relativistic", None, fake)


def test_the_maps_are_those_that_the_logits_come_from() -> None:
    torch.manual_seed(0)
    network, photo = SpectralPatchGAN(8, 2).eval(), torch.rand(1, 3, 32, 32)
    logits, maps = network.judge(photo)
    assert torch.equal(logits, network(photo)) and torch.equal(network[-1](maps[-1]), logits)
    assert [tuple(map_.shape[1:]) for map_ in maps] == [(8, 16, 16), (16, 8, 8), (32, 7, 7)]


@pytest.mark.parametrize(
    ("discriminator", "objective", "problem"),
    [
        ({"loss": "wasserstein"}, {}, r"discriminator\.loss \(='wasserstein'\) must be one of 'hinge', 'relativistic'"),
        ({"rate": 0.0}, {}, r"discriminator\.rate \(=0\.0\) must be positive"),
        ({"r1": -1.0}, {}, r"discriminator\.r1 \(=-1\.0\) must not be negative"),
        ({"r1_every": 0}, {}, r"discriminator\.r1_every \(=0\) must be at least 1"),
        ({"beta1": 1.0}, {}, r"discriminator\.beta1 \(=1\.0\) must be in \[0, 1\)"),
        (
            {},
            {"lambda_adversarial": 0.0, "lambda_features": 1.0},
            r"model\.objective\.lambda_features \(=1\.0\) must be 0 without a discriminator \(lambda_adversarial = 0\)",
        ),
    ],
)
def test_bad_parameters_are_named(discriminator: dict[str, Any], objective: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParamsError, match=problem):
        settings_with(discriminator, **objective)


class Killer:
    """Pulls the plug in an epoch."""

    def __init__(self, epoch: int | None = None) -> None:
        self.epoch = epoch

    def started(self, history: list[Row], precision: Precision) -> None: ...

    def step_done(self, epoch: int, photos: int) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt

    def rows_kept(self, rows: list[Row]) -> None: ...

    def picture_made(self, epoch: int, grid: np.ndarray) -> None: ...

    def noticed(self, warning: str) -> None: ...


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    """R1 is due in every third batch of all, wherever an epoch begins."""
    settings = settings_with({"r1": 1.0, "r1_every": 3, "loss": "relativistic"}, lambda_features=1.0)
    training = replace(settings.train, checkpoint_every=1)
    random = torch.Generator().manual_seed(0)
    lab = srgb_to_lab(torch.rand(PHOTOS, 3, SIDE, SIDE, generator=random)).permute(0, 2, 3, 1)
    split = Photos(encode_lab(lab).contiguous(), [str(row) for row in range(PHOTOS)])

    def run(folder: str, observer: Killer) -> tuple[dict[str, Tensor], list[Row]]:
        trained = train(settings.model, training, split, split, tmp_path / folder / "last.pt", "data", observer)
        clock = ("seconds", "images_per_second")
        rows = [{name: value for name, value in row.items() if name not in clock} for row in trained.history]
        return trained.state, rows

    state, rows = run("whole", Killer())
    assert [row["r1"] > 0 for row in rows] == [False, True, True]
    with pytest.raises(KeyboardInterrupt):
        run("killed", Killer(3))
    resumed_state, resumed_rows = run("killed", Killer())
    assert resumed_rows == rows
    assert all(torch.equal(tensor, resumed_state[name]) for name, tensor in state.items())
