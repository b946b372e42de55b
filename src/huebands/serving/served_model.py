"""Which model package the service serves: decided once, when it starts or when a bento is built.

An alias may move and the registry may go away; what was chosen stays until the next start.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from huebands.colorize.colorizer import Colorizer
from huebands.package.choose import INSTALLED, default_package, released_sha256
from huebands.package.read import read_package
from huebands.package.schema import PackageError

RECORD = Path("models/served.json")  # of a bento


@dataclass(frozen=True, kw_only=True)
class Served:
    """A chosen model package, and what people are told of where it came from.

    Attributes:
        folder: of the package, on this machine.
        source: the address in the registry, or the folder's own name without the path to it.
        model: registered name; None: not from the registry.
        version: in the registry.
        alias: that was asked for, and named this version when it was chosen.
        package_sha256: which the package must have; None where nobody has said so.
    """

    folder: str
    source: str
    model: str | None = None
    version: int | None = None
    alias: str | None = None
    package_sha256: str | None = None

    def load(self) -> Colorizer:
        """Load the package.

        Raises:
            PackageError: when it is not sound or not the one that was chosen, or has no calibration, without which
                there are no bands.
        """
        colorizer = Colorizer(read_package(Path(self.folder), self.package_sha256), self.source)
        _ = colorizer.calibration
        return colorizer

    def describe(self) -> dict[str, Any]:
        """What GET /model says of it."""
        registered = {"model": self.model, "version": self.version, "alias": self.alias}
        return {"source": self.source, "registry": None if self.version is None else registered}

    def encode(self) -> str:
        """Write it as JSON, for `decode`."""
        return json.dumps(asdict(self))


def decode(text: str) -> Served:
    """Read what `Served.encode` wrote."""
    return Served(**json.loads(text))


def choose(source: str | None, installed: Path = INSTALLED) -> Served:
    """Choose a package, and fetch it where it is in the registry.

    Args:
        source: a folder, or "models:/NAME/VERSION" or "models:/NAME@ALIAS"; None takes the one that was put into the
            bento, else the best of models/release, else models/generator.
        installed: the folder that huebands lies in.

    Raises:
        PackageError: when there is none, or the registry does not give it as it was registered.
    """
    if source is None and (installed / RECORD).is_file():
        inside = decode((installed / RECORD).read_text(encoding="utf-8"))
        return replace(inside, folder=str(installed / inside.folder))
    if source is not None and source.startswith("models:"):
        return _fetch(source)
    folder = (default_package() if source is None else Path(source)).resolve()
    return Served(folder=str(folder), source=folder.name, package_sha256=released_sha256(folder))


def _fetch(source: str) -> Served:
    try:
        from huebands.registry.connection import TrackingError
        from huebands.registry.models import download_package, find_package
    except ModuleNotFoundError as error:
        raise PackageError(
            f"{source}: the registry needs {error.name}, which is not installed here; a bento has its package inside:"
            " leave HUEBANDS_MODEL out, or build it anew with `make bento`"
        ) from error
    try:
        registered = find_package(source)
        folder = download_package(registered.uri)
    except TrackingError as error:
        raise PackageError(str(error)) from error
    return Served(
        folder=str(folder),
        source=source,
        model=registered.model_name,
        version=registered.version,
        alias=source.partition("@")[2] or None,
        package_sha256=registered.package_sha256,
    )
