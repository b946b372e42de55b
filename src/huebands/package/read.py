"""Reads a model package: one folder that holds all that colorizing needs, and no pickle.

- generator.safetensors: the weights;
- config.json: network, preprocessing and lineage;
- distribution.safetensors and distribution.json: the colour density that shapes the bands;
- calibration.npz and calibration.json: the conformal tables;
- calibration-hints.npz and calibration-hints.json: likewise, on photos with hints, where there is such a calibration;
- certificate.html and MODEL_CARD.md: for people;
- manifest.json: the hash of every other file.

A package that was trained but not calibrated has only the first two and the manifest. Each file is read once: the bytes
that are parsed are the bytes that were hashed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.conformal.calibration import Calibration
from huebands.conformal.calibration_files import parse_calibration
from huebands.conformal.table import CalibrationError
from huebands.density.model import Density, DensityError, parse_density
from huebands.models.interface import Network
from huebands.package.generator import TrainedGenerator, parse_generator, read_files
from huebands.package.hashes import hash_files
from huebands.package.schema import CALIBRATION, CERTIFICATE, DENSITY, HINTS_CALIBRATION, PackageError


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A checked model package, ready to use."""

    folder: Path
    generator: Network  # in eval mode
    config: dict[str, Any]  # as it stands in config.json
    density: Density | None  # None: trained, but not calibrated
    calibration: Calibration | None  # None: likewise
    hints_calibration: Calibration | None = None  # on photos with hints; None: there is none
    certificate: bytes | None  # the page certificate.html; None: likewise
    weights_sha256: str  # of generator.safetensors
    preprocessing_sha256: str  # of network and preprocessing
    package_sha256: str  # of the names and contents of all its files


def read_package(folder: Path, package_sha256: str | None = None) -> ModelPackage:
    """Read and check a model package.

    Args:
        folder: folder of the package.
        package_sha256: hash that it must have, as it was released or registered; None where it is unknown.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    return parse_package(folder, read_files(folder, package_sha256))


def parse_package(folder: Path, files: Mapping[str, bytes]) -> ModelPackage:
    """Make a package of the contents of its files.

    Args:
        folder: named in the package and in errors; it is not read.
        files: content by name.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    generator = parse_generator(folder, files)  # first: a calibration cannot belong to damaged weights
    density, calibration, hints_calibration = _parse_bands(folder, files, generator)
    return ModelPackage(
        folder=folder,
        generator=generator.network,
        config=generator.config,
        density=density,
        calibration=calibration,
        hints_calibration=hints_calibration,
        certificate=files.get(CERTIFICATE) if calibration else None,
        weights_sha256=generator.weights_sha256,
        preprocessing_sha256=generator.preprocessing_sha256,
        package_sha256=hash_files(files),
    )


def _parse_bands(
    folder: Path, files: Mapping[str, bytes], generator: TrainedGenerator
) -> tuple[Density | None, Calibration | None, Calibration | None]:
    required = (*CALIBRATION, *DENSITY, CERTIFICATE)
    present = [name for name in (*required, *HINTS_CALIBRATION) if name in files]
    if not present:
        return None, None, None
    has_hints = any(name in files for name in HINTS_CALIBRATION)
    for name in (*required, *(HINTS_CALIBRATION if has_hints else ())):
        if name not in present:
            raise PackageError(f"{folder / name}: missing beside {present[0]}; calibrate with `dvc repro`")
    try:
        density, calibration = parse_density(folder, files), parse_calibration(folder, files)
        hints_calibration = parse_calibration(folder, files, HINTS_CALIBRATION) if has_hints else None
    except (DensityError, CalibrationError) as error:
        raise PackageError(str(error)) from error
    hashes = {
        "weights_sha256": generator.weights_sha256,
        "distribution_sha256": density.sha256,
        "preprocessing_sha256": generator.preprocessing_sha256,
    }
    for checked, (_, name) in ((calibration, CALIBRATION), (hints_calibration, HINTS_CALIBRATION)):
        for key, sha256 in hashes.items():
            if checked is not None and (calibrated := getattr(checked, key)) != sha256:
                raise PackageError(
                    f"{folder / name}: {key} (={calibrated!r}) must be the package's {sha256!r}:"
                    " the calibration belongs to another model; calibrate again with `dvc repro`"
                )
    return density, calibration, hints_calibration
