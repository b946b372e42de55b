"""Which model package is taken when nobody names one."""

import json
from dataclasses import dataclass
from pathlib import Path

from huebands.package import CONFIG, PackageError

RELEASE, GENERATOR = Path("models/release"), Path("models/generator")
INDEX = "index.json"  # of models/release, written by `huebands.promotion.release`
INSTALLED = Path(__file__).parents[1]  # holds models only in a bento, which serves what is inside wherever it starts
_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class DefaultPackage:
    """A package that is taken when nobody names one.

    Attributes:
        folder: of the package.
        package_sha256: which the index of models/release says it has; None: the pipeline's own, which is in no index.
    """

    folder: Path
    package_sha256: str | None


def default_package(folders: tuple[Path, ...] = (INSTALLED, Path(), _CHECKOUT)) -> DefaultPackage:
    """Find the best package of models/release, as its index names it, else models/generator.

    Args:
        folders: searched in turn: the bento that this module lies in, the current folder, the module's checkout.

    Raises:
        PackageError: when no folder has one, or an index names none that is there.
    """
    for folder in folders:
        if (folder / RELEASE / INDEX).is_file():
            return _best(folder / RELEASE)
        if (folder / GENERATOR / CONFIG).is_file():
            return DefaultPackage(folder / GENERATOR, None)
    raise PackageError(
        f"no model package in {RELEASE} or {GENERATOR}; make one with `make repro`, or name one with --model"
        " or HUEBANDS_MODEL"
    )


def _best(release: Path) -> DefaultPackage:
    path = release / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        best = release / str(index["best"])
        package_sha256 = str(index["packages"][best.name]["package_sha256"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PackageError(
            f"{path}: names no best package with its package_sha256 ({error!r}); write it anew with"
            " `python -m huebands.promotion.release NAME`"
        ) from error
    if not (best / CONFIG).is_file():
        raise PackageError(f"{path}: the best package (={best.name!r}) is not there; take it from git again")
    return DefaultPackage(best, package_sha256)
