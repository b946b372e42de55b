"""What a process that colorizes does with a job; it shares nothing with the process that speaks HTTP."""

import re
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import numpy as np
from PIL import UnidentifiedImageError

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.prediction import Prediction
from huebands.colorize.result import Colorization
from huebands.conformal.guarantee import Guarantee
from huebands.package.hashes import check_hash
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError, announced_pixels, read_photo
from huebands.photos.write import encode_png
from huebands.serving import json_log
from huebands.serving.answers import pack, safe_stem
from huebands.serving.workers.exploration import pack_exploration
from huebands.serving.workers.jobs import Answer, Facts, Job, Kind, Outcome, Refusal
from huebands.serving.workers.messages import Done, Reply, Task, TooLarge, serve
from huebands.serving.workers.share_outside import share_outside

_SIGNATURES = re.compile(rb"\xff\xd8|\x89PNG|II\*\0|MM\0\*|RIFF....WEBP|BM|GIF8|P[1-7f][\s#]", re.DOTALL)

LARGE = 16_000_000  # pixels; a photo of more is worked on alone, since each takes gigabytes


@cache
def load(folder: str) -> Colorizer:
    """Load the model package, once in a process."""
    return Colorizer.load(Path(folder))


def work(folder: str, job: Job) -> Outcome:
    """Do one job with the model package of a folder."""
    colorizer = load(folder)
    start = time.perf_counter()
    try:
        rgb = read_photo(job.content, job.name)
    except ImageError as error:
        unknown = isinstance(error.__cause__, UnidentifiedImageError) and not _SIGNATURES.match(job.content)
        if unknown:
            return Refusal(status=415, reason=str(error), cause="format")
        return Refusal(status=422, reason=str(error), cause="image")
    decoded = time.perf_counter()
    prediction = colorizer.predict(GreyPhoto.of_rgb(rgb))
    result = colorizer.choose(prediction, job.guarantee)
    colorized = time.perf_counter()
    outside = share_outside(rgb, result, colorizer.calibration.min_chroma)
    del rgb  # of a large photo a good part of what is held
    body, media_type, headers = _encode(colorizer, job, prediction, result)
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
        outside=outside,
        seconds=seconds,
    )
    return Answer(body=body, media_type=media_type, headers=headers, facts=facts)


def _encode(
    colorizer: Colorizer, job: Job, prediction: Prediction, result: Colorization
) -> tuple[bytes, str, dict[str, str]]:
    if job.kind == "colorize":
        return encode_png(result.rgb), "image/png", {}
    if job.kind == "explore":
        return pack_exploration(colorizer, job.name, prediction, result.likeness), "application/zip", {}
    disposition = f"attachment; filename*=UTF-8''{quote(safe_stem(job.name))}.huebands.zip"
    return pack(colorizer, job.name, result), "application/zip", {"Content-Disposition": disposition}


def prepare(folder: str, sha256: str) -> Callable[[Task], Reply]:
    """Load the package and warm up; gives what answers tasks.

    Raises:
        PackageError: when the folder does not hold the package of this hash.
    """
    check_hash(Path(folder), load(folder).package.package_sha256, sha256)
    grey = np.arange(64 * 64, dtype=np.uint32).astype(np.uint8).reshape(64, 64)
    content, guarantee = encode_png(grey), Guarantee(alpha=0.5, mode="joint")
    for kind in get_args(Kind):
        work(folder, Job(kind=kind, content=content, name="warm", guarantee=guarantee))

    def answer(task: Task) -> Reply:
        if not task.alone and announced_pixels(task.job.content) > LARGE:
            return TooLarge()
        return Done(work(folder, task.job))

    return answer


if __name__ == "__main__":
    json_log.configure()
    serve(lambda: prepare(*sys.argv[1:]))
