"""Training: the objective's terms, one step, the loop, and resuming."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from huebands.color import decode_lab, encode_lab, from_bytes, srgb_to_lab, to_units
from huebands.models.interface import Condition, Objective
from huebands.models.networks import unet
from huebands.models.objectives import cgan
from huebands.models.params import ModelParams, UpsamplingParams
from huebands.models.parts.losses import adversarial_loss, clipped_share, huber_loss, mean_chroma, perceptual_loss
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import Size, resize
from huebands.training.augment import Photos, Views, augment, draw_views, load_photos
from huebands.training.checkpoint import CheckpointError
from huebands.training.learner import Learners, set_up
from huebands.training.loop import NonFiniteLossError, Row, Trained, train
from huebands.training.params import TrainParams
from huebands.training.precision import Precision

PHOTOS = 6
OBJECTIVE = cgan.Params(
    name="cgan", pretrain_epochs=1, lambda_adversarial=1.0, lambda_huber=100.0, huber_delta=0.1, lambda_perceptual=0.0,
    lambda_chroma=1.0, chroma_epsilon=1e-4, vgg_weights="lpips",
    discriminator=cgan.DiscriminatorParams(filters=4, layers=1, norm="batch"),
)  # fmt: skip
MODEL = ModelParams(
    image_size=16, upsampling=UpsamplingParams(name="guided", radius=2, epsilon=2.0),
    network=unet.Params(name="unet", filters=4, depth=3, dropout=0.5, norm="batch"), objective=OBJECTIVE,
)  # fmt: skip
PARAMS = TrainParams(
    epochs=6, batch_size=4, flip=True, jitter=0.25, border_share=0.0, lightness_jitter=0.1, source_balance=0.0,
    learning_rate=2e-4, warmup_epochs=1,
    decay=0.33, beta1=0.5, gradient_clip=1.0, ema_decay=0.9, precision="float32", seed=0, checkpoint_every=2,
    picture_every=3,
)  # fmt: skip


def random_photos(size: int, seed: int = 0) -> Photos:
    random = torch.Generator().manual_seed(seed)
    lab = torch.rand(PHOTOS, 3, size, size, generator=random)
    lab = lab * torch.tensor([100.0, 80.0, 80.0])[:, None, None] - torch.tensor([0.0, 40.0, 40.0])[:, None, None]
    return Photos(encode_lab(lab).permute(0, 2, 3, 1).contiguous(), [f"photo-{index}" for index in range(PHOTOS)])


class Recorder:
    """An observer that remembers, and that can pull the plug."""

    def __init__(self, stop_in_epoch: int | None = None) -> None:
        self.stop_in_epoch = stop_in_epoch
        self.rows: list[Row] = []
        self.pictures: dict[int, np.ndarray] = {}
        self.warnings: list[str] = []

    def started(self, history: list[Row], precision: Precision) -> None:
        self.history = list(history)

    def step_done(self, epoch: int, photos: int) -> None:
        if epoch == self.stop_in_epoch:
            raise KeyboardInterrupt

    def rows_kept(self, rows: list[Row]) -> None:
        self.rows += rows

    def picture_made(self, epoch: int, grid: np.ndarray) -> None:
        self.pictures[epoch] = grid

    def noticed(self, warning: str) -> None:
        self.warnings.append(warning)


def run(
    params: TrainParams, folder: Path, observer: Recorder, data_sha256: str = "data", model: ModelParams = MODEL
) -> Trained:
    photos = random_photos(20), random_photos(16, seed=1)
    return train(model, params, *photos, folder / "last.pt", data_sha256, observer)


def figures(history: list[Row]) -> list[Row]:
    clock = ("seconds", "images_per_second")
    return [{name: value for name, value in row.items() if name not in clock} for row in history]


def lab_of(size: int, count: int = PHOTOS) -> Tensor:
    return random_photos(size).lab(slice(0, count))


def learning(image_size: int = 16, **changed: Any) -> ModelParams:
    """The model with other parameters of its objective."""
    return dataclasses.replace(MODEL, image_size=image_size, objective=dataclasses.replace(OBJECTIVE, **changed))


def build(model: ModelParams = MODEL, params: TrainParams = PARAMS) -> tuple[Objective, Learners]:
    torch.manual_seed(0)
    _, objective, learners = set_up(model, params)
    return objective, learners


def step(objective: Objective, learners: Learners, lab: Tensor, epoch: int = 2) -> dict[str, Tensor]:
    """One step; by default after the pretraining of one epoch."""
    L_unit, ab_unit = to_units(lab)
    return objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch)


def test_losses_equal_their_formulas() -> None:
    assert adversarial_loss(torch.zeros(2, 1, 3, 3), 1.0).item() == pytest.approx(np.log(2))
    logit, target = torch.tensor([1.5]), 0.9
    probability = torch.sigmoid(logit).item()
    expected = -(target * np.log(probability) + (1 - target) * np.log(1 - probability))
    assert adversarial_loss(logit, target).item() == pytest.approx(expected)
    error = torch.tensor([[0.05, 0.3]])
    assert huber_loss(error, torch.zeros(1, 2), 0.1).item() == pytest.approx((0.05**2 / 2 + 0.1 * (0.3 - 0.05)) / 2)
    ab_unit = torch.tensor([0.3, 0.4])[None, :, None, None]
    assert mean_chroma(ab_unit, 1e-8).item() == pytest.approx(0.5)
    features = [torch.ones(2, 2), torch.zeros(3)]
    assert perceptual_loss(features, [torch.zeros(2, 2), torch.full((3,), 0.25)]).item() == pytest.approx(1.25)
    rgb = torch.tensor([[0.5, 1.001, 1.01, 0.5], [0.5, 0.5, 0.5, -0.01], [0.0, 1.0, 0.5, 0.5]])[None, :, None]
    assert clipped_share(rgb).item() == 0.5, "half a level beyond the edge still rounds to a colour that can be shown"


def test_the_generator_descends_on_the_sum_of_the_weighted_terms() -> None:
    terms = step(*build(learning(32, lambda_perceptual=0.3)), lab_of(32, 2))
    expected = terms["adversarial"] + 100 * terms["huber"] + 0.3 * terms["perceptual"] - terms["chroma"]
    torch.testing.assert_close(terms["generator"], expected)
    assert all(terms[name] > 0 for name in ("discriminator", "adversarial", "huber", "perceptual", "chroma"))


def test_a_step_changes_both_networks_and_spares_the_other() -> None:
    objective, learners = build()
    before = {name: [p.clone() for p in learner.network.parameters()] for name, learner in learners.all.items()}
    assert set(before) == {"generator", "discriminator"}
    step(objective, learners, lab_of(16))
    for name, parameters in before.items():
        now = list(learners.all[name].network.parameters())
        moved = [not torch.equal(old, new) for old, new in zip(parameters, now, strict=True)]
        assert any(moved), name
        # Adam's first step is the learning rate; a second step would show.
        largest = max((old - new).abs().max().item() for old, new in zip(parameters, now, strict=True))
        assert largest <= PARAMS.learning_rate * 1.001, name


@pytest.mark.parametrize("term", ["adversarial", "huber", "perceptual", "chroma"])
def test_a_weight_of_zero_switches_the_term_off(term: str) -> None:
    objective, learners = build(learning(pretrain_epochs=0, **{f"lambda_{term}": 0.0}))
    terms = step(objective, learners, lab_of(16))
    assert terms[term] == 0
    if term == "perceptual":
        assert "vgg" not in learners.frozen
    if term == "adversarial":
        assert terms["discriminator"] == 0 and not learners.helpers["discriminator"].optimizer.state


def test_pretraining_is_hubers_loss_alone() -> None:
    objective, learners = build(learning(32, lambda_perceptual=0.3))
    terms = step(objective, learners, lab_of(32), epoch=1)
    assert [name for name, term in terms.items() if term == 0] == [
        "discriminator", "adversarial", "perceptual", "chroma", "discriminator_gradient",
    ]  # fmt: skip
    torch.testing.assert_close(terms["generator"], 100 * terms["huber"])
    assert not learners.helpers["discriminator"].optimizer.state


def test_fewer_epochs_than_the_objective_needs_are_named(tmp_path: Path) -> None:
    limited = dataclasses.replace(PARAMS, photos_seen=PHOTOS, warmup_epochs=0).limited(PHOTOS)
    message = (
        r"train\.epochs \(=1\), which train\.photos_seen \(=\d+\) allows, must be at least 3, which model\.objective"
    )
    with pytest.raises(ValueError, match=message):
        run(limited, tmp_path, Recorder(), model=learning(pretrain_epochs=3))


def test_gradients_are_clipped_to_the_norm_and_logged_as_they_were() -> None:
    norms: dict[float, list[float]] = {}
    for clip in (0.0, 0.5):
        objective, learners = build(params=dataclasses.replace(PARAMS, gradient_clip=clip))
        terms = step(objective, learners, lab_of(16))
        gradients = [p.grad for p in learners.generator.network.parameters() if p.grad is not None]
        norms[clip] = [terms["generator_gradient"].item(), torch.nn.utils.get_total_norm(gradients).item()]
    assert norms[0.0][0] == pytest.approx(norms[0.0][1]) and norms[0.0][0] > 1
    # clip / (norm + 1e-6), as torch clips.
    assert norms[0.5] == pytest.approx([norms[0.0][0], 0.5], rel=1e-4)


def test_the_discriminator_descends_on_half_the_sum_of_its_losses() -> None:
    objective, learners = build()
    last = learners.helpers["discriminator"].network[-1]  # type: ignore[index]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 2.0)
    # All logits are 2: the mean of -log p and -log (1 - p).
    certain, wrong = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert step(objective, learners, lab_of(16))["discriminator"].item() == pytest.approx((certain + wrong) / 2)


@pytest.mark.parametrize("poison", ["generator", "discriminator"])
def test_what_is_not_finite_reaches_no_weight(poison: str) -> None:
    objective, learners = build()
    poisoned = next(learners.all[poison].network.parameters())
    with torch.no_grad():
        poisoned[0] = float("nan")
    before = [p.clone() for learner in learners.all.values() for p in learner.network.parameters()]
    figures = step(objective, learners, lab_of(16, 2))
    assert not figures["discriminator"].isfinite()
    assert learners.generator.non_finite == 1
    with torch.no_grad():
        poisoned.nan_to_num_(0.0)
        for old in before:
            old.nan_to_num_(0.0)
    assert step(objective, learners, lab_of(16, 2))["generator"].isfinite()
    after = [p for learner in learners.all.values() for p in learner.network.parameters()]
    assert all(map(torch.equal, before, after)), "later steps are kept from the weights, too"


def test_a_run_that_diverges_keeps_its_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(photos: Photos, views: Views, size: int) -> Tensor:
        lab = augment(photos, views, size)
        lab[:, 0] += torch.where(views.rows == 3, float("inf"), 0.0)[:, None, None] if sabotaged else 0.0
        return lab

    class Saboteur(Recorder):
        def rows_kept(self, rows: list[Row]) -> None:
            super().rows_kept(rows)
            nonlocal sabotaged
            sabotaged = True

    sabotaged = False
    monkeypatch.setattr("huebands.training.loop.augment", poisoned)
    with pytest.raises(NonFiniteLossError, match=r"step [56]: .*generator.* not finite, on photos .*photo-3") as caught:
        run(PARAMS, tmp_path, Saboteur())
    assert "photo-3" in caught.value.ids and len(caught.value.ids) == PHOTOS / 2
    sabotaged, resumed = False, Recorder()
    assert len(run(PARAMS, tmp_path, resumed).history) == PARAMS.epochs
    assert len(resumed.history) == 2


@pytest.mark.parametrize("killed_in", [2, 3, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(killed_in: int, tmp_path: Path) -> None:
    uninterrupted = run(PARAMS, tmp_path / "whole", Recorder())
    first, second = Recorder(stop_in_epoch=killed_in), Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(PARAMS, tmp_path / "killed", first)
    resumed = run(PARAMS, tmp_path / "killed", second)
    assert figures(resumed.history) == figures(uninterrupted.history)
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in uninterrupted.state.items())
    epochs = [row["epoch"] for row in first.rows + second.rows]
    assert epochs == list(range(1, PARAMS.epochs + 1)), "each row is kept once"


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(PARAMS, tmp_path, Recorder(stop_in_epoch=3))
    others = [
        (dataclasses.replace(PARAMS, seed=1), "data", MODEL),
        (PARAMS, "other data", MODEL),
        (PARAMS, "data", learning(lambda_huber=50.0)),
    ]
    for other in others:
        with pytest.raises(CheckpointError, match=r"last\.pt belongs to a run with other parameters or data"):
            run(other[0], tmp_path, Recorder(), *other[1:])


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\3\4 cut off"])
def test_a_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt: is no checkpoint .*delete it to start anew"):
        run(PARAMS, tmp_path, Recorder())
    torch.save({"weights": torch.zeros(1)}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"is no checkpoint \('fingerprint'\)"):
        run(PARAMS, tmp_path, Recorder())


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
    photos.hundredths_NSS3[..., 1:] = torch.tensor([4000, -3000], dtype=torch.int16)
    model = learning(lambda_adversarial=0.0, lambda_chroma=0.0)
    params = dataclasses.replace(
        PARAMS, epochs=60, learning_rate=2e-3, jitter=0.0, lightness_jitter=0.0, gradient_clip=0.0
    )
    trained = train(model, params, photos, photos, tmp_path / "last.pt", "data", Recorder())
    assert trained.history[-1]["val_delta_e76"] < 10 < 40 < trained.history[0]["val_delta_e76"] + 1


def test_bfloat16_stays_near_float32() -> None:
    terms: dict[str, dict[str, Tensor]] = {}
    for precision in ("float32", "bfloat16"):
        params: TrainParams = dataclasses.replace(PARAMS, precision=precision)  # type: ignore[arg-type]
        terms[precision] = step(*build(params=params), lab_of(16))
    for name, term in terms["float32"].items():
        # bfloat16 keeps 8 bits: 0.4 percent a rounding, a few roundings deep.
        torch.testing.assert_close(terms["bfloat16"][name], term, rtol=0.05, atol=0.01, msg=name)


def test_the_average_of_the_weights_is_what_is_trained_for(tmp_path: Path) -> None:
    last = run(dataclasses.replace(PARAMS, ema_decay=0.0), tmp_path / "last", Recorder()).state
    average = run(PARAMS, tmp_path / "average", Recorder()).state
    assert not torch.equal(last["down.weight"], average["down.weight"])
    saved = torch.load(tmp_path / "average/last.pt", weights_only=True)
    assert torch.equal(saved["average"]["down.weight"], average["down.weight"])
    assert torch.equal(saved["generator"]["down.weight"], last["down.weight"]), "averaging does not change the training"


PLAIN = dataclasses.replace(PARAMS, lightness_jitter=0.0)


def test_an_epoch_looks_at_each_photo_once_cropped_inside() -> None:
    photos, seen = random_photos(20), []
    params = dataclasses.replace(PLAIN, flip=False)
    for views in draw_views(PHOTOS, 4, params, torch.Generator().manual_seed(0)).split(2):
        assert len(views) == 3
        seen += views.rows.tolist()
        for crop, row in zip(augment(photos, views, 16), views.rows, strict=True):
            windows = photos.lab()[row].unfold(1, 16, 1).unfold(2, 16, 1)
            same = torch.isclose(windows.permute(1, 2, 0, 3, 4), crop, atol=1e-4)  # a power of 1 may round
            assert same.all(dim=(2, 3, 4)).any()
    assert sorted(seen) == list(range(PHOTOS))


def test_views_mirror_and_vary_lightness_and_leave_colour() -> None:
    photos, one = random_photos(16), torch.ones(1)
    zero, off, none = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool), torch.zeros(1, 2)
    (truth,) = photos.lab(slice(0, 1))
    (plain,) = augment(photos, Views(zero, zero, zero, off, one, none, one), 16)
    torch.testing.assert_close(plain, truth)
    (mirrored,) = augment(photos, Views(zero, zero, zero, ~off, one, none, one), 16)
    torch.testing.assert_close(mirrored, truth.flip(-1))
    (varied,) = augment(photos, Views(zero, zero, zero, off, 1.5 * one, none, one), 16)
    torch.testing.assert_close(varied[0], 100 * (truth[0] / 100) ** 1.5)
    torch.testing.assert_close(varied[1:], truth[1:])
    assert augment(photos, Views(zero, zero, zero, off, one, none, one), 16).is_contiguous(
        memory_format=torch.channels_last
    )


def test_views_vary_as_far_as_told() -> None:
    params, spread = dataclasses.replace(PARAMS, lightness_jitter=0.25), 0.25
    views = draw_views(10_000, 4, params, torch.Generator().manual_seed(0))
    # 10,000 uniform draws come within 0.1% of the ends of their range but for e^-10.
    assert 1 / (1 + spread) <= views.gamma.min() < 1.01 / (1 + spread)
    assert 0.99 * (1 + spread) < views.gamma.max() <= 1 + spread + 1e-6
    # The mean of the logarithm is 0 within five standard errors.
    assert abs(views.gamma.log().mean()) < 5 * np.log1p(spread) / np.sqrt(3 * 10_000)
    assert set(views.top.tolist()) == set(views.left.tolist()) == {0, 1, 2, 3, 4}
    assert abs(views.mirrored.float().mean() - 0.5) < 5 * 0.5 / np.sqrt(10_000)


def test_borders_have_one_tone_and_no_colour_and_leave_the_rest() -> None:
    photos, one, side = random_photos(20), torch.ones(1), 20
    zero, off = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool)
    (truth,) = photos.lab(slice(0, 1))
    (seen,) = augment(photos, Views(zero, zero, zero, off, one, torch.tensor([[0.1, 0.15]]), 90 * one), side)
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[2:-2, 3:-3] = True
    torch.testing.assert_close(seen[:, inside], truth[:, inside])
    assert (seen[:, ~inside] == torch.tensor([90.0, 0.0, 0.0])[:, None]).all()


def test_so_many_views_have_borders_as_asked() -> None:
    params = dataclasses.replace(PARAMS, border_share=0.2)
    views = draw_views(10_000, 4, params, torch.Generator().manual_seed(0))
    bordered = views.border_B2.amin(dim=1) > 0
    assert abs(bordered.float().mean() - 0.2) < 5 * 0.4 / np.sqrt(10_000), "five standard errors"
    assert views.border_B2[bordered].min() >= 0.03 and views.border_B2.max() <= 0.15
    assert torch.equal(bordered, views.border_B2.amax(dim=1) > 0)
    without = draw_views(10_000, 4, PARAMS, torch.Generator().manual_seed(0))
    assert torch.equal(views.rows, without.rows) and torch.equal(views.gamma, without.gamma)


@pytest.mark.parametrize("balance, shares", [(0.5, (0.75, 0.25)), (1.0, (0.5, 0.5)), (0.0, (0.9, 0.1))])
def test_sources_are_balanced(balance: float, shares: tuple[float, float]) -> None:
    sources = ["many"] * 900 + ["few"] * 100
    params = dataclasses.replace(PARAMS, source_balance=balance)
    rows = draw_views(1000, 0, params, torch.Generator().manual_seed(0), sources).rows
    times = torch.bincount(rows, minlength=1000)
    assert len(rows) == 1000
    for part, share in ((slice(0, 900), shares[0]), (slice(900, 1000), shares[1])):
        expected = 1000 * share / (part.stop - part.start)
        assert abs(int(times[part].sum()) - 1000 * share) <= 1, "the total is right but for rounding"
        assert set(times[part].tolist()) <= {int(np.floor(expected)), int(np.ceil(expected))}


def test_sources_that_are_not_known_cannot_be_balanced() -> None:
    params = dataclasses.replace(PARAMS, source_balance=0.5)
    with pytest.raises(ValueError, match=r"train\.source_balance \(=0\.5\) needs the photos' sources; set it to 0"):
        draw_views(PHOTOS, 4, params, torch.Generator().manual_seed(0))


def test_views_depend_on_their_generator_alone() -> None:
    def order(seed: int, global_seed: int) -> list[Any]:
        torch.manual_seed(global_seed)
        views = draw_views(PHOTOS, 4, PARAMS, torch.Generator().manual_seed(seed))
        return [views.rows.tolist(), views.top.tolist(), views.gamma.tolist()]

    assert order(0, 1) == order(0, 2)
    assert order(0, 1) != order(1, 1)


@pytest.mark.parametrize("size", [16, 32])
def test_photos_are_loaded_with_the_lightness_that_a_colorizer_sees(size: int) -> None:
    rgb_N3HW = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8))
    hundredths = encode_lab(srgb_to_lab(from_bytes(rgb_N3HW)))
    photos = load_photos(hundredths.numpy(), ["a", "b"], size)
    assert photos.hundredths_NSS3.shape == (2, size, size, 3)
    seen = [GreyPhoto.of_rgb(rgb_3HW.permute(1, 2, 0).numpy()).lightness(Size(size, size))[0] for rgb_3HW in rgb_N3HW]
    # Hundredths are rounded.
    torch.testing.assert_close(photos.lab()[:, :1], torch.cat(seen), rtol=0, atol=0.0051)
    colours = resize(decode_lab(hundredths)[:, 1:], (size, size))
    torch.testing.assert_close(photos.lab()[:, 1:], colours, rtol=0, atol=0.0051)
    with pytest.raises(ValueError, match="2 photos with 1 ids"):
        load_photos(hundredths.numpy(), ["a"], 16)
