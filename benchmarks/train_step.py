"""Training against the plain loop of `plain_pix2pix`: images/s of both in one process, and that their losses agree.

End to end: the plain loop decodes, converts and loads its photos; ours looks at the resident ones, and keeps its
average. Both train on equally many photos in turn, an epoch each; a ratio is of two neighbouring epochs.
"""

import argparse
import copy
import dataclasses
import datetime
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from huebands.color import encode_lab, from_bytes, srgb_to_lab
from huebands.lineage import git_commit
from huebands.models.parts.vgg import VGG16Features
from huebands.params import TrainParams, UNetParams, from_mapping
from huebands.training.data import Photos, draw_views, load_photos, look
from huebands.training.distributed import World
from huebands.training.ema import ExponentialMovingAverage
from huebands.training.players import build_players
from huebands.training.precision import Precision, computes_in_bfloat16
from huebands.training.step import FIGURES, TERMS, Players, training_step
from plain_pix2pix import PhotoFiles, PlainPix2Pix

# Largest relative deviation of a term, in the first step and in all. In float32 sums come in another order, on a GPU
# also rounded to TF32; later weights differ, because Adam moves a weight by the rate also where the gradient is but
# rounding noise. bfloat16 has 8 bits: 0.4 percent a rounding, a few roundings deep.
TOLERANCES: dict[Precision, tuple[float, float]] = {"float32": (1e-3, 1e-2), "bfloat16": (1e-2, 5e-2)}
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}  # FLOP/s in dense bfloat16, of the data sheets
EQUAL_STEPS = 5
CPU_STEPS, CUDA_STEPS = 3, 50  # of an epoch: seconds
FILE_SIZE, GRAIN = 600, 3.0  # pixels a side and 8-bit levels: files like the default paintings', about 110 KB each


class Ours:
    """This project's training."""

    def __init__(self, params: TrainParams, photos: Photos, device: torch.device) -> None:
        torch.manual_seed(params.seed)
        self.params, self.photos, self.device = params, photos.to(device), device
        self.players = build_players(params, World(0, 1, device))
        self.average = ExponentialMovingAverage(self.players.generator.network, params.ema_decay)
        self.random = torch.Generator().manual_seed(params.seed)
        self.room = photos.hundredths_NSS3.shape[1] - params.image_size

    def batches(self) -> list[Tensor]:
        """An epoch's batches."""
        count = len(self.photos.ids)
        views = draw_views(count, self.room, self.params, self.random).to(self.device)
        parts = views.split(count // self.params.batch_size)
        return [look(self.photos, part, self.params.image_size) for part in parts]

    def epoch(self) -> Tensor:
        """Train on each photo once, as the loop does."""
        count, rows = len(self.photos.ids), []
        views = draw_views(count, self.room, self.params, self.random).to(self.device)
        for step, part in enumerate(views.split(count // self.params.batch_size), start=1):
            figures = training_step(self.players, look(self.photos, part, self.params.image_size), self.params)
            self.average.update(self.players.generator.network, step)
            rows.append(torch.stack([figures[name] for name in FIGURES]))
        return torch.stack(rows).cpu()


class Plain:
    """The plain loop, from the same weights."""

    def __init__(self, players: Players, params: TrainParams, files: Sequence[Path], device: torch.device) -> None:
        self.params, self.device = params, device
        self.pix2pix = plain_pix2pix(players, params)
        self.dataset = PhotoFiles(files, params)
        self.loader = self.loader_of(0)

    def loader_of(self, workers: int) -> DataLoader[Tensor]:
        """Load with that many processes, which stay."""
        return DataLoader(
            self.dataset,
            self.params.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            persistent_workers=workers > 0,
        )

    def epoch(self) -> list[dict[str, float]]:
        """Train on each photo once."""
        return [self.pix2pix.step(lab.to(self.device)) for lab in self.loader]


def plain_pix2pix(players: Players, params: TrainParams) -> PlainPix2Pix:
    """Copy the players' networks, contiguous in memory, into a plain loop."""

    def contiguous(network: nn.Module) -> nn.Module:
        return copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]

    generator, discriminator = contiguous(players.generator.network), contiguous(players.discriminator.network)
    device = next(generator.parameters()).device
    return PlainPix2Pix(generator, discriminator, VGG16Features(params.vgg_weights).to(device), params)


def configurations(options: argparse.Namespace, device: torch.device) -> dict[str, TrainParams]:
    """The parameters that are asked for, by name."""
    root = Path(__file__).parents[1]
    values = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    values["train"] = yaml.safe_load((root / "conf/train/cgan.yaml").read_text(encoding="utf-8"))
    default = from_mapping(values).train
    assert isinstance(default.generator, UNetParams)
    large = dataclasses.replace(
        default,
        image_size=256,
        batch_size=default.batch_size if device.type == "cuda" else 4,
        generator=dataclasses.replace(default.generator, filters=64, depth=8),
    )
    changes = {"image_size": options.size, "batch_size": options.batch}
    given = {name: value for name, value in changes.items() if value is not None}
    wanted = {"default": default, "large": large}
    return {
        name: dataclasses.replace(params, **given) for name, params in wanted.items() if options.config in (name, "all")
    }


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write random photos with some grain as JPEG."""
    random = np.random.default_rng(0)
    files = [folder / f"{index:04d}.jpg" for index in range(count)]
    for file in files:
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((FILE_SIZE, FILE_SIZE), Image.Resampling.BICUBIC))
        grainy = smooth + random.normal(0, GRAIN, smooth.shape)
        Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8)).save(file, quality=95)
    return files


def read_photos(files: Sequence[Path], size: int) -> Photos:
    """Prepare files as the pipeline does."""
    photos = [torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files]
    hundredths = [encode_lab(srgb_to_lab(from_bytes(photo))) for photo in photos]
    return load_photos(torch.stack(hundredths).numpy(), [file.name for file in files], size)


def deviations(params: TrainParams, photos: Photos, device: torch.device) -> list[float]:
    """Train both from the same weights on the same batches, without dropout, the plain loop in float32.

    Returns:
        The largest relative deviation of a term in each step.
    """
    params = dataclasses.replace(params, generator=dataclasses.replace(params.generator, dropout=0.0))
    ours = Ours(params, photos, device)
    plain = plain_pix2pix(ours.players, params)
    found = []
    for _ in range(EQUAL_STEPS):
        lab = ours.batches()[0]
        figures, expected = training_step(ours.players, lab, params), plain.step(lab.contiguous())
        found.append(max(abs(figures[name].item() / expected[name] - 1) for name in TERMS))
    return found


def flops_of_a_photo(ours: Ours) -> float:
    """Count one step, forwards and backwards: a multiplication and an addition are 2."""
    lab = ours.batches()[0]
    with FlopCounterMode(display=False) as counter:
        training_step(ours.players, lab, ours.params)
    return float(counter.get_total_flops() / len(lab))


def seconds(epoch: Callable[[], object], device: torch.device) -> float:
    """Time an epoch, until the device is done."""
    synchronize(device)
    start = time.perf_counter()
    epoch()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def choose_workers(plain: Plain) -> int:
    """Let the plain loop load with as many processes as suit it best, after an epoch to warm up with each."""
    found = {}
    for workers in sorted({0, 2, os.cpu_count() or 1}):
        plain.loader = plain.loader_of(workers)
        plain.epoch()
        found[workers] = (seconds(plain.epoch, plain.device), plain.loader)
    best = min(found, key=lambda workers: found[workers][0])
    plain.loader = found[best][1]
    return best


def measure(name: str, params: TrainParams, pairs: int, device: torch.device) -> bool:
    """Print one configuration's figures; returns whether the losses agree."""
    steps = CUDA_STEPS if device.type == "cuda" else CPU_STEPS
    count, load_size = steps * params.batch_size, params.load_size
    print(f"\n{name}: {params.image_size} x {params.image_size}, batch {params.batch_size}, {params.generator}")
    by_precision: dict[Precision, TrainParams] = {
        precision: dataclasses.replace(params, precision=precision) for precision in TOLERANCES
    }
    with tempfile.TemporaryDirectory() as folder:
        files = write_photos(Path(folder), count)
        photos = read_photos(files, load_size)
        agree = True
        for precision, own in by_precision.items():
            found, (first, later) = deviations(own, photos, device), TOLERANCES[precision]
            within = found[0] <= first and max(found) <= later
            agree &= within
            print(
                f"  losses, {precision} against plain float32: {found[0]:.1e} apart in step 1, {max(found):.1e} at "
                f"most in {EQUAL_STEPS}, {'within' if within else 'NOT within'} {first:g} and {later:g}"
            )
        ours = {precision: Ours(own, photos, device) for precision, own in by_precision.items()}
        plain = Plain(ours["float32"].players, params, files, device)
        flops = flops_of_a_photo(ours["float32"])
        for contestant in ours.values():
            contestant.epoch()
        workers = choose_workers(plain)
        times: list[dict[str, float]] = []
        for _ in range(pairs):
            times.append({"plain": seconds(plain.epoch, device)})
            times[-1] |= {precision: seconds(own.epoch, device) for precision, own in ours.items()}
    print(
        f"  {flops / 1e9:.3g} GFLOP a photo, forwards and backwards; the plain loop is fastest with {workers} workers"
    )
    baseline = count / statistics.median(row["plain"] for row in times)
    for precision in ours:
        ratios = [row["plain"] / row[precision] for row in times]
        speed = count / statistics.median(row[precision] for row in times)
        print(
            f"  {precision}: {statistics.median(ratios):.2f} times the plain loop's speed "
            f"({min(ratios):.2f} to {max(ratios):.2f} over {pairs} pairs), "
            f"{speed:.4g} against {baseline:.4g} images/s, {throughput(speed * flops, device)}"
        )
    return agree


def throughput(flops_per_second: float, device: torch.device) -> str:
    """Arithmetic done in a second and, on a known card, its share of the dense bfloat16 peak."""
    if device.type != "cuda":
        return f"{flops_per_second / 1e9:.4g} GFLOP/s"
    card = torch.cuda.get_device_name(device)
    share = f"{flops_per_second / PEAKS[card]:.1%} of the peak" if card in PEAKS else f"the peak of {card} is unknown"
    return f"{flops_per_second / 1e12:.4g} TFLOP/s, {share}"


def describe(device: torch.device) -> str:
    """What the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    card = [torch.cuda.get_device_name(device)] if device.type == "cuda" else []
    return ", ".join(
        [
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
            f"commit {git_commit()[:12]}",
            f"torch {torch.__version__}",
            f"scikit-image {version('scikit-image')}",
            f"Pillow {version('Pillow')}",
            *card,
            f"train.precision=auto is {'bfloat16' if computes_in_bfloat16(device) else 'float32'} here",
            f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        ]
    )


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(description="Time the training step against a plain one.")
    result.add_argument("--config", choices=("default", "large", "all"), default="all")
    result.add_argument("--size", type=int, help="side of the photos, in place of the configuration's")
    result.add_argument("--batch", type=int, help="photos in a batch, in place of the configuration's")
    result.add_argument("--pairs", type=int, default=5, help="of epochs")
    result.add_argument("--threads", type=int, help="of torch; its own choice unless given")
    return result


def main() -> None:
    """Print what is measured; exit with 1 where losses do not agree."""
    options = parser().parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(describe(device))
    found = [measure(name, params, options.pairs, device) for name, params in configurations(options, device).items()]
    if not all(found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
