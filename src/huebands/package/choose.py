"""Which model package is taken when nobody names one, and what the index of released ones says of them."""

import json
from pathlib import Path
from typing import Any

from huebands.files import atomic
from huebands.package.package import CONFIG, PackageError

RELEASE, GENERATOR = Path("models/release"), Path("models/generator")
INDEX = "index.json"  # of models/release, written by `huebands.release`
INSTALLED = Path(__file__).parents[2]  # holds models only in a bento, which serves what is inside wherever it starts
_CHECKOUT = Path(__file__).parents[3]


def default_package(folders: tuple[Path, ...] = (INSTALLED, Path(), _CHECKOUT)) -> Path:
    """Find the best package of models/release, as its index names it, else models/generator.

    Args:
        folders: searched in turn: the bento that this module lies in, the current folder, the module's checkout.

    Raises:
        PackageError: when no folder has one, or an index names none that is there.
    """
    for folder in folders:
        if (folder / RELEASE / INDEX).is_file():
            return _best(folder / RELEASE)
        atomic.settle(folder / GENERATOR)  # back in its place where its replacement was killed
        if (folder / GENERATOR / CONFIG).is_file():
            return folder / GENERATOR
    raise PackageError(
        f"no model package in {RELEASE} or {GENERATOR}; make one with `make repro`, or name one with --model"
        " or HUEBANDS_MODEL"
    )


def released_sha256(folder: Path) -> str | None:
    """The package_sha256 that the index says of a package in models/release; None for what is in no index.

    Raises:
        PackageError: when the index cannot be read.
    """
    release = folder.resolve().parent
    path = release / INDEX
    if release.parts[-2:] != RELEASE.parts or not path.is_file():
        return None
    sha256 = _read_index(path)["packages"].get(folder.resolve().name, {}).get("package_sha256")
    return None if sha256 is None else str(sha256)


def _best(release: Path) -> Path:
    path = release / INDEX
    best = release / str(_read_index(path)["best"])
    if not (best / CONFIG).is_file():
        raise PackageError(f"{path}: the best package (={best.name!r}) is not there; take it from git again")
    if released_sha256(best) is None:
        raise PackageError(
            f"{path}: says no package_sha256 of the best package (={best.name!r}); write it anew with"
            f" `python -m huebands.promotion.release {best.name}`"
        )
    return best


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        _ = str(index["best"]), {name: dict(entry) for name, entry in index["packages"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise PackageError(
            f"{path}: names no best package ({error!r}); take it from git again, or write it anew with"
            " `python -m huebands.promotion.release NAME`"
        ) from error
    return dict(index)
