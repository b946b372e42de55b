"""Reads and writes a model package: one folder that holds all that colorizing needs, and no pickle.

- generator.safetensors: the weights;
- config.json: network, preprocessing and lineage;
- distribution.safetensors and distribution.json: the colour distribution that shapes the bands;
- calibration.npz and calibration.json: the conformal tables;
- certificate.html and MODEL_CARD.md: for people;
- manifest.json: the hash of every other file.

A package that was trained but not calibrated has only the first two and the manifest. Each file is read once, and what
is parsed is what was hashed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from huebands.color import AB_SCALE
from huebands.conformal.calibration import Calibration, CalibrationError
from huebands.density import model as density_model
from huebands.density.model import Density, DensityError, parse_density
from huebands.files.manifest import (
    MANIFEST,
    FolderError,
    check_manifest,
    hashes_of,
    read_file,
    read_folder,
    write_folder,
)
from huebands.models.interface import Network, NetworkParams
from huebands.models.parameters import ParamsError, below, build
from huebands.models.registry import ChosenNetwork, build_network
from huebands.models.weights import WeightsError, encode_weights, parse_weights

FORMAT = 4
# That can be read. Before format 4, a package may lack the manifest, networks are called as people write them, and the
# lineage has the parameters of the training alone; before 3, every network is a U-Net with batch normalisation.
FORMATS = (2, 3, 4)
WEIGHTS, CONFIG = "generator.safetensors", "config.json"
CARD, CERTIFICATE = "MODEL_CARD.md", "certificate.html"
CALIBRATION = ("calibration.npz", "calibration.json")
DENSITY = (density_model.WEIGHTS, density_model.DESCRIPTION)
FILES = (WEIGHTS, CONFIG, *DENSITY, *CALIBRATION, CERTIFICATE, CARD)
LIGHTNESS, RESIZE = "cielab-d65-8bit-grey", "bilinear-antialias"
BILINEAR = {"name": "bilinear"}


class PackageError(ValueError):
    """A model package lacks something or holds something that is not allowed."""


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A checked model package, ready to use."""

    folder: Path
    generator: Network  # in eval mode
    config: dict[str, Any]
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


def write_generator(folder: Path, state: Mapping[str, Tensor], config: dict[str, Any]) -> str:
    """Write a package without calibration: weights (kernels in float16), configuration and manifest.

    Args:
        folder: replaced as a whole.
        state: the generator's state_dict.
        config: what `read_package` accepts as config.json.

    Returns:
        The sha256 of the weights' file.

    Raises:
        PackageError: when the configuration is not allowed.
    """
    check_config(folder / CONFIG, config)
    weights = encode_weights(folder / WEIGHTS, {name: _storable(tensor) for name, tensor in state.items()})
    write_folder(folder, {WEIGHTS: weights, CONFIG: _encode(config)})
    return _sha256(weights)


def read_package(folder: Path, package_sha256: str | None = None) -> ModelPackage:
    """Read and check a model package.

    Args:
        folder: of the package.
        package_sha256: which it must have, as it was released or registered; None where nobody knows.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    files = read_files(folder)
    check_hash(folder, hash_files(files), package_sha256)
    return _parse(folder, files)


def assemble(folder: Path, trained: Path, density: Path, calibration: Path, card: str) -> ModelPackage:
    """Join a trained generator, a colour distribution, the calibration and a card to a package, all or nothing.

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
    config = _parse_config(trained / CONFIG, files.get(CONFIG, b""))
    check_newest(trained, config)
    for part, names in ((density, DENSITY), (calibration, (*CALIBRATION, CERTIFICATE))):
        files |= {name: _read_part(part / name) for name in names}
    files[CARD] = card.encode("utf-8")
    package = _parse(folder, files)
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


def check_hash(folder: Path, found: str, expected: str | None) -> None:
    """Check that a package is the one that is expected.

    Raises:
        PackageError: when it is another.
    """
    if expected is not None and found != expected:
        raise PackageError(
            f"{folder}: package_sha256 (={found!r}) must be {expected!r}, that of the package which was released or"
            " registered: its files were changed; take the folder from its source again"
        )


def check_newest(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a package's lineage tells of model and training as this version does.

    Raises:
        PackageError: when it is of an earlier format.
    """
    if config["format"] != FORMAT:
        raise PackageError(
            f"{folder / CONFIG}: format (={config['format']}) must be {FORMAT}; train again with this version"
        )


def hash_preprocessing(config: Mapping[str, Any]) -> str:
    """The sha256 of the canonical JSON of network and preprocessing."""
    part = {key: config[key] for key in ("network", "preprocessing")}
    return _sha256(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())


def _storable(tensor: Tensor) -> Tensor:
    """Kernels go to half precision, half the size; whatever is measured is measured on what was stored."""
    kept = tensor.half() if tensor.ndim > 1 else tensor
    return kept.detach().cpu().contiguous()


def _encode(config: Mapping[str, Any]) -> bytes:
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode("utf-8")


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a package, and hold them against its manifest.

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
    if MANIFEST not in files and _parse_config(folder / CONFIG, files.get(CONFIG, b""))["format"] > 3:
        raise PackageError(f"{folder / MANIFEST}: missing; take the folder from its source again")
    return files


def _read_part(path: Path) -> bytes:
    if not path.exists():
        raise PackageError(f"{path}: missing; `dvc repro` makes it")
    try:
        return read_file(path)
    except FolderError as error:
        raise PackageError(str(error)) from error


def _parse(folder: Path, files: Mapping[str, bytes]) -> ModelPackage:
    """Make a package of its files' contents."""
    config = _parse_config(folder / CONFIG, files.get(CONFIG, b""))
    if WEIGHTS not in files:
        raise PackageError(f"{folder / WEIGHTS}: missing; write the package again with `dvc repro`")
    weights_sha256, preprocessing_sha256 = _sha256(files[WEIGHTS]), hash_preprocessing(config)
    # First the generator: what is damaged belongs to nothing.
    generator = _build_generator(folder / WEIGHTS, files[WEIGHTS], config)
    density, calibration = _parse_bands(folder, files, weights_sha256, preprocessing_sha256)
    return ModelPackage(
        folder=folder,
        generator=generator,
        config=config,
        density=density,
        calibration=calibration,
        certificate=files.get(CERTIFICATE) if calibration else None,
        weights_sha256=weights_sha256,
        preprocessing_sha256=preprocessing_sha256,
        package_sha256=hash_files(files),
    )


def _parse_config(path: Path, content: bytes) -> dict[str, Any]:
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path}: not JSON ({error}); write the package again") from error
    check_config(path, config)
    return dict(config)


def check_config(path: Path, config: Any) -> None:
    """Check what would be, or was read as, config.json.

    Args:
        path: for the error.
        config: any value.

    Raises:
        PackageError: names the key, its value and what is allowed.
    """

    def check(holds: bool, key: str, value: object, must: str) -> None:
        if not holds:
            raise PackageError(f"{path}: {key} (={value!r}) must {must}")

    def section(key: str, value: Any, names: set[str]) -> Any:
        check(isinstance(value, dict), key, value, "be a mapping")
        check(set(value) == names, key, sorted(value), f"have the keys {', '.join(sorted(names))}")
        return value

    def whole(key: str, value: Any, low: int, high: int) -> None:
        check(type(value) is int and low <= value <= high, key, value, f"be an integer in [{low}, {high}]")

    check(isinstance(config, dict), "the content", type(config).__name__, "be a mapping")
    check(
        type(config.get("format")) is int and config["format"] in FORMATS,
        "format",
        config.get("format"),
        f"be one of {', '.join(map(str, FORMATS))}, those that this version of huebands reads",
    )
    section("the content", config, {"format", "name", "network", "preprocessing", "lineage"})
    check(isinstance(config["name"], str) and config["name"] != "", "name", config["name"], "be a text")

    try:
        with below("network"):
            params = network_params(config)
    except ParamsError as error:
        raise PackageError(f"{path}: {error}") from error

    names = {"image_size", "lightness", "resize", "ab_scale", "upsampling"}
    preprocessing = section("preprocessing", config["preprocessing"], names)
    size = preprocessing["image_size"]
    whole("preprocessing.image_size", size, params.smallest, 4096)
    check(
        size % params.multiple == 0,
        "preprocessing.image_size",
        size,
        f"be a multiple of {params.multiple} for this network",
    )
    for key, only in (("lightness", LIGHTNESS), ("resize", RESIZE), ("ab_scale", AB_SCALE)):
        check(preprocessing[key] == only, f"preprocessing.{key}", preprocessing[key], f"be {only!r}")
    upsampling = section("preprocessing.upsampling", preprocessing["upsampling"], {"name", "radius", "epsilon"})
    name, epsilon = upsampling["name"], upsampling["epsilon"]
    check(name in ("bilinear", "guided"), "preprocessing.upsampling.name", name, "be 'bilinear' or 'guided'")
    whole("preprocessing.upsampling.radius", upsampling["radius"], 1, size // 2)
    positive = type(epsilon) in (int, float) and 0 < epsilon < float("inf")
    check(positive, "preprocessing.upsampling.epsilon", epsilon, "be positive and finite")

    # Packages of before trained in the precision that their params name.
    chosen = {"precision"} & set(config["lineage"]) if isinstance(config["lineage"], dict) else set()
    lineage = section("lineage", config["lineage"], {"git_commit", "data_sha256", "data", "params"} | chosen)
    for key in ("git_commit", "data_sha256", "data"):
        check(isinstance(lineage[key], str), f"lineage.{key}", lineage[key], "be a text")
    check(isinstance(lineage["params"], dict), "lineage.params", lineage["params"], "be a mapping")
    if chosen:
        value = lineage["precision"]
        check(value in ("float32", "bfloat16"), "lineage.precision", value, "be 'float32' or 'bfloat16'")


def network_params(config: Mapping[str, Any]) -> NetworkParams:
    """Build the parameters of a package's network.

    Raises:
        ParamsError: names the key below "network", its value and what is allowed.
    """
    values = config["network"]
    if config["format"] < 4 and isinstance(values, dict):
        values = {**values, "name": str(values.get("name")).replace("-", "_")}
    if config["format"] < 3:
        values = {**values, "norm": "batch"}
    params: NetworkParams = build(ChosenNetwork, values)
    return params


def _build_generator(path: Path, content: bytes, config: Mapping[str, Any]) -> Network:
    try:
        generator = build_network(network_params(config), config["preprocessing"]["image_size"])
        state = parse_weights(path, content)
        generator.load_state_dict(state)
    except (WeightsError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PackageError(f"{path}: does not hold the weights of {config['network']}: {reason}") from error
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
    own = {
        "weights_sha256": weights_sha256,
        "distribution_sha256": density.sha256,
        "preprocessing_sha256": preprocessing_sha256,
    }
    for key, value in own.items():
        if (other := getattr(calibration, key)) != value:
            raise PackageError(
                f"{folder / CALIBRATION[1]}: {key} (={other!r}) must be the package's {value!r}:"
                " the calibration belongs to another model; calibrate again with `dvc repro`"
            )
    return density, calibration


def hash_package(folder: Path) -> str:
    """The sha256 of the names and contents of a package's files, whatever they hold.

    Raises:
        PackageError: when something in the folder is no file of a package.
    """
    try:
        return hash_files(read_folder(folder, FILES))
    except FolderError as error:
        raise PackageError(str(error)) from error


def hash_files(files: Mapping[str, bytes]) -> str:
    """The sha256 of the names and contents of files; the manifest, which lists the same, does not count."""
    return _sha256(json.dumps(hashes_of(files), sort_keys=True, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
