"""Reads a model package: one folder that holds all that colorizing needs, and no pickle.

- generator.safetensors: the weights;
- config.json: network, preprocessing and lineage;
- distribution.safetensors and distribution.json: the colour density that shapes the bands;
- calibration.npz and calibration.json: the conformal tables;
- certificate.html and MODEL_CARD.md: for people;
- manifest.json: the hash of every other file.

A package that was trained but not calibrated has only the first two and the manifest. Each file is read once: the bytes
that are parsed are the bytes that were hashed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from huebands.conformal.calibration import Calibration, CalibrationError
from huebands.density.model import Density, DensityError, parse_density
from huebands.files.manifest import MANIFEST, FolderError, check_manifest, read_folder
from huebands.models.interface import Network
from huebands.models.registry import build_network
from huebands.models.weights import WeightsError, parse_weights
from huebands.package.hashes import check_hash, hash_files
from huebands.package.schema import (
    CALIBRATION,
    CERTIFICATE,
    CONFIG,
    DENSITY,
    FILES,
    WEIGHTS,
    PackageConfig,
    PackageError,
    hash_preprocessing,
    parse_config,
)


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A checked model package, ready to use."""

    folder: Path
    generator: Network  # in eval mode
    config: dict[str, Any]  # as it stands in config.json
    density: Density | None  # None: trained, but not calibrated
    calibration: Calibration | None  # None: likewise
    certificate: bytes | None  # the page certificate.html; None: likewise
    weights_sha256: str  # of generator.safetensors
    preprocessing_sha256: str  # of network and preprocessing
    package_sha256: str  # of the names and contents of all its files

    @property
    def upsampling(self) -> dict[str, Any]:
        """How the network's colours come to a photo's size, as `ColourLines.fit` takes it."""
        return dict(self.config["preprocessing"]["upsampling"])


def read_package(folder: Path, package_sha256: str | None = None) -> ModelPackage:
    """Read and check a model package.

    Args:
        folder: of the package.
        package_sha256: that it must have, as it was released or registered; None where nothing says which.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    files = read_files(folder)
    check_hash(folder, hash_files(files), package_sha256)
    return parse_package(folder, files)


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a package, and check them against its manifest.

    Returns:
        The content by name, the manifest's too where there is one.

    Raises:
        PackageError: names the file, and what to do.
    """
    if folder.is_dir() and not (folder / CONFIG).exists():
        raise PackageError(f"{folder / CONFIG}: missing; {folder} is not a model package")
    try:
        files = read_folder(folder, FILES)
        if MANIFEST in files:
            check_manifest(folder, files)
    except FolderError as error:
        raise PackageError(str(error)) from error
    if MANIFEST not in files and parse_config(folder / CONFIG, files.get(CONFIG, b""))[1].format > 3:
        raise PackageError(f"{folder / MANIFEST}: missing; take the folder from its source again")
    return files


def parse_package(folder: Path, files: Mapping[str, bytes]) -> ModelPackage:
    """Make a package of the contents of its files.

    Args:
        folder: for the package and its errors; it is not read.
        files: content by name.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    values, config = parse_config(folder / CONFIG, files.get(CONFIG, b""))
    if WEIGHTS not in files:
        raise PackageError(f"{folder / WEIGHTS}: missing; write the package again with `dvc repro`")
    weights_sha256 = hashlib.sha256(files[WEIGHTS]).hexdigest()
    preprocessing_sha256 = hash_preprocessing(values)
    # The generator comes first: a calibration cannot belong to damaged weights.
    generator = _build_generator(folder / WEIGHTS, files[WEIGHTS], config)
    density, calibration = _parse_bands(folder, files, weights_sha256, preprocessing_sha256)
    return ModelPackage(
        folder=folder,
        generator=generator,
        config=values,
        density=density,
        calibration=calibration,
        certificate=files.get(CERTIFICATE) if calibration else None,
        weights_sha256=weights_sha256,
        preprocessing_sha256=preprocessing_sha256,
        package_sha256=hash_files(files),
    )


def _build_generator(path: Path, content: bytes, config: PackageConfig) -> Network:
    try:
        generator = build_network(config.network, config.preprocessing.image_size)
        state = parse_weights(path, content)
        generator.load_state_dict(state)
    except (WeightsError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PackageError(f"{path}: does not hold the weights of {config.network}: {reason}") from error
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise PackageError(f"{path}: {name} holds values that are not finite; train again")
    return generator.eval().requires_grad_(False)


def _parse_bands(
    folder: Path, files: Mapping[str, bytes], weights_sha256: str, preprocessing_sha256: str
) -> tuple[Density | None, Calibration | None]:
    names = (*CALIBRATION, *DENSITY, CERTIFICATE)
    present = [name for name in names if name in files]
    if not present:
        return None, None
    for name in names:
        if name not in present:
            raise PackageError(f"{folder / name}: missing beside {present[0]}; calibrate with `dvc repro`")
    try:
        density, calibration = parse_density(folder, files), Calibration.parse(folder, files)
    except (DensityError, CalibrationError) as error:
        raise PackageError(str(error)) from error
    hashes = {
        "weights_sha256": weights_sha256,
        "distribution_sha256": density.sha256,
        "preprocessing_sha256": preprocessing_sha256,
    }
    for key, sha256 in hashes.items():
        if (calibrated := getattr(calibration, key)) != sha256:
            raise PackageError(
                f"{folder / CALIBRATION[1]}: {key} (={calibrated!r}) must be the package's {sha256!r}:"
                " the calibration belongs to another model; calibrate again with `dvc repro`"
            )
    return density, calibration
