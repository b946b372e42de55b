"""The candidates of a comparison: anything that gives a grey photo colours."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.colorizer import Colorizer
from huebands.comparison.baselines import Grey, Lightness, Neighbours
from huebands.comparison.own_photos import ComparisonError
from huebands.package.choose import GENERATOR, default_package
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto

BASELINES = ("grey", "lightness", "neighbours", "seed")
TRUTH = "truth"  # name of the true photos in pictures and tables
BILINEAR = {"name": "bilinear"}
SEED = Path("models/seed")  # the first weights of the project; no training replaces them


@dataclass(frozen=True)
class Candidate:
    """A colorizer under comparison.

    Attributes:
        name: unique in a comparison.
        kind: one of `BASELINES`, "package" or "command".
        description: one sentence for people.
        params: a few flat values that identify it.
        colorize: from a photo's name and grey levels, uint8 (H, W), to sRGB uint8 (H, W, 3).
        judged_by_inception: whether FID and KID can judge it.
        colorizer: of a package; None of any other kind.
    """

    name: str
    kind: str
    description: str
    params: Mapping[str, Any]
    colorize: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]
    judged_by_inception: bool = True
    colorizer: Colorizer | None = field(default=None, repr=False)


def find_candidate(text: str, prepared: Path) -> Candidate:
    """Make a candidate from its name on the command line.

    Args:
        text: one of `BASELINES`, or a model package's folder or registry address; "NAME=" before it names it.
        prepared: the dataset whose training split teaches the baselines.

    Raises:
        ShardError: when there is no training split.
        PackageError: when there is no such package.
    """
    name, kind = _split_name(text)
    if kind == "grey":
        return _baseline(name or kind, kind, Grey())
    if kind == "lightness":
        return _baseline(name or kind, kind, Lightness.learn(prepared))
    if kind == "neighbours":
        return _baseline(name or kind, kind, Neighbours(prepared))
    if kind == "seed":
        return _seed(name or kind)
    return _package(name or _short_name(kind), kind)


def default_candidates(prepared: Path) -> list[Candidate]:
    """The baselines, the pipeline's own package and, where there are releases, the best of them.

    Raises:
        ShardError: when there is no training split.
        PackageError: when there is no package.
    """
    best_package = default_package()
    packages = [GENERATOR, best_package] if GENERATOR.is_dir() and best_package != GENERATOR else [best_package]
    return [
        *(find_candidate(baseline, prepared) for baseline in BASELINES),
        *(_package(_short_name(str(package)), package) for package in packages),
    ]


def check_names(candidates: Iterable[Candidate]) -> None:
    """Check that names tell the candidates apart.

    Raises:
        ComparisonError: when two have the same name, or one has a name that is reserved.
    """
    for name, count in Counter(candidate.name for candidate in candidates).items():
        if count > 1:
            raise ComparisonError(f"{count} candidates are called {name}; give each a name of its own: NAME=CANDIDATE")
    for candidate in candidates:
        if candidate.name == TRUTH or (candidate.name == "grey" and candidate.kind != "grey"):
            raise ComparisonError(
                f"the name {candidate.name} is taken by the photos themselves; give the candidate another one"
            )


def _baseline(name: str, kind: str, baseline: Grey | Lightness | Neighbours) -> Candidate:
    return Candidate(name, kind, baseline.description, baseline.params, lambda _, grey_HW: baseline.predict(grey_HW))


def _seed(name: str) -> Candidate:
    try:
        colorizer = Colorizer(_upsample_bilinearly(read_package(SEED)), str(SEED))
    except PackageError as error:
        raise PackageError(f"seed: {error}; `git restore {SEED}` brings it back") from error
    return Candidate(
        name,
        "seed",
        "The project's first generator: a plain U-Net, whose colours are brought to the photo's size bilinearly.",
        {"weights_sha256": colorizer.package.weights_sha256},
        lambda _, grey_HW: colorizer.colours.predict(GreyPhoto(grey_HW)),
    )


def _package(name: str, source: str | Path) -> Candidate:
    colorizer = Colorizer.load(source)
    config, sha256, network = colorizer.package.config, colorizer.package.package_sha256, colorizer.package.generator
    judged = network.judged_by_inception(network.params)
    note = "" if judged else " FID and KID look through Inception v3, its encoder, and do not judge it."
    return Candidate(
        name,
        "package",
        f"The model package {config['name']}, {sha256[:12]}.{note}",
        {"package": config["name"], "package_sha256": sha256},
        lambda _, grey_HW: colorizer.colours.predict(GreyPhoto(grey_HW)),
        judged,
        colorizer,
    )


def _upsample_bilinearly(package: ModelPackage) -> ModelPackage:
    """Take a package as the first version did: with bilinear upsampling, and so without its calibration."""
    preprocessing = {**package.config["preprocessing"], "upsampling": BILINEAR}
    return dataclasses.replace(package, config={**package.config, "preprocessing": preprocessing}, calibration=None)


def _split_name(text: str) -> tuple[str, str]:
    """Split "NAME=CANDIDATE"; the name of a folder may contain "=" too."""
    name, sign, kind = text.partition("=")
    return ("", text) if not sign or Path(text).is_dir() else (name, kind)


def _short_name(source: str) -> str:
    """The name of a package without its folders."""
    return source.removeprefix("models:/") if source.startswith("models:") else Path(source).resolve().name
