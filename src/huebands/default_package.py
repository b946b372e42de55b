"""Which model package is taken when nobody names one."""

import json
from pathlib import Path

from huebands.package import CONFIG, PackageError

RELEASE, GENERATOR = Path("models/release"), Path("models/generator")
INDEX = "index.json"  # of models/release, written by `huebands.promotion.release`
INSTALLED = Path(__file__).parents[1]  # holds models only in a bento, which serves what is inside wherever it starts
_CHECKOUT = Path(__file__).parents[2]


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
        if (folder / GENERATOR / CONFIG).is_file():
            return folder / GENERATOR
    raise PackageError(
        f"no model package in {RELEASE} or {GENERATOR}; make one with `make repro`, or name one with --model"
        " or HUEBANDS_MODEL"
    )


def _best(release: Path) -> Path:
    path = release / INDEX
    try:
        best = release / str(json.loads(path.read_text(encoding="utf-8"))["best"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PackageError(
            f"{path}: names no best package ({error!r}); write it anew with `python -m huebands.promotion.release NAME`"
        ) from error
    if not (best / CONFIG).is_file():
        raise PackageError(f"{path}: the best package (={best.name!r}) is not there; take it from git again")
    return best
