"""The model that the service serves: chosen when the service starts, when a bento is built, or by `following`.

An alias may move and the registry may go away: without HUEBANDS_FOLLOW the choice stays until the next start.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from huebands import __version__
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.sampling import MAX_SAMPLES
from huebands.conformal.guarantee import MODES, AlphaError, Guarantee
from huebands.package.choose import INSTALLED, default_package, released_sha256
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.photos.formats import FORMATS
from huebands.photos.limits import pixel_limit
from huebands.serving.admission.limits import MAX_BODY
from huebands.serving.forms import DEFAULT_ALPHA

CHOICE = Path("models/served.json")  # of a bento


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A chosen model package, and where it came from.

    Attributes:
        folder: folder of the package, on this machine.
        source: the address in the registry, or the folder's own name without the path to it.
        model: registered name; None: not from the registry.
        version: in the registry.
        alias: in the source; it pointed to this version when the model was chosen.
        package_sha256: hash that the package must have; None: unknown.
        in_use_since: when the service began to answer with it, in ISO 8601; None: it does not yet.
    """

    folder: str
    source: str
    model: str | None = None
    version: int | None = None
    alias: str | None = None
    package_sha256: str | None = None
    in_use_since: str | None = None

    def load(self) -> Colorizer:
        """Load the package.

        Raises:
            PackageError: when it is not sound or not the chosen one, or has no calibration, without which
                there are no bands.
        """
        colorizer = Colorizer(read_package(Path(self.folder), self.package_sha256), self.source)
        _ = colorizer.calibration
        return colorizer

    def describe(self) -> dict[str, Any]:
        """The source, and when it was put in use, for GET /model."""
        registered = {"model": self.model, "version": self.version, "alias": self.alias}
        return {
            "source": self.source,
            "registry": None if self.version is None else registered,
            "in_use_since": self.in_use_since,
        }

    def encode(self) -> str:
        """Encode the choice as JSON, for `decode`."""
        return json.dumps(asdict(self))


def decode(text: str) -> ServedModel:
    """Decode what `ServedModel.encode` gave."""
    return ServedModel(**json.loads(text))


def is_address(source: str | None) -> bool:
    """Whether a source lies in the registry; a package that `choose` has fetched from there is a download."""
    return source is not None and source.startswith("models:")


def choose(source: str | None, installed: Path = INSTALLED) -> ServedModel:
    """Choose a package, and fetch it where it is in the registry.

    Args:
        source: a folder, or "models:/NAME/VERSION" or "models:/NAME@ALIAS"; None takes the package inside the bento,
            else the best of models/release, else models/generator.
        installed: the folder that contains the package huebands.

    Raises:
        PackageError: when there is none, or the registry's files are not those that were registered.
    """
    if source is None and (installed / CHOICE).is_file():
        choice = decode((installed / CHOICE).read_text(encoding="utf-8"))
        return replace(choice, folder=str(installed / choice.folder))
    if is_address(source):
        return _fetch(str(source))
    folder = (default_package() if source is None else Path(source)).resolve()
    return ServedModel(folder=str(folder), source=folder.name, package_sha256=released_sha256(folder))


def _fetch(source: str) -> ServedModel:
    try:
        from huebands.registry.connection import TrackingError
        from huebands.registry.models import download_package, find_package
    except ModuleNotFoundError as error:
        raise PackageError(
            f"{source}: the registry needs {error.name}, which is not installed here; a bento has its package inside:"
            " leave HUEBANDS_MODEL and HUEBANDS_FOLLOW out, build it anew with `make bento`, or add the registry's"
            " client with `make bento FOLLOW=yes`"
        ) from error
    try:
        registered = find_package(source)
        folder = download_package(registered.uri)
    except TrackingError as error:
        raise PackageError(str(error)) from error
    return ServedModel(
        folder=str(folder),
        source=source,
        model=registered.model_name,
        version=registered.version,
        alias=source.partition("@")[2] or None,
        package_sha256=registered.package_sha256,
    )


def check_default(colorizer: Colorizer) -> None:
    """Check that a model answers a request that names no guarantee: the default alpha, in every mode.

    Raises:
        PackageError: when its calibration does not support it.
    """
    try:
        for mode in MODES:
            colorizer.calibration.check(Guarantee(alpha=DEFAULT_ALPHA, mode=mode))
    except AlphaError as error:
        raise PackageError(
            f"{colorizer.source}: {error}; calibrate on more photos, for a request that names no alpha gets"
            f" {DEFAULT_ALPHA:g}"
        ) from error


def describe_model(colorizer: Colorizer) -> dict[str, Any]:
    """The model, its calibration and the limits of the service, for GET /model."""
    package, calibration, with_hints = colorizer.package, colorizer.calibration, colorizer.package.hints_calibration
    return {
        "name": package.config["name"],
        "version": package.package_sha256[:12],
        "huebands": __version__,
        "alphas": {"smallest": calibration.smallest_alpha, "below": 1, "default": DEFAULT_ALPHA},
        "modes": list(MODES),
        "maps": list(calibration.maps),
        "hints": colorizer.abilities.hints,
        "hints_certificate": None if with_hints is None else dict(with_hints.certificate),
        "like": colorizer.abilities.exemplar,
        "samples": MAX_SAMPLES if colorizer.abilities.samples else 0,
        "calibration_photos": calibration.photos,
        "min_chroma": calibration.min_chroma,
        "unlike_p_value": calibration.unlike_p_value,
        "groups": calibration.groups(),
        "certificate": dict(calibration.certificate),
        "hashes": {
            "package_sha256": package.package_sha256,
            "weights_sha256": package.weights_sha256,
            "distribution_sha256": calibration.distribution_sha256,
            "preprocessing_sha256": package.preprocessing_sha256,
            "data_sha256": calibration.data_sha256,
        },
        "network": package.config["network"],
        "preprocessing": package.config["preprocessing"],
        "lineage": package.config["lineage"],
        "limits": {"body_bytes": MAX_BODY, "pixels": pixel_limit(), "formats": list(FORMATS)},
    }
