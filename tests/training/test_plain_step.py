"""The training step against the plain loop of benchmarks/: the same function, computed without waiting for the host."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from huebands.color import encode_lab, to_units
from huebands.models.interface import Condition, Objective
from huebands.models.networks import unet
from huebands.models.objectives import cgan
from huebands.models.params import ModelParams, UpsamplingParams
from huebands.training.augment import Photos, augment, draw_views
from huebands.training.ema import ExponentialMovingAverage
from huebands.training.learner import Learners, set_up
from huebands.training.params import TrainParams
from huebands.training.schedule import learning_rate
from plain_pix2pix import TERMS, PlainPix2Pix

STEPS, SIZE, PHOTOS = 3, 32, 6
MODEL = ModelParams(
    image_size=SIZE,
    upsampling=UpsamplingParams(name="guided", radius=2, epsilon=2.0),
    network=unet.Params(name="unet", filters=8, depth=3, dropout=0.0, norm="batch"),
    objective=cgan.Params(
        name="cgan", pretrain_epochs=0, lambda_adversarial=1.0, lambda_huber=100.0, huber_delta=0.1,
        lambda_perceptual=0.3, lambda_chroma=1.0, chroma_epsilon=1e-4, vgg_weights="lpips",
        discriminator=cgan.DiscriminatorParams(filters=8, layers=2, norm="batch"),
    ),
)  # fmt: skip
PARAMS = TrainParams(
    epochs=1, batch_size=4, flip=True, jitter=0.0, border_share=0.0, lightness_jitter=0.0, source_balance=0.0,
    learning_rate=2e-4, warmup_epochs=0,
    decay=0.0, beta1=0.5, gradient_clip=1.0, ema_decay=0.0, precision="float32", seed=0, checkpoint_every=1,
    picture_every=1,
)  # fmt: skip
# What a host waits for: values of the device, shapes that depend on them, and checks of a result.
READING = {"_linalg_check_errors", "_local_scalar_dense", "equal", "is_nonzero", "item", "masked_select", "nonzero"}
# A tensor made of Python's numbers goes to the device from memory that is not pinned, and the host waits again.
SENDING = {"lift_fresh"}


def build(params: TrainParams) -> tuple[Objective, Learners]:
    torch.manual_seed(params.seed)
    _, objective, learners = set_up(MODEL, params)
    learners.train()
    return objective, learners


def train_on(objective: Objective, learners: Learners, lab: Tensor) -> dict[str, Tensor]:
    L_unit, ab_unit = to_units(lab)
    return objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=1)


def random_photos(seed: int = 0) -> Photos:
    random = torch.Generator().manual_seed(seed)
    lab = torch.rand(PHOTOS, SIZE, SIZE, 3, generator=random)
    lab = lab * torch.tensor([100.0, 80.0, 80.0]) - torch.tensor([0.0, 40.0, 40.0])
    return Photos(encode_lab(lab), [f"photo-{index}" for index in range(PHOTOS)])


def weights(network: nn.Module) -> Tensor:
    """All of them, in a row."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def moments(optimizer: torch.optim.Optimizer, name: str) -> Tensor:
    """What Adam has averaged: after one step the gradient times 1 - beta1, its square times 1 - beta2."""
    return torch.cat([state[name].flatten() for state in optimizer.state.values()])


def distance(actual: Tensor, expected: Tensor) -> float:
    """Euclidean, relative."""
    return ((actual - expected).norm() / expected.norm()).item()


class Waits(TorchDispatchMode):
    """Remembers the operations for which the host would wait, also those of the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.operations |= (READING | SENDING) & {func.overloadpacket.__name__}
        if func.overloadpacket is torch.ops.aten.index:
            masks = [index for index in args[1] if index is not None and index.dtype == torch.bool]
            self.operations |= {"index by a mask"} if masks else set()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_the_step_is_the_plain_one(clip: float) -> None:
    params = dataclasses.replace(PARAMS, gradient_clip=clip)
    objective, learners = build(params)
    ours = {name: learner.network for name, learner in learners.all.items()}
    plains = {name: copy.deepcopy(network).to(memory_format=torch.contiguous_format) for name, network in ours.items()}
    start = {name: weights(network) for name, network in ours.items()}
    plain = PlainPix2Pix(plains["generator"], plains["discriminator"], learners.frozen["vgg"], MODEL.objective, params)
    for step in range(STEPS):
        lab = random_photos(step).lab()
        figures, expected = train_on(objective, learners, lab), plain.step(lab.contiguous())
        for name in TERMS:
            # From equal weights the sums of float32 differ in their order alone; then weights differ, as said below.
            rtol = 1e-5 if step == 0 else 1e-3
            assert figures[name].item() == pytest.approx(expected[name], rel=rtol), f"{name} in step {step + 1}"
        if step == 0:
            for our_optimizer, plain_optimizer in (
                (learners.generator.optimizer, plain.generator_optimizer),
                (learners.helpers["discriminator"].optimizer, plain.discriminator_optimizer),
            ):
                # The gradient, as clipped: 1e-6 by rounding, 1e-3 where a pixel falls on the other side of a kink.
                for moment in ("exp_avg", "exp_avg_sq"):
                    assert distance(moments(our_optimizer, moment), moments(plain_optimizer, moment)) < 1e-2
    for name, network in ours.items():
        way, plain_way = weights(network) - start[name], weights(plains[name]) - start[name]
        # Adam moves a weight by the rate also where the gradient is rounding noise, in whose sign the two may differ.
        # No tight bound holds for every weight, but such are few: the way of all weights together is the same.
        assert plain_way.norm() > 0
        assert distance(way, plain_way) < 0.1, name


@pytest.fixture(scope="module")
def waits() -> set[str]:
    """For what the host waits in all that the loop does in a second step."""
    params = dataclasses.replace(PARAMS, precision="bfloat16", ema_decay=0.9)
    (objective, learners), photos = build(params), random_photos()
    network = learners.generator.network
    average = ExponentialMovingAverage(network, params.ema_decay)
    views = draw_views(PHOTOS, 0, params, torch.Generator().manual_seed(0))

    def step(number: int) -> None:
        part = views.part(0, 2)
        learners.set_learning_rate(learning_rate(params, number, 2))
        learners.set_share(len(part) * 2 / len(views))
        train_on(objective, learners, augment(photos, part, SIZE))
        average.update(network, number)

    step(1)
    with Waits() as waits:
        step(2)
    return waits.operations


def test_the_step_reads_nothing_from_the_device_and_sends_it_nothing(waits: set[str]) -> None:
    assert not waits


def test_waiting_is_noticed_forwards_and_backwards() -> None:
    leaf = torch.ones(2, requires_grad=True)
    output = leaf * 2
    with Waits() as waits:
        torch.tensor([1.0])
    assert waits.operations == SENDING
    output.register_hook(lambda gradient: torch.full((2,), gradient.sum().item()))
    with Waits() as waits:
        output.sum().backward()
    assert waits.operations == {"_local_scalar_dense"}
