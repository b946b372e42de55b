"""The files of a model package, and config.json as checked dataclasses.

config.json has the format `FORMAT`. Two earlier formats stay readable, because packages of this repository have them:
models/release/photos has format 3, models/seed has format 2. `migrate` brings them to the current form.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huebands.color import AB_SCALE
from huebands.models.parameters import ParamsError, build, check
from huebands.models.params import Resize, UpsamplingParams, check_upsampling
from huebands.models.registry import ChosenNetwork
from huebands.models.views import check_views

FORMAT = 4
FORMATS = (2, 3, 4)
WEIGHTS, CONFIG = "generator.safetensors", "config.json"
CARD, CERTIFICATE = "MODEL_CARD.md", "certificate.html"
CALIBRATION = ("calibration.npz", "calibration.json")
HINTS_CALIBRATION = ("calibration-hints.npz", "calibration-hints.json")  # on photos with hints
DENSITY = ("distribution.safetensors", "distribution.json")
FILES = (WEIGHTS, CONFIG, *DENSITY, *CALIBRATION, CERTIFICATE, CARD)
OPTIONAL = HINTS_CALIBRATION
LIGHTNESS = "cielab-d65-8bit-grey"
LARGEST_SIDE = 4096  # pixels of the network's square


class PackageError(ValueError):
    """A model package lacks something or holds something that is not allowed."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a photo becomes the network's input, and the network's output the photo's colours."""

    image_size: int  # side of the network's square, pixels
    lightness: Literal["cielab-d65-8bit-grey"]
    resize: Resize
    views: int = 1  # of a photo, whose colours are averaged
    ab_scale: float  # ab_unit times this is ab, CIELAB units
    upsampling: UpsamplingParams

    def __post_init__(self) -> None:
        check(self.ab_scale == AB_SCALE, "ab_scale", self.ab_scale, f"be {AB_SCALE!r}")
        check_views("views", self.views, self.image_size)
        check_upsampling(self.upsampling, self.image_size)


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a package was made from."""

    git_commit: str
    data_sha256: str  # of the prepared dataset
    data: str  # name of the dataset
    params: dict[str, Any]  # of model and training; before format 4, of the training alone
    precision: Literal["float32", "bfloat16", "as in params"] = "as in params"  # that the training was computed in
    collapse: str = ""  # of the discriminator, in words that follow "The discriminator"; "": none was noticed
    remark: str = ""  # what the parameters do not tell of the training, in sentences


@dataclass(frozen=True, kw_only=True)
class PackageConfig:
    """The content of config.json."""

    format: int
    name: str  # of the model
    network: ChosenNetwork
    preprocessing: Preprocessing
    lineage: Lineage

    def __post_init__(self) -> None:
        check(self.name != "", "name", self.name, "be a text")
        smallest, multiple, size = self.network.smallest, self.network.multiple, self.preprocessing.image_size
        key = "preprocessing.image_size"
        check(smallest <= size <= LARGEST_SIDE, key, size, f"be an integer in [{smallest}, {LARGEST_SIDE}]")
        check(size % multiple == 0, key, size, f"be a multiple of {multiple} for this network")


def parse_config(path: Path, content: bytes) -> tuple[dict[str, Any], PackageConfig]:
    """Parse the bytes of config.json.

    Args:
        path: named in errors.
        content: UTF-8 JSON.

    Returns:
        The values as they stand in the file, and the same checked and in the current form.

    Raises:
        PackageError: names the key, its value and what is allowed.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path}: not JSON ({error}); write the package again") from error
    return values, check_config(path, values)


def check_config(path: Path, values: Any) -> PackageConfig:
    """Check the values of config.json.

    Args:
        path: named in errors.
        values: any value.

    Raises:
        PackageError: names the key, its value and what is allowed.
    """
    try:
        config: PackageConfig = build(PackageConfig, migrate(values))
    except ParamsError as error:
        raise PackageError(f"{path}: {error}") from error
    return config


def migrate(values: Any) -> Any:
    """Bring the values of an earlier config.json to the current form; the key `format` stays as it was written.

    Before format 4 the names of networks have hyphens. Before format 3 every network is a U-Net with batch
    normalisation.

    Raises:
        ParamsError: when the format is unknown.
    """
    check(isinstance(values, dict), "the content", type(values).__name__, "be a mapping")
    number, network = values.get("format"), values.get("network")
    formats = ", ".join(map(str, FORMATS))
    is_readable = type(number) is int and number in FORMATS
    check(is_readable, "format", number, f"be one of {formats}, those that this version of huebands reads")
    if not isinstance(network, Mapping):
        return values
    if number < 4:
        network = {**network, "name": str(network.get("name")).replace("-", "_")}
    if number < 3:
        network = {**network, "norm": "batch"}
    return {**values, "network": network}


def check_newest(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that the lineage of a package has the parameters of model and training that this version writes.

    Raises:
        PackageError: when the package has an earlier format.
    """
    if config["format"] != FORMAT:
        raise PackageError(
            f"{folder / CONFIG}: format (={config['format']}) must be {FORMAT}; train again with this version"
        )


def encode_config(config: Mapping[str, Any]) -> bytes:
    """Write config.json; equal values give equal bytes."""
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode("utf-8")


def hash_preprocessing(config: Mapping[str, Any]) -> str:
    """The sha256 of the canonical JSON of network and preprocessing, as they stand in config.json."""
    values = {key: config[key] for key in ("network", "preprocessing")}
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
