"""A complete model package with random weights, small enough to be made in each test session."""

from pathlib import Path

import numpy as np
import torch

from huebands.conformal.calibration import Calibration
from huebands.conformal.scores import photo_losses
from huebands.networks import build_generator
from huebands.package import ModelPackage, assemble, read_package, write_generator

PHOTOS = 19  # so that the smallest alpha is 0.05


def tiny_config() -> dict:
    return {
        "format": 3,
        "name": "tiny",
        "network": {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0, "norm": "batch"},
        "preprocessing": {
            "image_size": 16,
            "lightness": "cielab-d65-8bit-grey",
            "resize": "bilinear-antialias",
            "ab_scale": 110.0,
            "upsampling": {"name": "guided", "radius": 1, "epsilon": 2.0},
        },
        "lineage": {"git_commit": "0" * 40, "data_sha256": "1" * 64, "data": "tiny", "params": {"epochs": 1}},
    }


def write_trained(folder: Path, seed: int = 0) -> ModelPackage:
    """Write a generator with vivid random weights: its colours fill all of sRGB and leave it."""
    generator = build_generator(tiny_config()["network"])
    random = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(tensor.shape, generator=random) if name.endswith("weight") else tensor
        for name, tensor in generator.state_dict().items()
    }
    write_generator(folder, state, tiny_config())
    return read_package(folder)


def write_calibration(folder: Path, package: ModelPackage, photos: int = PHOTOS) -> Calibration:
    """Calibrate on random photos: residuals of normal size 30."""
    random, scale = np.random.default_rng(1), np.array([1.0, 0.75, 0.875])
    losses = []
    for _ in range(photos):
        true = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        shown = np.clip(true + random.normal(0, 30, true.shape), 0, 255).astype(np.uint8)
        losses.append(photo_losses(true, shown, scale))
    calibration = Calibration.from_losses(
        losses,
        scale,
        weights_sha256=package.weights_sha256,
        preprocessing_sha256=package.preprocessing_sha256,
        data_sha256="1" * 64,
    )
    calibration.save(folder)
    return calibration


def write_tiny_package(folder: Path, seed: int = 0) -> ModelPackage:
    """Write a complete package; its parts are left beside it."""
    trained, calibration = (
        folder.with_name(f"{folder.name}-trained"),
        folder.with_name(f"{folder.name}-calibration"),
    )
    write_calibration(calibration, write_trained(trained, seed))
    return assemble(folder, trained, calibration, "# Tiny\n")
