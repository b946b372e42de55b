"""The trained part of a model package: network, preprocessing and lineage: enough for colours without bands."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from huebands.files.manifest import MANIFEST, FolderError, check_manifest, read_folder, write_folder
from huebands.models.interface import Network
from huebands.models.registry import build_network
from huebands.models.weights import WeightsError, encode_weights, parse_weights
from huebands.package.hashes import check_hash, hash_files
from huebands.package.schema import (
    CONFIG,
    FILES,
    OPTIONAL,
    WEIGHTS,
    PackageConfig,
    PackageError,
    check_config,
    encode_config,
    hash_preprocessing,
    parse_config,
)


@dataclass(frozen=True, kw_only=True)
class TrainedGenerator:
    """A checked generator, ready to use."""

    network: Network  # in eval mode
    config: dict[str, Any]  # as it stands in config.json
    weights_sha256: str  # of generator.safetensors
    preprocessing_sha256: str  # of network and preprocessing


def read_generator(folder: Path) -> TrainedGenerator:
    """Read the generator of a package, calibrated or not.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    return parse_generator(folder, read_files(folder))


def read_files(folder: Path, package_sha256: str | None = None) -> dict[str, bytes]:
    """Read the files of a package, and check them against its manifest and its hash.

    Args:
        folder: of the package.
        package_sha256: that it must have, as it was released or registered, with which it needs no manifest; None where
            nothing says which.

    Returns:
        The content by name, the manifest's too where there is one.

    Raises:
        PackageError: names the file, and what to do.
    """
    if folder.is_dir() and not (folder / CONFIG).exists():
        raise PackageError(f"{folder / CONFIG}: missing; {folder} is not a model package")
    try:
        files = read_folder(folder, (*FILES, *OPTIONAL))
        if MANIFEST in files:
            check_manifest(folder, files)
    except FolderError as error:
        remedy = "" if folder.exists() else "; name the folder of a package (`make repro` writes models/generator)"
        raise PackageError(f"{error}{remedy}") from error
    if MANIFEST not in files and package_sha256 is None:
        raise PackageError(f"{folder / MANIFEST}: missing; take the folder from its source again")
    check_hash(folder, hash_files(files), package_sha256)
    return files


def parse_generator(folder: Path, files: Mapping[str, bytes]) -> TrainedGenerator:
    """Make the generator of the contents of a package's files.

    Args:
        folder: named in errors; it is not read.
        files: content by name.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    values, config = parse_config(folder / CONFIG, files.get(CONFIG, b""))
    if WEIGHTS not in files:
        raise PackageError(f"{folder / WEIGHTS}: missing; write the package again with `dvc repro`")
    return TrainedGenerator(
        network=_build_network(folder / WEIGHTS, files[WEIGHTS], config),
        config=values,
        weights_sha256=hashlib.sha256(files[WEIGHTS]).hexdigest(),
        preprocessing_sha256=hash_preprocessing(values),
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


def _build_network(path: Path, content: bytes, config: PackageConfig) -> Network:
    try:
        network = build_network(config.network, config.preprocessing.image_size)
        state = parse_weights(path, content)
        network.load_state_dict(state)
    except (WeightsError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PackageError(f"{path}: does not hold the weights of {config.network}: {reason}") from error
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise PackageError(f"{path}: {name} holds values that are not finite; train again")
    return network.eval().requires_grad_(False)


def _storable(tensor: Tensor) -> Tensor:
    """Convert kernels to half precision, for half the size; every figure is measured on the stored weights."""
    stored = tensor.half() if tensor.ndim > 1 else tensor
    return stored.detach().cpu().contiguous()
