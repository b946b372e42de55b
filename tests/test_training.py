"""Training: the objective's terms, one step, the loop, and resuming."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from huebands.params import DiscriminatorParams, GeneratorParams, LossParams, TrainParams, UpsamplingParams
from huebands.training.checkpoint import CheckpointError
from huebands.training.data import Photos, batches, load_photos
from huebands.training.loop import Row, Trained, build_networks, build_optimizers, train
from huebands.training.losses import adversarial_loss, huber_loss, mean_chroma, perceptual_loss
from huebands.training.step import NonFiniteLossError, training_step

PHOTOS = 6
LOSS = LossParams(
    lambda_adversarial=1.0, lambda_huber=100.0, huber_delta=0.1, lambda_perceptual=0.0, lambda_chroma=1.0,
    chroma_epsilon=1e-4,
)  # fmt: skip
PARAMS = TrainParams(
    epochs=6, batch_size=4, image_size=16, flip=True, jitter=0.25, learning_rate=2e-4, beta1=0.5, precision="float32",
    seed=0, checkpoint_every=2, picture_every=3, vgg_weights="lpips",
    upsampling=UpsamplingParams(name="guided", radius=2, epsilon=2.0),
    generator=GeneratorParams(filters=4, depth=3, dropout=0.5),
    discriminator=DiscriminatorParams(filters=4, layers=1), loss=LOSS,
)  # fmt: skip


def random_photos(size: int, seed: int = 0) -> Photos:
    random = torch.Generator().manual_seed(seed)
    lab = torch.rand(PHOTOS, 3, size, size, generator=random)
    lab = lab * torch.tensor([100.0, 80.0, 80.0])[:, None, None] - torch.tensor([0.0, 40.0, 40.0])[:, None, None]
    return Photos(lab, [f"photo-{index}" for index in range(PHOTOS)])


class Recorder:
    """An observer that remembers, and that can pull the plug."""

    def __init__(self, stop_in_epoch: int | None = None) -> None:
        self.stop_in_epoch = stop_in_epoch
        self.rows: list[Row] = []
        self.pictures: dict[int, np.ndarray] = {}

    def started(self, history: list[Row]) -> None:
        self.history = list(history)

    def step_done(self, epoch: int, photos: int) -> None:
        if epoch == self.stop_in_epoch:
            raise KeyboardInterrupt

    def rows_kept(self, rows: list[Row]) -> None:
        self.rows += rows

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        self.pictures[epoch] = grid


def run(params: TrainParams, folder: Path, observer: Recorder, data_sha256: str = "data") -> Trained:
    return train(params, random_photos(20), random_photos(16, seed=1), folder / "last.pt", data_sha256, observer)


def figures(history: list[Row]) -> list[Row]:
    clock = ("seconds", "images_per_second")
    return [{name: value for name, value in row.items() if name not in clock} for row in history]


def test_losses_equal_their_formulas() -> None:
    assert adversarial_loss(torch.zeros(2, 1, 3, 3), real=True).item() == pytest.approx(np.log(2))
    error = torch.tensor([[0.05, 0.3]])
    assert huber_loss(error, torch.zeros(1, 2), 0.1).item() == pytest.approx((0.05**2 / 2 + 0.1 * (0.3 - 0.05)) / 2)
    ab_unit = torch.tensor([0.3, 0.4])[None, :, None, None]
    assert mean_chroma(ab_unit, 1e-8).item() == pytest.approx(0.5)
    features = [torch.ones(2, 2), torch.zeros(3)]
    assert perceptual_loss(features, [torch.zeros(2, 2), torch.full((3,), 0.25)]).item() == pytest.approx(1.25)


def test_the_generator_descends_on_the_sum_of_the_weighted_terms() -> None:
    torch.manual_seed(0)
    params = dataclasses.replace(PARAMS, image_size=32, loss=dataclasses.replace(LOSS, lambda_perceptual=0.3))
    networks = build_networks(params)
    lab = random_photos(32).lab_N3HW[:2]
    terms = training_step(networks, build_optimizers(params, networks), lab, ["a", "b"], params, step=1)
    expected = terms["adversarial"] + 100 * terms["huber"] + 0.3 * terms["perceptual"] - terms["chroma"]
    torch.testing.assert_close(terms["generator"], expected)
    assert all(terms[name] > 0 for name in ("discriminator", "adversarial", "huber", "perceptual", "chroma"))


def test_a_step_changes_both_players_and_spares_the_other() -> None:
    torch.manual_seed(0)
    networks = build_networks(PARAMS)
    before = {n: [p.clone() for p in getattr(networks, n).parameters()] for n in ("generator", "discriminator")}
    optimizers = build_optimizers(PARAMS, networks)
    training_step(networks, optimizers, random_photos(16).lab_N3HW, list("abcdef"), PARAMS, step=1)
    for name, parameters in before.items():
        now = list(getattr(networks, name).parameters())
        moved = [not torch.equal(old, new) for old, new in zip(parameters, now, strict=True)]
        assert any(moved), name
        # Adam's first step is the learning rate; a second step would show.
        largest = max((old - new).abs().max().item() for old, new in zip(parameters, now, strict=True))
        assert largest <= PARAMS.learning_rate * 1.001, name


@pytest.mark.parametrize("term", ["adversarial", "huber", "perceptual", "chroma"])
def test_a_weight_of_zero_switches_the_term_off(term: str) -> None:
    torch.manual_seed(0)
    params = dataclasses.replace(PARAMS, loss=dataclasses.replace(LOSS, **{f"lambda_{term}": 0.0}))
    networks = build_networks(params)
    optimizers = build_optimizers(params, networks)
    terms = training_step(networks, optimizers, random_photos(16).lab_N3HW, list("abcdef"), params, step=1)
    assert terms[term] == 0
    if term == "perceptual":
        assert networks.vgg is None
    if term == "adversarial":
        assert terms["discriminator"] == 0 and not optimizers.discriminator.state


@pytest.mark.parametrize(("poison", "term"), [("generator", "huber"), ("discriminator", "discriminator")])
def test_a_loss_that_is_not_finite_stops_before_the_update(poison: str, term: str) -> None:
    torch.manual_seed(0)
    networks = build_networks(PARAMS)
    with torch.no_grad():
        next(getattr(networks, poison).parameters()).fill_(float("nan"))
    other = networks.discriminator if poison == "generator" else networks.generator
    before = [parameter.clone() for parameter in other.parameters()]
    params = PARAMS
    if poison == "generator":
        params = dataclasses.replace(PARAMS, loss=dataclasses.replace(LOSS, lambda_adversarial=0.0))
    with pytest.raises(NonFiniteLossError, match=rf"step 7: .*{term}.* not finite, on photos a, b") as caught:
        training_step(
            networks,
            build_optimizers(params, networks),
            random_photos(16).lab_N3HW[:2],
            ["a", "b"],
            params,
            7,
        )
    assert (caught.value.step, caught.value.ids) == (7, ("a", "b"))
    assert all(torch.equal(old, new) for old, new in zip(before, other.parameters(), strict=True))


def test_a_run_that_diverges_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    class Saboteur(Recorder):
        def rows_kept(self, rows: list[Row]) -> None:
            super().rows_kept(rows)
            photos.lab_N3HW[:] = float("inf")

    photos = random_photos(20)
    with pytest.raises(NonFiniteLossError, match="step 5"):
        train(PARAMS, photos, random_photos(16), tmp_path / "last.pt", "data", Saboteur())
    resumed = Recorder()
    assert len(run(PARAMS, tmp_path, resumed).history) == PARAMS.epochs
    assert len(resumed.history) == 2


@pytest.mark.parametrize("killed_in", [2, 3, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(killed_in: int, tmp_path: Path) -> None:
    whole = run(PARAMS, tmp_path / "whole", Recorder())
    first, second = Recorder(stop_in_epoch=killed_in), Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(PARAMS, tmp_path / "killed", first)
    resumed = run(PARAMS, tmp_path / "killed", second)
    assert figures(resumed.history) == figures(whole.history)
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in whole.state.items())
    kept = [row["epoch"] for row in first.rows + second.rows]
    assert kept == list(range(1, PARAMS.epochs + 1)), "each row is kept once"


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(PARAMS, tmp_path, Recorder(stop_in_epoch=3))
    for params, data in ((dataclasses.replace(PARAMS, seed=1), "data"), (PARAMS, "other data")):
        with pytest.raises(CheckpointError, match=r"last\.pt belongs to a run with other parameters or data"):
            run(params, tmp_path, Recorder(), data)


def test_history_has_every_term_and_pictures_come_in_time(tmp_path: Path) -> None:
    observer = Recorder()
    trained = run(PARAMS, tmp_path, observer)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4, 5, 6]
    expected = {"generator", "discriminator", "adversarial", "huber", "perceptual", "chroma", "val_delta_e76"}
    assert expected <= set(trained.history[0])
    assert sorted(observer.pictures) == [1, 3, 6]
    assert observer.pictures[1].shape == (3 * 16, PHOTOS * 16, 3)


def test_training_learns_to_colour_what_it_has_seen(tmp_path: Path) -> None:
    photos = random_photos(16)
    photos.lab_N3HW[:, 1:] = torch.tensor([40.0, -30.0])[:, None, None]
    loss = dataclasses.replace(LOSS, lambda_adversarial=0.0, lambda_chroma=0.0)
    params = dataclasses.replace(PARAMS, epochs=60, learning_rate=2e-3, loss=loss, jitter=0.0)
    trained = train(params, photos, photos, tmp_path / "last.pt", "data", Recorder())
    assert trained.history[-1]["val_delta_e76"] < 10 < 40 < trained.history[0]["val_delta_e76"] + 1


def test_bfloat16_stays_near_float32() -> None:
    terms: dict[str, dict[str, Tensor]] = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        params: TrainParams = dataclasses.replace(PARAMS, precision=precision)  # type: ignore[arg-type]
        networks = build_networks(params)
        lab = random_photos(16).lab_N3HW
        terms[precision] = training_step(networks, build_optimizers(params, networks), lab, list("abcdef"), params, 1)
    for name, term in terms["float32"].items():
        # bfloat16 keeps 8 bits: 0.4 percent a rounding, a few roundings deep.
        torch.testing.assert_close(terms["bfloat16"][name], term, rtol=0.05, atol=0.01, msg=name)


def test_batches_hold_each_photo_once_cropped_inside() -> None:
    photos = random_photos(20)
    seen: list[str] = []
    for lab, ids in batches(photos, 4, 16, flip=False, random=torch.Generator().manual_seed(0)):
        seen += ids
        for crop, name in zip(lab, ids, strict=True):
            windows = photos.lab_N3HW[photos.ids.index(name)].unfold(1, 16, 1).unfold(2, 16, 1)
            assert (windows.permute(1, 2, 0, 3, 4) == crop).all(dim=(2, 3, 4)).any()
    assert sorted(seen) == sorted(photos.ids)


def test_batches_depend_on_their_generator_alone() -> None:
    def order(seed: int, global_seed: int) -> list[Any]:
        torch.manual_seed(global_seed)
        random = torch.Generator().manual_seed(seed)
        return [(ids, lab.sum().item()) for lab, ids in batches(random_photos(20), 4, 16, flip=True, random=random)]

    assert order(0, 1) == order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_photos_are_scaled_from_the_prepared_format() -> None:
    hundredths = np.full((2, 3, 32, 32), 1234, dtype=np.int16)
    photos = load_photos(hundredths, ["a", "b"], 16)
    assert photos.lab_N3HW.shape == (2, 3, 16, 16)
    torch.testing.assert_close(photos.lab_N3HW, torch.full((2, 3, 16, 16), 12.34))
    with pytest.raises(ValueError, match="2 photos with 1 ids"):
        load_photos(hundredths, ["a"], 16)
