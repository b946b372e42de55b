"""The default model package, and the index of the released packages."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from huebands.files import atomic
from huebands.models.parameters import ParamsError, build, check
from huebands.package.schema import CONFIG, PackageError

RELEASE, GENERATOR = Path("models/release"), Path("models/generator")
INDEX = "index.json"  # of models/release, written by `huebands.promotion.release`
INSTALLED = Path(__file__).parents[2]  # in a bento it holds the model that the bento serves
_CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class ReleasedPackage:
    """A released package: its hash, and its mean figures on the split of the index; NaN where none was measured."""

    package_sha256: str
    data_sha256: str = ""  # of the data that its figures were measured on, where that is not the index's
    ciede2000: float = math.nan
    lpips: float = math.nan
    colourfulness_error: float = math.nan
    bleeding: float = math.nan


@dataclass(frozen=True, kw_only=True)
class ReleaseIndex:
    """The content of models/release/index.json."""

    best: str  # name of the package that is taken by default
    split: str = ""  # that the packages were compared on
    data_sha256: str = ""  # of its dataset
    packages: dict[str, ReleasedPackage]

    def __post_init__(self) -> None:
        check(self.best in self.packages, "best", self.best, f"be one of {', '.join(self.packages)}")


def default_package(folders: tuple[Path, ...] = (INSTALLED, Path(), _CHECKOUT)) -> Path:
    """Find the best package of models/release, as its index names it, else models/generator.

    Args:
        folders: searched in turn: the bento that this module lies in, the current folder, the module's checkout.

    Raises:
        PackageError: when no folder has one, or an index names a package that is missing.
    """
    for folder in folders:
        if (folder / RELEASE / INDEX).is_file():
            return _best(folder / RELEASE)
        atomic.settle(folder / GENERATOR)  # restores the folder where its replacement was killed
        if (folder / GENERATOR / CONFIG).is_file():
            return folder / GENERATOR
    raise PackageError(
        f"no model package in {RELEASE} or {GENERATOR}; make one with `make repro`, or name one with --model"
        " or HUEBANDS_MODEL"
    )


def released_sha256(folder: Path) -> str | None:
    """The package_sha256 that the index has for a package of models/release; None for a package outside the index.

    Raises:
        PackageError: when the index cannot be read.
    """
    folder = folder.resolve()
    path = folder.parent / INDEX
    if folder.parent.parts[-2:] != RELEASE.parts or not path.is_file():
        return None
    released = read_index(path).packages.get(folder.name)
    return released.package_sha256 if released else None


def read_index(path: Path) -> ReleaseIndex:
    """Read the index of the released packages.

    Raises:
        PackageError: names the key, its value and what to do.
    """
    try:
        index: ReleaseIndex = build(ReleaseIndex, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        problem = str(error) if isinstance(error, ParamsError) else f"cannot be read ({error})"
        raise PackageError(f"{path}: {problem}; take it from git again") from error
    return index


def describe_package(package_sha256: str, means: Mapping[str, float]) -> ReleasedPackage:
    """The entry of a package whose figures were measured on the split of the index.

    Args:
        package_sha256: of the package.
        means: by criterion.
    """
    rounded = {criterion: round(mean, 4) for criterion, mean in means.items()}
    described: ReleasedPackage = build(ReleasedPackage, {"package_sha256": package_sha256, **rounded})
    return described


def encode_index(index: ReleaseIndex) -> str:
    """Write the content of index.json; what was not measured is left out, for JSON has no NaN."""
    packages = {
        name: {key: value for key, value in asdict(package).items() if value == value and value != ""}
        for name, package in index.packages.items()
    }
    return json.dumps({**asdict(index), "packages": packages}, indent=2, allow_nan=False) + "\n"


def _best(release: Path) -> Path:
    path = release / INDEX
    best = release / read_index(path).best
    if not (best / CONFIG).is_file():
        raise PackageError(f"{path}: the best package (={best.name!r}) is missing; take it from git again")
    return best
