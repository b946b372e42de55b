"""What a worker process does with a job: decode, colorize, measure, encode. It runs as a program of its own."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar, ExemplarError
from huebands.colorize.hints import HintsError
from huebands.colorize.prediction import Prediction
from huebands.colorize.result import Colorization
from huebands.colorize.sampling import SamplesError
from huebands.conformal.guarantee import Guarantee
from huebands.metrics.chroma import mean_chroma
from huebands.package.read import read_package
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError, announced_pixels, read_photo
from huebands.photos.write import encode_png
from huebands.serving import json_log
from huebands.serving.workers import worker_loop
from huebands.serving.workers.archive import pack_archive, safe_stem
from huebands.serving.workers.exploration import pack_exploration
from huebands.serving.workers.findings import Findings, crop_border
from huebands.serving.workers.jobs import Answer, Job, Kind, Measurements, Outcome, Refusal
from huebands.serving.workers.messages import Done, Reply, Task, TooLarge

LARGE = 16_000_000  # pixels; larger photos take gigabytes, so one at a time is processed
_SIGNATURES = re.compile(rb"\xff\xd8|\x89PNG|II\*\0|MM\0\*|RIFF....WEBP|BM|GIF8|P[1-7f][\s#]", re.DOTALL)


def work(colorizer: Colorizer, job: Job) -> Outcome:
    """Run a job."""
    start = time.perf_counter()
    try:
        rgb_HW3 = read_photo(job.content, job.name)
    except ImageError as error:
        return _refuse(job, error)
    decoded = time.perf_counter()
    photo = GreyPhoto.of_rgb(rgb_HW3)
    if job.crop_border:
        rgb_HW3, photo = crop_border(rgb_HW3, photo)
    try:
        if job.sampling is not None:
            job.sampling.check(photo)  # before the work
        like = None if job.like is None else Exemplar.read(job.like, "like")
        prediction = colorizer.predict(photo, hints=job.hints, like=like)
    except SamplesError as error:
        return Refusal(status=422, reason=f"{job.name}: {error}", cause="samples")
    except HintsError as error:
        return Refusal(status=422, reason=f"{job.name}: {error}", cause="hints")
    except ExemplarError as error:
        return Refusal(status=422, reason=f"{job.name}: {error}", cause="like")
    result = colorizer.choose(prediction, job.guarantee, job.sampling)
    colorized = time.perf_counter()
    outside = share_outside(rgb_HW3, result, colorizer.calibration.min_chroma)
    findings = Findings.of(rgb_HW3, photo, colorizer.calibration.min_chroma)
    del rgb_HW3  # frees much memory where the photo is large
    body, media_type, headers = _encode(colorizer, job, prediction, result, findings)
    height, width = result.grey.shape
    measurements = Measurements(
        width=width,
        height=height,
        band_width=float(result.width.mean()),
        likeness=result.likeness,
        outside=outside,
        seconds={
            "decode": decoded - start,
            "colorize": colorized - decoded,
            "encode": time.perf_counter() - colorized,
        },
    )
    return Answer(body=body, media_type=media_type, headers=headers, measurements=measurements)


def share_outside(rgb_HW3: NDArray[np.uint8], result: Colorization, min_chroma: float) -> float | None:
    """The share of a photo's channel values, or in the joint mode of its pixels, that are outside their bands.

    The model sees a photo in grey; when the upload is in colour, its true values are known here.

    Args:
        rgb_HW3: the photo as it was uploaded.
        result: its colorization.
        min_chroma: mean chroma below which a photo counts as nearly grey, CIELAB units; the calibration's.

    Returns:
        None for a grey, toned or nearly grey photo: its colours are not those of the scene. None too where the colours
        follow hints or a reference: the guarantee that is watched is that of photos without.
    """
    is_guided = result.caveat is not None or result.law is not None
    if is_guided or (rgb_HW3 == rgb_HW3[..., :1]).all() or mean_chroma(rgb_HW3) < min_chroma:
        return None
    return result.share_outside(rgb_HW3)


def prepare(folder: str, package_sha256: str) -> Callable[[Task], Reply]:
    """Load the model package and warm up.

    Returns:
        The function that runs a task.

    Raises:
        PackageError: when the folder does not hold the package of this hash.
    """
    colorizer = Colorizer(read_package(Path(folder), package_sha256), folder)
    content = encode_png(np.arange(64 * 64, dtype=np.uint32).astype(np.uint8).reshape(64, 64))
    for kind in get_args(Kind):
        job = Job(kind=kind, content=content, name="warm-up", guarantee=Guarantee(alpha=0.5, mode="joint"))
        work(colorizer, job)

    def do_task(task: Task) -> Reply:
        if not task.alone and announced_pixels(task.job.content) > LARGE:
            return TooLarge()
        return Done(work(colorizer, task.job))

    return do_task


def _refuse(job: Job, error: ImageError) -> Refusal:
    """415 for a file that is no image of a known format, 422 for an image that is not sound."""
    if isinstance(error.__cause__, UnidentifiedImageError) and not _SIGNATURES.match(job.content):
        return Refusal(status=415, reason=str(error), cause="format")
    return Refusal(status=422, reason=str(error), cause="image")


def _encode(
    colorizer: Colorizer, job: Job, prediction: Prediction, result: Colorization, findings: Findings
) -> tuple[bytes, str, dict[str, str]]:
    """The body, media type and further headers of the answer."""
    if job.kind == "colorize":
        return result.picture(), "image/png", {}
    if job.kind == "explore":
        return pack_exploration(colorizer, job, prediction, result, findings), "application/zip", {}
    disposition = f"attachment; filename*=UTF-8''{quote(safe_stem(job.name))}.huebands.zip"
    return (
        pack_archive(colorizer.package, job, result, findings),
        "application/zip",
        {"Content-Disposition": disposition},
    )


if __name__ == "__main__":
    json_log.configure()
    worker_loop.run(lambda: prepare(*sys.argv[1:]))
