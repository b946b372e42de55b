"""What is told of a result in words and numbers: report.json beside it, and the like in the archive of its bands."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from huebands import __version__
from huebands.colorize.border import Border
from huebands.colorize.credentials import Credentials
from huebands.colorize.fading import Fading
from huebands.colorize.mark import VERSION_KEY
from huebands.colorize.own_colour import OwnColour
from huebands.colorize.picture_file import PictureFile
from huebands.colorize.result import Colorization
from huebands.colorize.result_files import Content, files_of_result
from huebands.colorize.sampling import Sampling
from huebands.conformal.bands import CHANNELS
from huebands.conformal.error_map import MapName, choose_map
from huebands.package.read import ModelPackage
from huebands.photos.encode import Format
from huebands.photos.heatmap import EXPECTED_ERROR
from huebands.photos.metadata import Metadata

REPORT = ".report.json"  # the ending of its name


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a result was made of.

    Attributes:
        photo: name of the photo's file.
        photo_sha256: of its content.
        own_colour: of the photo, which was not used.
        looks_drawn: whether the photo is unlike the calibration photos and may be a page of text or a drawing.
        border: that was found; None: none.
        border_is_cropped: whether the result is the picture inside.
        map_name: the map that the picture of uncertainty shows; None: the usual one.
        sampling: of the samples; None: there are none.
        page: of the photo's file, from 1; None: its only one.
        metadata: of the photo's file.
        format: of the pictures.
        fading: of their colours.
        credentials: that sign them; None: they are not signed.
    """

    photo: str
    photo_sha256: str | None
    own_colour: OwnColour
    looks_drawn: bool = False
    border: Border | None = None
    border_is_cropped: bool = False
    map_name: MapName | None = None
    sampling: Sampling | None = None
    page: int | None = None
    metadata: Metadata = field(default_factory=Metadata.none)
    format: Format = "png"
    fading: Fading = field(default_factory=Fading)
    credentials: Credentials | None = None


def describe(package: ModelPackage, origin: Origin, result: Colorization) -> dict[str, Any]:
    """Describe a result with what it was made of, as JSON can hold it."""
    height, width = result.grey.shape
    return {
        "photo": origin.photo,
        "photo_sha256": origin.photo_sha256,
        "page": origin.page,
        "width": width,
        "height": height,
        "own_colour": origin.own_colour,
        "border": describe_border(origin),
        **asdict(result.guarantee),
        "steps": dict(zip(CHANNELS, result.steps.tolist(), strict=True)),
        "mean_band_width": round(result.mean_width, 3),
        **_describe_error(result),
        "map": choose_map(origin.map_name, result.maps),
        "strength": origin.fading.strength,
        **describe_samples(origin.sampling, result),
        **describe_hints(result),
        "likeness": {
            "p_value": round(result.likeness, 4),
            "meaning": "chance that a photo exchangeable with the calibration photos is as unlike them as this one;"
            " the promise does not reach photos of another kind",
        },
        "looks_drawn": origin.looks_drawn,
        "promise": _promise(result),
        "model": {"name": package.config["name"], "package_sha256": package.package_sha256},
        VERSION_KEY: __version__,
    }


def encode(report: Mapping[str, Any]) -> bytes:
    """Encode what `describe` gave as JSON in UTF-8; bytes of a file's name that are no text become its escapes."""
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")


def files_of(
    package: ModelPackage, origin: Origin, result: Colorization, stem: str, name: str | None = None
) -> Iterator[tuple[str, Content]]:
    """Make the files of a result, the report as the last, by their names.

    Args:
        package: the model package.
        origin: what the result was made of.
        result: its colorization.
        stem: of the names.
        name: of the report; None: it has the stem too.
    """
    report = describe(package, origin, result)
    yield from files_of_result(
        result, stem, origin.map_name, arrays_of(report), picture_file(package, origin, result), origin.fading
    )
    yield name or f"{stem}{REPORT}", encode(report)


def picture_file(package: ModelPackage, origin: Origin, result: Colorization) -> PictureFile:
    """How the pictures of a result are written, which state what its report says, in short."""
    guarantee, strength = result.guarantee, origin.fading.strength
    facts = {
        "Photo": origin.photo,
        "PhotoSHA256": origin.photo_sha256 or "",
        "Model": package.config["name"],
        "ModelSHA256": package.package_sha256,
        "Alpha": f"{guarantee.alpha:g}",
        "Mode": guarantee.mode,
        "Delta": "" if guarantee.delta is None else f"{guarantee.delta:g}",
        "Grouped": "yes" if guarantee.grouped else "",
        "Promise": _promise(result),
        "MeanBandWidth": f"{result.mean_width:.3f}",
        "Strength": "" if strength == 1 else f"{strength:g}",
        "Likeness": f"{result.likeness:.4f}",
    }
    # Bytes of a file's name that are no text become its escapes.
    stated = {name: value.encode(errors="backslashreplace").decode() for name, value in facts.items() if value}
    return PictureFile(format=origin.format, metadata=origin.metadata, facts=stated, credentials=origin.credentials)


def arrays_of(report: Mapping[str, Any]) -> dict[str, ArrayLike]:
    """What the archive of the bands tells beside them: texts and numbers, which `numpy.load` reads without pickle."""
    border, delta = report["border"], report["delta"]
    return {
        **{name: str(report[name]) for name in ("mode", "promise", "photo", "own_colour", VERSION_KEY)},
        "photo_sha256": report["photo_sha256"] or "",
        "delta": np.float64(math.nan if delta is None else delta),
        "grouped": np.bool_(report["grouped"]),
        "likeness": np.float64(report["likeness"]["p_value"]),
        "border": np.array([border[side] if border else 0 for side in ("top", "bottom", "left", "right")], np.int64),
        "model": str(report["model"]["name"]),
        "package_sha256": report["model"]["package_sha256"],
    }


def _describe_error(result: Colorization) -> dict[str, Any]:
    """The expected error over the photo's pixels; nothing where the model gives none."""
    figures = result.error_figures
    if figures is None:
        return {}
    rounded = {"mean": round(figures.mean, 3), "p90": round(figures.p90, 3)}
    return {"expected_error": {**rounded, "unit": EXPECTED_ERROR.unit}}


def describe_border(origin: Origin) -> dict[str, Any] | None:
    """The depths of the border's sides, and whether it was cut off; None: there was none."""
    return None if origin.border is None else {**asdict(origin.border), "cropped": origin.border_is_cropped}


def describe_samples(sampling: Sampling | None, result: Colorization) -> dict[str, Any]:
    """The seed of the samples, and of each the share outside the bands; nothing where none were asked for."""
    if sampling is None:
        return {}
    outside = [round(share, 4) for share in result.samples_outside]
    return {"samples": {"seed": sampling.seed, "outside": outside, "unit": result.guarantee.unit}}


def describe_hints(result: Colorization) -> dict[str, Any]:
    """Which hints are unusual; nothing where there are no hints."""
    if result.hints is None:
        return {}
    unusual = [{"x": x, "y": y} for x, y in result.hints.unusual]
    return {"hints": {"radius": result.hints.radius, "alpha": result.hints.alpha, "unusual": unusual}}


def _promise(result: Colorization) -> str:
    """What the bands promise, or what holds in its place."""
    if result.caveat is not None:
        return result.caveat
    guarantee, law = result.guarantee, result.law
    sentences = [
        "For a photo exchangeable with the calibration photos, the expected share of its"
        f" {guarantee.unit} that leave their bands is at most {guarantee.alpha:g}."
    ]
    if guarantee.delta is not None:
        sentences.append(
            f"This holds for these very bands with probability {1 - guarantee.delta:g} over the draw of the"
            " calibration photos."
        )
    if guarantee.grouped:
        sentences.append("On average over that draw, it also holds among the pixels of each group alone.")
    if law is not None:
        sentences.append(law)
    return " ".join(sentences)
