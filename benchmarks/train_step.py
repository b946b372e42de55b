"""Training against the plain loop of `plain_pix2pix`: images/s of both in one process, and that their losses agree.

End to end: the plain loop decodes, converts and loads its photos. Ours crops the photos that stay on the device, and
updates the average of its weights. Both train on equally many photos in turn, an epoch each; a ratio is of two
neighbouring epochs.
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
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from huebands.color import encode_lab, from_bytes, srgb_to_lab, to_units
from huebands.models.interface import Condition
from huebands.models.objectives import cgan
from huebands.models.parts.vgg import VGG16Features
from huebands.package.lineage import git_commit
from huebands.params import Params, from_mapping
from huebands.training.augment import Photos, augment, draw_views, load_photos
from huebands.training.distributed import World
from huebands.training.ema import ExponentialMovingAverage
from huebands.training.learner import Learners, set_up
from huebands.training.precision import Precision, computes_in_bfloat16
from plain_pix2pix import TERMS, PhotoFiles, PlainPix2Pix

CONF = Path(__file__).parents[1] / "conf"
# Largest relative deviation of a term, in the first step and in all. In float32 sums come in another order, on a GPU
# also rounded to TF32; later weights differ, because Adam moves a weight by the rate also where the gradient is
# only rounding noise. bfloat16 has 8 bits: 0.4 percent a rounding, a few roundings deep.
TOLERANCES: dict[Precision, tuple[float, float]] = {"float32": (1e-3, 1e-2), "bfloat16": (1e-2, 5e-2)}
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}  # FLOP/s in dense bfloat16, of the data sheets
EQUAL_STEPS = 5
CPU_STEPS, CUDA_STEPS = 3, 50  # of an epoch: seconds
FILE_SIZE, GRAIN = 600, 3.0  # pixels a side and 8-bit levels: files like the default paintings', about 110 KB each


class Ours:
    """This project's training."""

    def __init__(self, settings: Params, photos: Photos, device: torch.device) -> None:
        torch.manual_seed(settings.train.seed)
        self.params, self.size = settings.train, settings.model.image_size
        self.photos, self.device = photos.to(device), device
        network, self.objective, self.learners = set_up(settings.model, settings.train, World(0, 1, device))
        self.average = ExponentialMovingAverage(network, settings.train.ema_decay)
        self.random = torch.Generator().manual_seed(settings.train.seed)
        self.room = photos.hundredths_NSS3.shape[1] - self.size

    def batches(self) -> Iterator[Tensor]:
        """Yield the batches of an epoch."""
        count = len(self.photos.ids)
        views = draw_views(count, self.room, self.params, self.random).to(self.device)
        for batch_views in views.split(count // self.params.batch_size):
            yield augment(self.photos, batch_views, self.size)

    def step(self, lab_B3SS: Tensor) -> dict[str, Tensor]:
        """Train on a batch; gives the objective's figures."""
        L_unit, ab_unit = to_units(lab_B3SS)
        return self.objective.step(self.learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=self.params.epochs)

    def epoch(self) -> Tensor:
        """Train on each photo once, as the loop does."""
        rows = []
        for number, lab in enumerate(self.batches(), start=1):
            figures = self.step(lab)
            self.average.update(self.learners.generator.network, number)
            rows.append(torch.stack([figures[name] for name in self.objective.figures]))
        return torch.stack(rows).cpu()


class Plain:
    """The plain loop, from the same weights."""

    def __init__(self, learners: Learners, settings: Params, files: Sequence[Path], device: torch.device) -> None:
        self.batch_size, self.device = settings.train.batch_size, device
        self.pix2pix = plain_pix2pix(learners, settings)
        self.dataset = PhotoFiles(files, settings.model.image_size, settings.train)
        self.loader = self.loader_of(0)

    def loader_of(self, workers: int) -> DataLoader[Tensor]:
        """Make a loader with this number of processes, which stay."""
        return DataLoader(
            self.dataset,
            self.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            persistent_workers=workers > 0,
        )

    def epoch(self) -> list[dict[str, float]]:
        """Train on each photo once."""
        return [self.pix2pix.step(lab.to(self.device)) for lab in self.loader]


def plain_pix2pix(learners: Learners, settings: Params) -> PlainPix2Pix:
    """Copy the networks, contiguous in memory, into a plain loop."""

    def contiguous(network: nn.Module) -> nn.Module:
        return copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]

    objective = settings.model.objective
    assert isinstance(objective, cgan.Params)
    generator, discriminator = (contiguous(learners.all[name].network) for name in ("generator", "discriminator"))
    vgg = VGG16Features(objective.vgg_weights).to(next(generator.parameters()).device)
    return PlainPix2Pix(generator, discriminator, vgg, objective, settings.train)


def configurations(options: argparse.Namespace, device: torch.device) -> dict[str, Params]:
    """The requested parameters, by name."""
    with initialize_config_dir(str(CONF), version_base=None):
        values = OmegaConf.to_container(compose("config", overrides=["model=cgan-unet", "train=cgan-unet"]))
    default = from_mapping(cast(dict[str, Any], values))
    batch_size = default.train.batch_size if device.type == "cuda" else 4
    settings_by_name = {"default": default, "large": changed(default, 256, batch_size, filters=64, depth=8)}
    return {
        name: changed(settings, options.size, options.batch)
        for name, settings in settings_by_name.items()
        if options.config in (name, "all")
    }


def changed(settings: Params, image_size: int | None = None, batch_size: int | None = None, **network: Any) -> Params:
    """Replace what is given; `network` holds parameters of the network."""
    model, train, replace = settings.model, settings.train, dataclasses.replace
    return replace(
        settings,
        model=replace(model, image_size=image_size or model.image_size, network=replace(model.network, **network)),
        train=replace(train, batch_size=batch_size or train.batch_size),
    )


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


def deviations(settings: Params, photos: Photos, device: torch.device) -> list[float]:
    """Train both from the same weights on the same batches, without dropout, the plain loop in float32.

    Returns:
        The largest relative deviation of a term in each step.
    """
    settings = changed(settings, dropout=0.0)
    ours = Ours(settings, photos, device)
    plain = plain_pix2pix(ours.learners, settings)
    largest = []
    for _ in range(EQUAL_STEPS):
        lab = next(ours.batches())
        figures, expected = ours.step(lab), plain.step(lab.contiguous())
        largest.append(max(abs(figures[name].item() / expected[name] - 1) for name in TERMS))
    return largest


def flops_of_a_photo(ours: Ours) -> float:
    """Count one step, forwards and backwards: a multiplication and an addition are 2."""
    lab = next(ours.batches())
    with FlopCounterMode(display=False) as counter:
        ours.step(lab)
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
    """Choose the number of loading processes with which the plain loop is fastest, after a warm-up epoch with each."""
    candidates = {}
    for workers in sorted({0, 2, os.cpu_count() or 1}):
        plain.loader = plain.loader_of(workers)
        plain.epoch()
        candidates[workers] = (seconds(plain.epoch, plain.device), plain.loader)
    fastest = min(candidates, key=lambda workers: candidates[workers][0])
    plain.loader = candidates[fastest][1]
    return fastest


def measure(name: str, settings: Params, pairs: int, device: torch.device) -> bool:
    """Print one configuration's figures; returns whether the losses agree."""
    steps = CUDA_STEPS if device.type == "cuda" else CPU_STEPS
    size, batch_size = settings.model.image_size, settings.train.batch_size
    count = steps * batch_size
    print(f"\n{name}: {size} x {size}, batch {batch_size}, {settings.model.network}")
    by_precision: dict[Precision, Params] = {
        precision: dataclasses.replace(settings, train=dataclasses.replace(settings.train, precision=precision))
        for precision in TOLERANCES
    }
    with tempfile.TemporaryDirectory() as folder:
        files = write_photos(Path(folder), count)
        photos = read_photos(files, settings.train.load_size(size))
        agree = True
        for precision, variant in by_precision.items():
            largest, (first, later) = deviations(variant, photos, device), TOLERANCES[precision]
            is_within = largest[0] <= first and max(largest) <= later
            agree &= is_within
            print(
                f"  losses, {precision} against plain float32: {largest[0]:.1e} apart in step 1, {max(largest):.1e} at "
                f"most in {EQUAL_STEPS}, {'within' if is_within else 'NOT within'} {first:g} and {later:g}"
            )
        ours = {precision: Ours(variant, photos, device) for precision, variant in by_precision.items()}
        plain = Plain(ours["float32"].learners, settings, files, device)
        flops = flops_of_a_photo(ours["float32"])
        for contestant in ours.values():
            contestant.epoch()
        workers = choose_workers(plain)
        times: list[dict[str, float]] = []
        for _ in range(pairs):
            times.append({"plain": seconds(plain.epoch, device)})
            times[-1] |= {precision: seconds(training.epoch, device) for precision, training in ours.items()}
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
    settings_by_name = configurations(options, device)
    agreements = [measure(name, settings, options.pairs, device) for name, settings in settings_by_name.items()]
    if not all(agreements):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
