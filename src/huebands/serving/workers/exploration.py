"""The archive of /explore, from which the page draws: the colours, and the nested bands of every confidence.

The page computes bands as `conformal.bands` does, equal to the bit: it gets the ends of the intervals at the knots.
"""

import io
import json
import math
import zipfile
from typing import Any

import numpy as np
import torch

from huebands import color
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.prediction import Prediction
from huebands.colorize.report import Origin, describe_border, describe_hints, describe_samples
from huebands.colorize.result import Colorization
from huebands.conformal import luminance
from huebands.conformal.bands import STEPS_PER_KNOT, NestedBands
from huebands.conformal.calibration import Calibration
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.density.expected_error import LEVELS
from huebands.density.intervals import KNOTS, PARTS
from huebands.photos.heatmap import magma
from huebands.photos.write import encode_png
from huebands.serving.workers.jobs import Job

MAX_SHOWN = 1_500_000  # pixels
_MAX_SIDE = 8192  # pixels: some browsers have no larger canvas
CONFIDENCES = range(50, 100)  # percent


def pack_exploration(
    colorizer: Colorizer, job: Job, prediction: Prediction, result: Colorization, origin: Origin
) -> bytes:
    """Pack the archive.

    Returns:
        A zip: colorized.png and grey.png, of every `stride`-th row and column; knots.bin, see `_encode_knots`;
        where the model gives an expected error, errors.bin, its samples as float32 (K, S, S); the job's further
        colourings, sample-1.png and so on; and exploration.json.
    """
    stride = _stride(*prediction.photo.shape)
    sampled = np.s_[::stride, ::stride]
    description = _describe(colorizer, job, prediction, result, stride)
    description |= {"border": describe_border(origin), "own_colour": origin.own_colour}
    description["looks_drawn"] = origin.looks_drawn
    knots = description["knots"]
    stored = {
        "colorized.png": encode_png(np.ascontiguousarray(prediction.rgb[sampled])),
        "grey.png": encode_png(np.ascontiguousarray(prediction.photo.levels_HW[sampled])),
    }
    for number, sample_HW3 in enumerate(result.samples, 1):
        stored[f"sample-{number}.png"] = encode_png(np.ascontiguousarray(sample_HW3[sampled]))
    knot_range = range(knots["first"], knots["first"] + knots["count"])
    compressed = {
        "knots.bin": _encode_knots(prediction.bands.nested, knot_range),
        "exploration.json": json.dumps(description, ensure_ascii=False).encode(),
    }
    if result.error_KSS is not None:
        compressed["errors.bin"] = result.error_KSS.astype("<f4").tobytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in stored.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_STORED)
        for name, content in compressed.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def _stride(height: int, width: int) -> int:
    stride = max(1, math.isqrt(height * width // MAX_SHOWN), -(-max(height, width) // _MAX_SIDE))
    while -(-height // stride) * -(-width // stride) > MAX_SHOWN:
        stride += 1
    return stride


def _encode_knots(nested: NestedBands, knots: range) -> bytes:
    """Lower, then upper ends in units of 1/PARTS: int16 (2, knots, 3, S, S); all low bytes, then all high bytes.

    In this order they compress to five sixths of the size.
    """
    ends_by_channel = [nested.intervals.knots(knots.start, knots.stop, channel) for channel in range(3)]
    ends = np.stack([np.stack([end.numpy() for end in side], axis=1) for side in zip(*ends_by_channel, strict=True)])
    parts = (ends * PARTS).astype("<i2")
    return np.ascontiguousarray(parts.view(np.uint8).reshape(-1, 2).T).tobytes()


def _describe(
    colorizer: Colorizer, job: Job, prediction: Prediction, result: Colorization, stride: int
) -> dict[str, Any]:
    height, width = prediction.photo.shape
    calibration = colorizer.calibration_of(prediction)
    steps = _steps(calibration)
    all_steps = np.array(
        [channel_steps for by_confidence in steps.values() for channel_steps in by_confidence.values()]
    )
    first, last = int(all_steps.min()) // STEPS_PER_KNOT, min(int(all_steps.max()) // STEPS_PER_KNOT + 1, KNOTS)
    package = colorizer.package
    return {
        "photo": job.name,
        "width": width,
        "height": height,
        "stride": stride,
        "samples": list(prediction.bands.nested.intervals.size),
        "hints": describe_hints(result).get("hints"),
        "caveat": result.caveat,
        "law": result.law,
        "colourings": describe_samples(job.sampling, result).get("samples"),
        "knots": {"first": first, "count": last + 1 - first, "parts": PARTS, "steps_per_knot": STEPS_PER_KNOT},
        "steps": steps,
        "likeness": result.likeness,
        "expected_error": _describe_error(result),
        "unlike_p_value": calibration.unlike_p_value,
        "model": {"name": package.config["name"], "version": package.package_sha256[:12]},
        "calibration_photos": calibration.photos,
        "tables": describe_tables(),
    }


def _describe_error(result: Colorization) -> dict[str, Any] | None:
    """Grey levels and grid of the samples in errors.bin."""
    if result.error_KSS is None:
        return None
    return {"levels": LEVELS, "samples": result.error_KSS.shape[1:]}


def _steps(calibration: Calibration) -> dict[str, dict[int, list[int]]]:
    """The steps of R, G and B, by mode and by whole percent of confidence that the calibration supports."""
    alphas = {percent: (100 - percent) / 100 for percent in CONFIDENCES}
    return {
        mode: {
            percent: calibration.steps(Guarantee(alpha=alpha, mode=mode)).tolist()
            for percent, alpha in alphas.items()
            if calibration.supports(alpha)
        }
        for mode in MODES
    }


def describe_tables() -> dict[str, Any]:
    """The tables that the page needs for what `density.coordinate`, `conformal.luminance` and the heat map compute."""
    linear = color.srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255)
    return {
        "gamut": color.gamut_table().flatten().tolist(),
        "linear": linear.tolist(),
        "luminance_edges": color.grey_edges().double().tolist(),
        "luminance_weights": list(color.RGB_TO_XYZ[1]),
        "luminance_slack": luminance.SLACK,
        "heat": magma().flatten().tolist(),
    }
