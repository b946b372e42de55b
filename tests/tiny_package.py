"""A complete model package with random weights, small enough to make in each test session."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import DESCRIPTION, write_calibration
from huebands.conformal.counting import count_losses
from huebands.conformal.coverage import certify, measure_photo
from huebands.conformal.groups import GROUPS, choose_grouping
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.shape import Shape
from huebands.density.atypicality import Reference
from huebands.density.model import read_density, write_density
from huebands.density.network import DensityNetwork
from huebands.files.manifest import write_folder
from huebands.models.interface import Network
from huebands.models.parameters import build
from huebands.models.registry import ChosenNetwork, build_network
from huebands.package.documents.certificate import write_page
from huebands.package.generator import write_generator
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import CARD, CERTIFICATE
from huebands.package.write import assemble
from huebands.photos.grey import GreyPhoto

PHOTOS = 19  # so that the smallest alpha is 0.05


def tiny_config() -> dict:
    size, upsampling = 16, {"name": "guided", "radius": 1, "epsilon": 2.0}
    network = {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0, "norm": "batch"}
    model = {
        "image_size": size, "upsampling": upsampling, "network": network, "objective": {"name": "regression"},
    }  # fmt: skip
    return {
        "format": 4,
        "name": "tiny",
        "network": network,
        "preprocessing": {
            "image_size": size,
            "lightness": "cielab-d65-8bit-grey",
            "resize": "bilinear-antialias",
            "ab_scale": 110.0,
            "upsampling": upsampling,
        },
        "lineage": {
            "git_commit": "0" * 40,
            "data_sha256": "1" * 64,
            "data": "tiny",
            "params": {"model": model, "train": {"epochs": 1, "ema_decay": 0.9}},
        },
    }


def network_of(values: dict, image_size: int) -> Network:
    """Build a network from plain values, as config.json has them."""
    return build_network(build(ChosenNetwork, values), image_size)


def write_trained(folder: Path, seed: int = 0) -> ModelPackage:
    """Write a generator with vivid random weights: its colours fill all of sRGB and leave it."""
    config = tiny_config()
    generator = network_of(config["network"], config["preprocessing"]["image_size"])
    random = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(tensor.shape, generator=random) if name.endswith("weight") else tensor
        for name, tensor in generator.state_dict().items()
    }
    write_generator(folder, state, config)
    return read_package(folder)


def write_tiny_density(folder: Path, seed: int = 0) -> None:
    """Write a colour distribution with random weights."""
    torch.manual_seed(seed)
    spec = {"encoder": "efficientnet-lite0", "filters": 2, "dropout": 0.0, "bins": 8}
    network = DensityNetwork(**spec).eval()
    reference = Reference.fit(torch.randn(5, 384))
    lineage = {"git_commit": "0" * 40, "data_sha256": "1" * 64, "params": {"epochs": 1}}
    write_density(folder, network, reference, {"network": spec, "image_size": 32, "lineage": lineage})


def calibrate_tiny(
    folder: Path,
    trained: ModelPackage,
    distribution: Path,
    photos: int = PHOTOS,
    alphas: tuple[float, ...] = (0.1, 0.3),
    joint_offsets: tuple[int, int, int] = (0, 6, 0),
) -> Calibration:
    """Calibrate on random photos, and certify on three more."""
    package = replace(trained, density=read_density(distribution))
    colorizer, random = Colorizer(package, "tiny"), np.random.default_rng(1)
    # So few photos leave one group of each partition.
    shape = Shape(0.5, joint_offsets, choose_grouping(np.ones((1, len(GROUPS)), bool), [4.0], photos))

    def draw() -> tuple[PhotoBands, np.ndarray]:
        true = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        return colorizer.predict(GreyPhoto.of_rgb(true), shape).bands, true

    calibration = Calibration(
        shape,
        count_losses(((row, *draw()) for row in range(photos)), photos, shape),
        weights_sha256=package.weights_sha256,
        distribution_sha256=colorizer.density.sha256,
        preprocessing_sha256=package.preprocessing_sha256,
        data_sha256="1" * 64,
        min_chroma=5.0,
        unlike_p_value=0.05,
    )
    tests = [
        measure_photo(f"{row}", f"Photo {row}", "noise", *draw(), calibration, alphas, alphas[0]) for row in range(3)
    ]
    calibration = replace(calibration, certificate=certify(calibration, tests, alphas[0], seed=0))
    write_calibration(folder, calibration)
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    (folder / CERTIFICATE).write_text(write_page(package.config, description), encoding="utf-8")
    return calibration


def seal(folder: Path) -> None:
    """List the files of a package anew, after a test has changed one."""
    write_folder(folder, {path.name: path.read_bytes() for path in folder.iterdir()})


def write_uncalibrated(folder: Path) -> ModelPackage:
    """Write a package that was trained and has a card, but was never calibrated."""
    write_trained(folder)
    (folder / CARD).write_text("# Uncalibrated\n", encoding="utf-8")
    seal(folder)
    return read_package(folder)


def write_tiny_package(folder: Path, seed: int = 0, **calibrated: Any) -> ModelPackage:
    """Write a complete package; its parts are left beside it; `calibrated` is for `calibrate_tiny`."""
    trained, distribution, calibration = (
        folder.with_name(f"{folder.name}-{part}") for part in ("trained", "distribution", "calibration")
    )
    write_tiny_density(distribution, seed)
    calibrate_tiny(calibration, write_trained(trained, seed), distribution, **calibrated)
    return assemble(folder, trained, distribution, calibration, "# Tiny\n")


def write_with_few_photos(folder: Path) -> ModelPackage:
    """Write a package whose calibration supports no alpha below 0.2."""
    return write_tiny_package(folder, photos=4, alphas=(0.3, 0.5))
