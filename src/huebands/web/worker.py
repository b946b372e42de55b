"""What a process that colorizes does with a job; it shares nothing with the process that speaks HTTP."""

import re
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from huebands import images
from huebands.colorizer import Colorization, Colorizer, Examined
from huebands.conformal.family import CHANNELS
from huebands.web.answers import pack, safe_stem
from huebands.web.exploration import pack_exploration
from huebands.web.jobs import Answer, Facts, Job, Outcome, Refusal

_SIGNATURES = re.compile(rb"\xff\xd8|\x89PNG|II\*\0|MM\0\*|RIFF....WEBP|BM|GIF8|P[1-7f][\s#]", re.DOTALL)


@cache
def load(folder: str) -> Colorizer:
    """Load the model package, once in a process."""
    return Colorizer.load(Path(folder))


def work(folder: str, job: Job) -> Outcome:
    """Do one job with the model package of a folder."""
    colorizer = load(folder)
    start = time.perf_counter()
    try:
        rgb = images.read_photo(job.content, job.name)
    except images.ImageError as error:
        unknown = isinstance(error.__cause__, UnidentifiedImageError) and not _SIGNATURES.match(job.content)
        if unknown:
            return Refusal(status=415, reason=str(error), cause="format")
        return Refusal(status=422, reason=str(error), cause="image")
    decoded = time.perf_counter()
    examined = colorizer.examine(rgb, job.name)
    result = colorizer.promise(examined, job.alpha, job.mode, delta=job.delta, grouped=job.grouped)
    colorized = time.perf_counter()
    body, media_type, headers = _encode(colorizer, job, examined, result)
    seconds = {
        "decode": decoded - start,
        "colorize": colorized - decoded,
        "encode": time.perf_counter() - colorized,
    }
    height, width = result.grey.shape
    facts = Facts(
        width=width,
        height=height,
        band_width=float(result.width.mean()),
        likeness=result.likeness,
        outside=share_outside(rgb, result),
        seconds=seconds,
    )
    return Answer(body=body, media_type=media_type, headers=headers, facts=facts)


def share_outside(rgb_HW3: NDArray[np.uint8], result: Colorization) -> float | None:
    """The share of a colour photo's channel values, or in the joint mode of its pixels, that left their bands."""
    if (rgb_HW3 == rgb_HW3[..., :1]).all():
        return None
    outside = []
    for index, channel in enumerate(CHANNELS):
        lower, upper = result.bands[channel][..., 0], result.bands[channel][..., 1]
        outside.append((rgb_HW3[..., index] < lower) | (rgb_HW3[..., index] > upper))
    missed = np.logical_or.reduce(outside) if result.mode == "joint" else np.stack(outside)
    return float(missed.mean())


def _encode(
    colorizer: Colorizer, job: Job, examined: Examined, result: Colorization
) -> tuple[bytes, str, dict[str, str]]:
    if job.kind == "colorize":
        return images.encode_png(result.rgb), "image/png", {}
    if job.kind == "explore":
        return pack_exploration(colorizer, job, examined), "application/zip", {}
    disposition = f"attachment; filename*=UTF-8''{quote(safe_stem(job.name))}.huebands.zip"
    return pack(colorizer, job.name, result), "application/zip", {"Content-Disposition": disposition}
