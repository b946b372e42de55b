"""Writes model packages: of a training, of all parts together, or as a copy; each folder as a whole or not at all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from huebands.files.manifest import FolderError, read_file, write_folder
from huebands.models.weights import encode_weights
from huebands.package.hashes import check_hash, hash_files
from huebands.package.read import ModelPackage, parse_package, read_files
from huebands.package.schema import (
    CALIBRATION,
    CARD,
    CERTIFICATE,
    CONFIG,
    DENSITY,
    WEIGHTS,
    PackageError,
    check_config,
    check_newest,
    encode_config,
    parse_config,
)


def write_generator(folder: Path, state: Mapping[str, Tensor], config: dict[str, Any]) -> str:
    """Write a package without calibration: weights (kernels in float16), configuration and manifest.

    Args:
        folder: replaced as a whole.
        state: the generator's state_dict.
        config: values that `read_package` accepts as config.json.

    Returns:
        The sha256 of the weights' file.

    Raises:
        PackageError: when the configuration is not allowed.
    """
    check_config(folder / CONFIG, config)
    weights = encode_weights(folder / WEIGHTS, {name: _storable(tensor) for name, tensor in state.items()})
    write_folder(folder, {WEIGHTS: weights, CONFIG: encode_config(config)})
    return hashlib.sha256(weights).hexdigest()


def assemble(folder: Path, trained: Path, density: Path, calibration: Path, card: str) -> ModelPackage:
    """Join a trained generator, a colour density, the calibration and a card to a package, all or nothing.

    Args:
        folder: of the package, replaced as a whole once the new one is known to be sound.
        trained: folder of a package without calibration, of the newest format.
        density: folder with distribution.safetensors and distribution.json.
        calibration: folder with calibration.npz, calibration.json and certificate.html.
        card: Markdown.

    Raises:
        PackageError: when a file is missing or the calibration belongs to another generator.
    """
    files = read_files(trained)
    values, _ = parse_config(trained / CONFIG, files[CONFIG])
    check_newest(trained, values)
    for part, names in ((density, DENSITY), (calibration, (*CALIBRATION, CERTIFICATE))):
        files |= {name: _read_part(part / name) for name in names}
    files[CARD] = card.encode("utf-8")
    package = parse_package(folder, files)
    write_folder(folder, files)
    return package


def copy_package(package: ModelPackage, folder: Path) -> None:
    """Copy a package that was read.

    Args:
        package: whose files are copied.
        folder: replaced as a whole.

    Raises:
        PackageError: when the files are no longer those that were read.
    """
    files = read_files(package.folder)
    check_hash(package.folder, hash_files(files), package.package_sha256)
    write_folder(folder, files)


def _storable(tensor: Tensor) -> Tensor:
    """Halve the size of kernels: they go to half precision, and every figure is measured on the stored weights."""
    stored = tensor.half() if tensor.ndim > 1 else tensor
    return stored.detach().cpu().contiguous()


def _read_part(path: Path) -> bytes:
    if not path.exists():
        raise PackageError(f"{path}: missing; `dvc repro` makes it")
    try:
        return read_file(path)
    except FolderError as error:
        raise PackageError(str(error)) from error
