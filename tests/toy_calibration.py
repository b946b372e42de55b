"""Calibrations without images or networks: photos are random first steps and random groups."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from huebands.conformal.bands import STEPS
from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import parse_calibration
from huebands.conformal.groups import UNMERGED, Grouping
from huebands.conformal.scores import PhotoLosses, photo_losses
from huebands.conformal.shape import Shape
from huebands.conformal.table import LossTable

SHAPE = Shape(0.5, (0, 6, 20), Grouping(UNMERGED, (3.0, 4.0)))
HASHES = {
    "weights_sha256": "a" * 64,
    "distribution_sha256": "b" * 64,
    "preprocessing_sha256": "c" * 64,
    "data_sha256": "d" * 64,
}
LIMITS = {"min_chroma": 5.0, "unlike_p_value": 0.05}


def toy_photo(random: np.random.Generator, size: tuple[int, int] = (6, 7)) -> tuple[np.ndarray, np.ndarray]:
    """Draw a photo whose pixels err together, as real ones do; pixels of higher cells err more.

    Returns:
        First steps, uint16 (H, W, 3), and groups of a few cells, all textures and one kind of photo, uint8 (3, H, W).
    """
    cells, kind = random.integers(0, 3, size), random.integers(0, 3)
    spread = random.gamma(2.0, 10.0) * (1 + 0.3 * kind) * (1 + cells)[..., None]
    first_steps = np.abs(random.normal(size=(*size, 3))) * spread * np.array([1.0, 0.5, 1.3])
    groups = np.stack((cells * 6, random.integers(25, 28, size), np.full(size, 28 + kind)))
    return first_steps.clip(max=STEPS - 1).astype(np.uint16), groups.astype(np.uint8)


def toy_losses(seed: int, photos: int, size: tuple[int, int] = (6, 7), shape: Shape = SHAPE) -> list[PhotoLosses]:
    """Losses of toy photos."""
    random, drawn = np.random.default_rng(seed), []
    for _ in range(photos):
        first_steps, groups = toy_photo(random, size)
        drawn.append(photo_losses(first_steps, shape.grouping.merge(groups), shape.joint_offsets))
    return drawn


def toy_table(losses: Iterable[PhotoLosses]) -> LossTable:
    """Count photos; the atypicality of each is its position in the list."""
    losses = list(losses)
    table = LossTable.empty(len(losses))
    for row, photo in enumerate(losses):
        table.add(row, photo, float(row))
    return table


def toy_calibration(losses: Iterable[PhotoLosses], shape: Shape = SHAPE) -> Calibration:
    """A calibration on photos of these losses."""
    return Calibration(shape, toy_table(losses), **HASHES, **LIMITS)


def read_calibration(folder: Path) -> Calibration:
    """Read a calibration without the rest of its package."""
    return parse_calibration(folder, {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
