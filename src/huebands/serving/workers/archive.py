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
from huebands.colorize.sampling import Sampling
from huebands.conformal.bands import CHANNELS
from huebands.conformal.error_map import MapName, choose_map
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import ModelPackage
from huebands.photos.heatmap import EXPECTED_ERROR
from huebands.serving.workers.findings import Findings
from huebands.serving.workers.jobs import Job


def pack_archive(package: ModelPackage, job: Job, result: Colorization, findings: Findings) -> bytes:
    """Pack the files and the report; stored as they are, since they are compressed already.

    Args:
        package: the model package.
        job: names the photo, and says what was asked for.
        result: its colorization.
        findings: what was noticed of the photo.
    """
    name, map_name = job.name, choose_map(job.map_name, result.maps)
    report = json.dumps(_report(package, job, result, findings, map_name), indent=2, ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file, content in chain(result.files(safe_stem(name), map_name), [("report.json", report.encode())]):
            archive.writestr(zipfile.ZipInfo(file), content)  # without a date: equal requests, equal bytes
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """Turn a client's file name into a stem that is harmless on any file system."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem)[:80].strip("._") or "photo"


def _report(
    package: ModelPackage, job: Job, result: Colorization, findings: Findings, map_name: MapName
) -> dict[str, Any]:
    height, width = result.grey.shape
    return {
        "photo": job.name,
        "width": width,
        "height": height,
        **findings.describe(),
        **asdict(result.guarantee),
        "steps": dict(zip(CHANNELS, result.steps.tolist(), strict=True)),
        "mean_band_width": round(float(result.width.mean()), 3),
        **_describe_error(result),
        "map": map_name,
        **describe_samples(job.sampling, result),
        **describe_hints(result),
        "likeness": {
            "p_value": round(result.likeness, 4),
            "meaning": "chance that a photo exchangeable with the calibration photos is as unlike them as this one;"
            " the promise does not reach photos of another kind",
        },
        "promise": _promise(result.guarantee, result.law) if result.caveat is None else result.caveat,
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


def _promise(guarantee: Guarantee, law: str | None) -> str:
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
