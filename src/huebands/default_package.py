"""Which model package is taken when nobody names one."""

import json
from pathlib import Path

from huebands.package import CALIBRATION, CONFIG, PackageError

RELEASE, GENERATOR = Path("models/release"), Path("models/generator")
_CHECKOUT = Path(__file__).parents[2]


def default_package(folders: tuple[Path, ...] = (Path(), _CHECKOUT)) -> Path:
    """Find the best package of models/release, else models/generator.

    Args:
        folders: searched in turn: the current folder, then the checkout that this module lies in.

    Raises:
        PackageError: when no folder has one.
    """
    for folder in folders:
        released = sorted(path.parent for path in (folder / RELEASE).glob(f"*/{CONFIG}"))
        if released:
            return min(released, key=_certified_width)
        if (folder / GENERATOR / CONFIG).is_file():
            return folder / GENERATOR
    raise PackageError(
        f"no model package in {RELEASE} or {GENERATOR}; make one with `make repro`, or name one with --model"
        " or HUEBANDS_MODEL"
    )


def _certified_width(package: Path) -> float:
    """Mean band width on test photos at alpha 0.1, per channel: the better model needs less for the same."""
    path = package / CALIBRATION[1]
    if not path.is_file():
        return float("inf")
    try:
        certificate = json.loads(path.read_text(encoding="utf-8"))["certificate"]
        return min(
            (
                float(row["width"])
                for row in certificate
                if row["mode"] == "per_channel" and abs(row["alpha"] - 0.1) < 1e-9
            ),
            default=float("inf"),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PackageError(
            f"{path}: no certificate can be read ({error!r}); take the package away or write it again"
        ) from error
