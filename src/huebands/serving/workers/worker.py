"""What a worker process does with a job: decode, colorize, measure, encode. It runs as a program of its own."""

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import numpy as np
from PIL import UnidentifiedImageError

from huebands.colorize.border import Border
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar, ExemplarError
from huebands.colorize.hints import HintsError
from huebands.colorize.own_colour import OwnColour, own_colour
from huebands.colorize.prediction import Prediction
from huebands.colorize.report import Origin, picture_file
from huebands.colorize.result import Colorization
from huebands.colorize.result_files import picture_of
from huebands.colorize.sampling import SamplesError
from huebands.colorize.unlike import looks_drawn
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import read_package
from huebands.photos.formats import is_of_known_format
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError, announced_pixels, read_photo
from huebands.photos.write import encode_png
from huebands.serving import json_log
from huebands.serving.workers import worker_loop
from huebands.serving.workers.archive import pack_archive, safe_stem
from huebands.serving.workers.exploration import pack_exploration
from huebands.serving.workers.jobs import Answer, Job, Kind, Measurements, Outcome, Refusal, Unwatched
from huebands.serving.workers.messages import Done, Reply, Task, TooLarge

LARGE = 16_000_000  # pixels; larger photos take gigabytes, so one at a time is processed
_UNWATCHED: dict[OwnColour, Unwatched | None] = {"none": "grey", "tinted": "tinted", "colour": None}


def work(colorizer: Colorizer, job: Job) -> Outcome:
    """Run a job."""
    start = time.perf_counter()
    try:
        rgb_HW3 = read_photo(job.content, job.name)
    except ImageError as error:
        return _refuse(job, error)
    decoded = time.perf_counter()
    photo = GreyPhoto.of_rgb(rgb_HW3)
    border = Border.of(photo)
    if job.crop_border and border is not None:
        rgb_HW3, photo = np.ascontiguousarray(rgb_HW3[photo.picture]), photo.inside()
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
    origin = Origin(
        photo=job.name,
        photo_sha256=hashlib.sha256(job.content).hexdigest(),
        own_colour=own_colour(rgb_HW3, colorizer.calibration.min_chroma),
        looks_drawn=looks_drawn(result, colorizer.calibration),
        border=border,
        border_is_cropped=job.crop_border,
        map_name=job.map_name,
        sampling=job.sampling,
    )
    unwatched = why_unwatched(origin.own_colour, result)
    outside = result.share_outside(rgb_HW3) if unwatched is None else None
    del rgb_HW3  # frees much memory where the photo is large
    body, media_type, headers = _encode(colorizer, job, prediction, result, origin)
    height, width = result.grey.shape
    measurements = Measurements(
        width=width,
        height=height,
        band_width=result.mean_width,
        likeness=result.likeness,
        outside=outside,
        unwatched=unwatched,
        seconds={
            "decode": decoded - start,
            "colorize": colorized - decoded,
            "encode": time.perf_counter() - colorized,
        },
    )
    return Answer(body=body, media_type=media_type, headers=headers, measurements=measurements)


def why_unwatched(own: OwnColour, result: Colorization) -> Unwatched | None:
    """Say why the true values of a photo are not compared with its bands; None: they are.

    The model sees a photo in grey; when the upload is in colour, its true values are known here.

    Args:
        own: colour of the photo as it was uploaded.
        result: its colorization.
    """
    if result.caveat is not None or result.law is not None:
        return "guided"
    return _UNWATCHED[own]


def prepare(colorizer: Colorizer) -> Callable[[Task], Reply]:
    """Warm up a model; gives the function that runs a task."""
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
    if isinstance(error.__cause__, UnidentifiedImageError) and not is_of_known_format(job.content):
        return Refusal(status=415, reason=str(error), cause="format")
    return Refusal(status=422, reason=str(error), cause="image")


def _encode(
    colorizer: Colorizer, job: Job, prediction: Prediction, result: Colorization, origin: Origin
) -> tuple[bytes, str, dict[str, str]]:
    """The body, media type and further headers of the answer."""
    if job.kind == "explore":
        return pack_exploration(colorizer, job, prediction, result, origin), "application/zip", {}
    if job.kind == "colorize":
        return picture_of(result, picture_file(colorizer.package, origin, result)), "image/png", {}
    disposition = f"attachment; filename*=UTF-8''{quote(safe_stem(job.name))}.huebands.zip"
    return (
        pack_archive(colorizer.package, origin, result),
        "application/zip",
        {"Content-Disposition": disposition},
    )


if __name__ == "__main__":
    json_log.configure()
    folder, package_sha256 = sys.argv[1:]
    worker_loop.run(lambda: prepare(Colorizer(read_package(Path(folder), package_sha256), folder)))
