"""Many processes train as one does, and runs move from one number of processes to another."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from composition import composed
from huebands import params
from huebands.models.networks import unet
from huebands.models.objectives import cgan
from huebands.models.weights import read_weights
from huebands.training import __main__ as training
from huebands.training.augment import Photos
from huebands.training.distributed import ALONE, GlobalBatchNorm2d, World, count_whole_batch
from huebands.training.loop import Row, train
from huebands.training.precision import choose_precision
from tiny_photos import tiny_photo, write_prepared

PHOTOS, DATA_SHA256 = 13, "da" * 32
SETTINGS = params.load(Path(__file__).parents[2] / "params.yaml")
OBJECTIVE = replace(
    SETTINGS.model.objective, pretrain_epochs=1, lambda_huber=100.0, lambda_perceptual=0.0,
    discriminator=cgan.DiscriminatorParams(filters=4, layers=2, norm="batch"),
)  # fmt: skip
# Dropout is 0, because each process draws its own.
MODEL = replace(
    SETTINGS.model, image_size=16, objective=OBJECTIVE,
    network=unet.Params(name="unet", filters=4, depth=3, dropout=0.0, norm="batch"),
)  # fmt: skip
# 13 photos in batches of 5, 4 and 4: two processes get 3 and 2 of the first.
TRAIN = replace(
    SETTINGS.train, precision="float32", jitter=0.1, epochs=6, batch_size=5, learning_rate=1e-3, warmup_epochs=1,
    decay=0.33, gradient_clip=1.0, ema_decay=0.9, lightness_jitter=0.1, checkpoint_every=1, picture_every=3,
)  # fmt: skip
SMALL = replace(SETTINGS, model=MODEL, train=TRAIN)

# As `python -m huebands.training`, but a copy of each checkpoint is kept.
KEEPING = """
import shutil
from huebands.training import __main__ as training

class Keeper(training.Follower):
    def rows_kept(self, rows):
        super().rows_kept(rows)
        shutil.copy(self._out / "checkpoint.pt", self._out / f"after-{rows[-1]['epoch']}.pt")

training.Follower = Keeper
training.main()
"""


class Killed(training.Follower):
    """Pulls the plug once two epochs are safe."""

    def rows_kept(self, rows: list[Row]) -> None:
        super().rows_kept(rows)
        if rows[-1]["epoch"] == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prepared photos, params.json, and the script that keeps checkpoints."""
    folder = tmp_path_factory.mktemp("distributed")
    photos = {"train": [tiny_photo(seed, 20) for seed in range(PHOTOS)], "val": [tiny_photo(99, 20)]}
    write_prepared(folder / "data", photos, size=20)
    (folder / "params.json").write_text(json.dumps(asdict(SMALL)))
    (folder / "keeping.py").write_text(KEEPING)
    return folder


def options(files: Path, out: Path) -> list[str]:
    given = {"params": files / "params.json", "data": files / "data", "out": out, "data-sha256": DATA_SHA256}
    return [*(part for name, value in given.items() for part in (f"--{name}", str(value))), "--device", "cpu"]


def in_two_processes(files: Path, out: Path, *program: str) -> str:
    """Run a program as torchrun does; what it printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program]
    done = subprocess.run([*command, *options(files, out)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def by_one(files: Path) -> Path:
    """What one process trains without a stop."""
    training.main(options(files, files / "one"))
    return files / "one"


@pytest.fixture(scope="module")
def from_one_to_two(files: Path) -> Path:
    """One process trains two epochs, two processes the others; a copy of each of their checkpoints is kept."""
    out = files / "one-then-two"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "Follower", Killed)
        training.main(options(files, out))
    printed = in_two_processes(files, out, str(files / "keeping.py"))
    assert "going on after epoch 2" in printed and "epoch 3 " in printed
    assert printed.count("6 epochs, weights") == 1, "one process reports"
    return out


def assert_same_training(actual: Path, expected: Path) -> None:
    """Compare histories and packages.

    The order of sums differs, so that float32 differs in its last digits, by 1e-7; in 18 steps that grows, but a wrong
    share, a forgotten statistic or another photo would change the third digit and more.
    """
    clocks = ("seconds", "images_per_second")
    histories = [read_history(out) for out in (actual, expected)]
    assert [row["epoch"] for row in histories[0]] == [1, 2, 3, 4, 5, 6]
    for row, expected_row in zip(*histories, strict=True):
        assert list(row) == list(expected_row)
        for name in row.keys() - set(clocks):
            assert row[name] == pytest.approx(expected_row[name], rel=1e-4, abs=1e-6), (
                f"epoch {expected_row['epoch']}: {name}"
            )
    weights = [read_weights(out / "models/trained/generator.safetensors") for out in (actual, expected)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[1].items():
        # Kernels are stored in half precision: two floats beside each other may round to neighbours.
        tolerance = {"rtol": 1e-3 if tensor.dtype == torch.float16 else 1e-4, "atol": 1e-5}
        torch.testing.assert_close(weights[0][name], tensor, **tolerance, msg=lambda why, name=name: f"{name}: {why}")


def read_history(out: Path) -> list[dict[str, float]]:
    with (out / "reports/train/history.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_training_to_be_equalled_moves_every_figure(by_one: Path) -> None:
    first, last = read_history(by_one)[1], read_history(by_one)[-1]
    for name in ("discriminator", "adversarial", "huber", "generator_gradient", "discriminator_gradient"):
        assert last[name] != pytest.approx(first[name], rel=0.01), name


def test_two_processes_train_as_one_does(files: Path, by_one: Path) -> None:
    printed = in_two_processes(files, files / "two", "-m", "huebands.training")
    assert "starting" in printed and printed.count("6 epochs, weights") == 1
    assert_same_training(files / "two", by_one)


def test_two_processes_penalise_the_discriminator_as_one_does(tmp_path: Path) -> None:
    """R1 differentiates twice, beside the pass whose gradients are averaged over processes."""
    values = composed("model=dual-head")
    values["model"]["network"] |= {"encoder": "resnet18", "pretrained": False, "filters": 8, "dropout": 0.0}
    values["model"] |= {"image_size": 64}
    values["model"]["objective"] |= {"lambda_adversarial": 1.0, "lambda_features": 1.0}
    values["model"]["objective"]["discriminator"] |= {"r1": 1.0, "r1_every": 1}
    model = params.from_mapping(values).model
    training_params = replace(TRAIN, epochs=1, jitter=0.0, learning_rate=1e-4, picture_every=1)
    (tmp_path / "params.json").write_text(json.dumps(asdict(replace(SMALL, model=model, train=training_params))))
    photos = {"train": [tiny_photo(seed, 64) for seed in range(PHOTOS)], "val": [tiny_photo(99, 64)]}
    write_prepared(tmp_path / "data", photos, size=64)
    training.main(options(tmp_path, tmp_path / "one"))
    in_two_processes(tmp_path, tmp_path / "two", "-m", "huebands.training")
    (one,), (two,) = (read_history(tmp_path / out) for out in ("one", "two"))
    for name in ("r1", "discriminator", "discriminator_gradient", "features", "adversarial", "generator_gradient"):
        assert one[name] != 0
        # The adversarial term is a mean of logits near 0, of which rounding changes more than of the others.
        assert two[name] == pytest.approx(one[name], rel=1e-2), name


def test_two_processes_choose_the_precision_that_one_chooses(files: Path, tmp_path: Path) -> None:
    auto = replace(TRAIN, precision="auto", epochs=1, picture_every=1)
    (tmp_path / "params.json").write_text(json.dumps(asdict(replace(SMALL, train=auto))))
    (tmp_path / "data").symlink_to(files / "data")
    printed = in_two_processes(tmp_path, tmp_path / "out", "-m", "huebands.training")
    assert f"starting in {choose_precision(auto, ALONE).precision}" in printed


def test_what_one_process_began_two_bring_to_the_same_end(from_one_to_two: Path, by_one: Path) -> None:
    assert_same_training(from_one_to_two, by_one)


def test_what_two_processes_began_one_brings_to_the_same_end(
    files: Path, from_one_to_two: Path, by_one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files / "two-then-one"
    out.mkdir()
    shutil.copy(from_one_to_two / "after-4.pt", out / "checkpoint.pt")
    training.main(options(files, out))
    assert "going on after epoch 4" in capsys.readouterr().out
    assert_same_training(out, by_one)


def test_more_processes_than_photos_in_a_batch_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "wrap", lambda world, network: network)  # there is no other process to talk to
    photos = Photos(torch.zeros(PHOTOS, 20, 20, 3, dtype=torch.int16), [f"photo-{row}" for row in range(PHOTOS)])
    world = World(0, 5, torch.device("cpu"))
    follower = training.Follower(tmp_path, world.device)
    message = r"5 processes, but a batch holds 4 of 13 photos; start fewer .*or raise train\.batch_size \(=5\)"
    with pytest.raises(ValueError, match=message):
        train(MODEL, TRAIN, photos, photos, tmp_path / "last.pt", DATA_SHA256, follower, world)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    world, tensor = World.join("cpu"), torch.tensor([1.0, 2.0])
    assert (world.rank, world.size, world.leads) == (0, 1, True)
    assert world.sum(tensor) is tensor and world.maximum(tensor) is tensor
    world.wait()
    world.leave()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_the_global_batch_norm_of_one_process_is_torchs(group: None) -> None:
    torch.manual_seed(0)
    expected = nn.BatchNorm2d(3, eps=1e-3, momentum=0.2)
    nn.init.normal_(expected.weight), nn.init.normal_(expected.bias)
    network = nn.Sequential(expected)
    count_whole_batch(network)
    replacement = network[0]
    assert type(replacement) is GlobalBatchNorm2d
    results: dict[str, list[Tensor]] = {"expected": [], "replacement": []}
    for training_mode in (True, True, False):
        x = torch.randn(5, 3, 4, 6) * torch.tensor([0.1, 1.0, 10.0])[:, None, None] + 5
        direction = torch.randn_like(x)
        for name, layer in (("expected", expected), ("replacement", replacement)):
            seen = x.clone().requires_grad_()
            y = layer.train(training_mode)(seen)
            layer.zero_grad()
            (y * direction).sum().backward()
            gradients = [parameter.grad.clone() for parameter in layer.parameters()]
            statistics = [buffer.clone() for buffer in layer.buffers()]
            results[name] += [y.detach(), seen.grad, *gradients, *statistics]
    assert len(results["replacement"]) == 3 * 7
    for tensor, expected_tensor in zip(results["replacement"], results["expected"], strict=True):
        # Where the mean is 50 deviations, float32 holds a pixel's distance from it to 3e-6 deviations.
        torch.testing.assert_close(tensor, expected_tensor, rtol=1e-4, atol=1e-4)


def test_only_batch_norms_are_replaced_with_all_that_they_know() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2, 1e-3, 0.01), nn.InstanceNorm2d(2)))
    network(torch.randn(4, 1, 8, 8))
    frozen = nn.Sequential(nn.BatchNorm2d(2)).requires_grad_(False).eval()
    count_whole_batch(frozen)
    assert type(frozen[0]) is GlobalBatchNorm2d and not frozen[0].training
    assert not any(parameter.requires_grad for parameter in frozen.parameters()), "a frozen encoder stays frozen"
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_whole_batch(network)
    assert [type(module) for module in network[1]] == [GlobalBatchNorm2d, nn.InstanceNorm2d]
    assert (network[1][0].eps, network[1][0].momentum) == (1e-3, 0.01)
    after = network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_processes_with_other_parameters_or_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(values: list[str], value: str) -> None:
        values[:] = [value, others]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    world, others = World(0, 2, torch.device("cpu")), "ours"
    world.agree("ours", "parameters")
    others = "theirs"
    with pytest.raises(ValueError, match="parameters must be the same in all processes, and are ours, theirs by rank"):
        world.agree("ours", "parameters")


def test_a_gpu_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match="process 2 of this machine wants a GPU of its own, and torch sees 2"):
        World.join("cuda")
