"""What an answer holds: the archive of /bands with its report, and what /model says."""

import io
import json
import re
import zipfile
from dataclasses import asdict
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from huebands import __version__
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result import Colorization
from huebands.conformal.bands import CHANNELS
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.photos.read import FORMATS, MAX_PIXELS
from huebands.serving.forms import DEFAULT_ALPHA, MAX_BODY
from huebands.serving.monitoring.monitor import Monitor


def pack(colorizer: Colorizer, name: str, result: Colorization) -> bytes:
    """Pack the three files and a report; stored as they are, since they are compressed already."""
    stem = safe_stem(name)
    report = json.dumps(describe_result(colorizer, name, result), indent=2, ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file, content in chain(result.files(stem), [("report.json", report.encode())]):
            archive.writestr(zipfile.ZipInfo(file), content)  # without a date: equal requests, equal bytes
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """Turn a client's file name into a stem that is harmless on any file system."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem)[:80].strip("._") or "photo"


def describe_result(colorizer: Colorizer, name: str, result: Colorization) -> dict[str, Any]:
    """What report.json says of one photo."""
    height, width = result.grey.shape
    return {
        "photo": name,
        "width": width,
        "height": height,
        **asdict(result.guarantee),
        "steps": dict(zip(CHANNELS, result.steps.tolist(), strict=True)),
        "mean_band_width": round(float(result.width.mean()), 3),
        "likeness": {
            "p_value": round(result.likeness, 4),
            "meaning": "chance that a photo exchangeable with the calibration photos is as unlike them as this one;"
            " the promise does not reach photos of another kind",
        },
        "promise": _promise(result.guarantee),
        "model": {
            "name": colorizer.package.config["name"],
            "package_sha256": colorizer.package.package_sha256,
        },
        "huebands": __version__,
    }


def _promise(guarantee: Guarantee) -> str:
    counted = "channel values" if guarantee.mode == "per_channel" else "pixels"
    sentences = [
        "For a photo exchangeable with the calibration photos, the expected share of its"
        f" {counted} that leave their bands is at most {guarantee.alpha:g}."
    ]
    if guarantee.delta is not None:
        sentences.append(
            f"This holds for these very bands with probability {1 - guarantee.delta:g} over the draw of the"
            " calibration photos."
        )
    if guarantee.grouped:
        sentences.append("On average over that draw, it also holds among the pixels of each group alone.")
    return " ".join(sentences)


def describe_model(colorizer: Colorizer, monitor: Monitor) -> dict[str, Any]:
    """What GET /model says."""
    package, calibration = colorizer.package, colorizer.calibration
    return {
        "name": package.config["name"],
        "version": package.package_sha256[:12],
        "huebands": __version__,
        "alphas": {"smallest": calibration.smallest_alpha, "below": 1, "default": DEFAULT_ALPHA},
        "modes": list(MODES),
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
        "limits": {"body_bytes": MAX_BODY, "pixels": MAX_PIXELS, "formats": list(FORMATS)},
        "monitoring": monitor.describe(),
    }
