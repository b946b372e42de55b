"""The archive of /bands: the colours, the bands, a map of uncertainty, and report.json."""

import io
import json
import re
import zipfile
from dataclasses import asdict
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from huebands import __version__
from huebands.colorize.result import Colorization
from huebands.conformal.bands import CHANNELS
from huebands.conformal.error_map import MapName, choose_map
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import ModelPackage
from huebands.photos.heatmap import EXPECTED_ERROR


def pack_archive(package: ModelPackage, name: str, result: Colorization, map_name: MapName | None = None) -> bytes:
    """Pack the three files and the report; stored as they are, since they are compressed already.

    Args:
        package: the model package.
        name: name of the photo.
        result: its colorization.
        map_name: map that the third file shows; None: the usual one.
    """
    map_name = choose_map(map_name, result.maps)
    report = json.dumps(_report(package, name, result, map_name), indent=2, ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file, content in chain(result.files(safe_stem(name), map_name), [("report.json", report.encode())]):
            archive.writestr(zipfile.ZipInfo(file), content)  # without a date: equal requests, equal bytes
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """Turn a client's file name into a stem that is harmless on any file system."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem)[:80].strip("._") or "photo"


def _report(package: ModelPackage, name: str, result: Colorization, map_name: MapName) -> dict[str, Any]:
    height, width = result.grey.shape
    return {
        "photo": name,
        "width": width,
        "height": height,
        **asdict(result.guarantee),
        "steps": dict(zip(CHANNELS, result.steps.tolist(), strict=True)),
        "mean_band_width": round(float(result.width.mean()), 3),
        **_describe_error(result),
        "map": map_name,
        "likeness": {
            "p_value": round(result.likeness, 4),
            "meaning": "chance that a photo exchangeable with the calibration photos is as unlike them as this one;"
            " the promise does not reach photos of another kind",
        },
        "promise": _promise(result.guarantee),
        "model": {"name": package.config["name"], "package_sha256": package.package_sha256},
        "huebands": __version__,
    }


def _describe_error(result: Colorization) -> dict[str, Any]:
    """The expected error over the photo's pixels; nothing where the model gives none."""
    error_HW = result.expected_error
    if error_HW is None:
        return {}
    figures = {"mean": error_HW.mean(dtype=np.float64), "p90": np.percentile(error_HW, 90)}
    rounded = {name: round(float(value), 3) for name, value in figures.items()}
    return {"expected_error": {**rounded, "unit": EXPECTED_ERROR.unit}}


def _promise(guarantee: Guarantee) -> str:
    unit = "channel values" if guarantee.mode == "per_channel" else "pixels"
    sentences = [
        "For a photo exchangeable with the calibration photos, the expected share of its"
        f" {unit} that leave their bands is at most {guarantee.alpha:g}."
    ]
    if guarantee.delta is not None:
        sentences.append(
            f"This holds for these very bands with probability {1 - guarantee.delta:g} over the draw of the"
            " calibration photos."
        )
    if guarantee.grouped:
        sentences.append("On average over that draw, it also holds among the pixels of each group alone.")
    return " ".join(sentences)
