"""Reads and writes a model package: one folder that holds all that colorizing needs, and no pickle.

- generator.safetensors: the weights;
- config.json: network, preprocessing and lineage;
- distribution.safetensors and distribution.json: the colour distribution that shapes the bands;
- calibration.npz and calibration.json: the conformal tables;
- certificate.html and MODEL_CARD.md: for people.

A package that was trained but not calibrated has only the first two.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from huebands.color import AB_SCALE
from huebands.conformal.calibration import Calibration, CalibrationError
from huebands.conformal.calibration_files import is_of_earlier_form
from huebands.distribution import model as distribution_model
from huebands.distribution.model import DistributionError, DistributionModel, read_distribution
from huebands.models.interface import Network, NetworkParams
from huebands.models.parameters import ParamsError, below, build
from huebands.models.registry import ChosenNetwork, build_network
from huebands.models.weights import WeightsError, read_weights, write_weights

FORMAT = 4
# That can be read. Before format 4, networks are called as people write them and the lineage has the parameters of
# training alone; before 3, every network is a U-Net with batch normalisation.
FORMATS = (2, 3, 4)
WEIGHTS, CONFIG = "generator.safetensors", "config.json"
CARD, CERTIFICATE = "MODEL_CARD.md", "certificate.html"
CALIBRATION = ("calibration.npz", "calibration.json")
DISTRIBUTION = (distribution_model.WEIGHTS, distribution_model.DESCRIPTION)
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
    distribution: DistributionModel | None  # None: trained, but not calibrated
    calibration: Calibration | None  # None: likewise, or calibrated by an earlier version of huebands
    weights_sha256: str  # of generator.safetensors
    preprocessing_sha256: str  # of network and preprocessing
    package_sha256: str  # of the names and contents of all its files

    @property
    def upsampling(self) -> dict[str, Any]:
        """How the network's colours come to a photo's size, as `ColourLines.fit` takes it."""
        return dict(self.config["preprocessing"]["upsampling"])


def write_generator(folder: Path, state: Mapping[str, Tensor], config: dict[str, Any]) -> str:
    """Write a package without calibration: weights (kernels in float16) and configuration.

    Args:
        folder: made if need be; files of the same names are replaced.
        state: the generator's state_dict.
        config: what `read_package` accepts as config.json.

    Returns:
        The sha256 of the weights' file.

    Raises:
        PackageError: when the configuration is not allowed.
    """
    check_config(folder / CONFIG, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, {name: _storable(tensor) for name, tensor in state.items()})
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return _sha256((folder / WEIGHTS).read_bytes())


def read_package(folder: Path) -> ModelPackage:
    """Read and check a model package.

    Raises:
        PackageError: names the file, the value and what to do.
    """
    if not folder.is_dir():
        raise PackageError(f"{folder}: no such folder; give the folder of a model package")
    config = _read_config(folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        raise PackageError(f"{folder / WEIGHTS}: missing; write the package again with `dvc repro`")
    weights_sha256 = _sha256((folder / WEIGHTS).read_bytes())
    preprocessing_sha256 = hash_preprocessing(config)
    generator = _read_generator(folder / WEIGHTS, config)  # first: what is damaged belongs to nothing
    distribution, calibration = _read_bands(folder, weights_sha256, preprocessing_sha256)
    return ModelPackage(
        folder=folder,
        generator=generator,
        config=config,
        distribution=distribution,
        calibration=calibration,
        weights_sha256=weights_sha256,
        preprocessing_sha256=preprocessing_sha256,
        package_sha256=hash_package(folder),
    )


def assemble(folder: Path, trained: Path, distribution: Path, calibration: Path, card: str) -> ModelPackage:
    """Join a trained generator, a colour distribution, the calibration and a card to a package, all or nothing.

    Args:
        folder: of the package; an older one is replaced, once the new one has been read back without error.
        trained: folder of a package without calibration.
        distribution: folder with distribution.safetensors and distribution.json.
        calibration: folder with calibration.npz, calibration.json and certificate.html.
        card: Markdown.

    Raises:
        PackageError: when a file is missing or the calibration belongs to another generator.
    """
    sources = [trained / WEIGHTS, trained / CONFIG, *(distribution / name for name in DISTRIBUTION)]
    sources += [calibration / name for name in (*CALIBRATION, CERTIFICATE)]
    for source in sources:
        if not source.is_file():
            raise PackageError(f"{source}: missing; `dvc repro` makes it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        for source in sources:
            shutil.copyfile(source, new / source.name)
        (new / CARD).write_text(card, encoding="utf-8")
        read_package(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    return read_package(folder)


def hash_preprocessing(config: Mapping[str, Any]) -> str:
    """The sha256 of the canonical JSON of network and preprocessing."""
    part = {key: config[key] for key in ("network", "preprocessing")}
    return _sha256(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())


def _storable(tensor: Tensor) -> Tensor:
    """Kernels go to half precision, half the size; whatever is measured is measured on what was stored."""
    kept = tensor.half() if tensor.ndim > 1 else tensor
    return kept.detach().cpu().contiguous()


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PackageError(f"{path}: missing; {path.parent} is not a model package")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
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


def _read_generator(path: Path, config: Mapping[str, Any]) -> Network:
    try:
        generator = build_network(network_params(config), config["preprocessing"]["image_size"])
        state = read_weights(path)
        generator.load_state_dict(state)
    except (WeightsError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PackageError(f"{path}: does not hold the weights of {config['network']}: {reason}") from error
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise PackageError(f"{path}: {name} holds values that are not finite; train again")
    return generator.eval().requires_grad_(False)


def _read_bands(
    folder: Path, weights_sha256: str, preprocessing_sha256: str
) -> tuple[DistributionModel | None, Calibration | None]:
    names = (*CALIBRATION, *DISTRIBUTION, CERTIFICATE)
    present = [name for name in names if (folder / name).is_file()]
    if not present or is_of_earlier_form(folder):
        return None, None
    for name in names:
        if name not in present:
            raise PackageError(f"{folder / name}: missing beside {present[0]}; calibrate with `dvc repro`")
    try:
        distribution, calibration = read_distribution(folder), Calibration.load(folder)
    except (DistributionError, CalibrationError) as error:
        raise PackageError(str(error)) from error
    own = {
        "weights_sha256": weights_sha256,
        "distribution_sha256": distribution.sha256,
        "preprocessing_sha256": preprocessing_sha256,
    }
    for key, value in own.items():
        if (other := getattr(calibration, key)) != value:
            raise PackageError(
                f"{folder / CALIBRATION[1]}: {key} (={other!r}) must be the package's {value!r}:"
                " the calibration belongs to another model; calibrate again with `dvc repro`"
            )
    return distribution, calibration


def hash_package(folder: Path) -> str:
    """The sha256 of the names and contents of a package's files."""
    names = [
        name for name in (WEIGHTS, CONFIG, *DISTRIBUTION, *CALIBRATION, CERTIFICATE, CARD) if (folder / name).is_file()
    ]
    hashes = {name: _sha256((folder / name).read_bytes()) for name in names}
    return _sha256(json.dumps(hashes, sort_keys=True, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
