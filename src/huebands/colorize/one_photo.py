"""Colorizes one photo of a run: from its file to the files of its results."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from huebands.colorize.border import Border
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.manifest import Record
from huebands.colorize.own_colour import own_colour
from huebands.colorize.picture_file import keepable
from huebands.colorize.report import Origin, files_of
from huebands.colorize.result import Colorization
from huebands.colorize.result_files import write_files
from huebands.colorize.targets import Targets
from huebands.colorize.task import Task
from huebands.colorize.unlike import looks_drawn
from huebands.photos.grey import GreyPhoto
from huebands.photos.metadata import read_metadata
from huebands.photos.read import read_picture


def colorize_photo(record: Record, colorizer: Colorizer, task: Task, targets: Targets) -> Record:
    """Colorize one photo into its files.

    Args:
        record: names the photo and its results.
        colorizer: with its model.
        task: what is asked.
        targets: where files may be written.

    Returns:
        The record, filled in.

    Raises:
        TargetError: when a file would replace what it must not.
        ImageError: when the photo cannot be read.
        ValueError: when what is asked does not fit the photo: hints, samples, format, credentials.
        OSError: when a file cannot be written.
    """
    started, photo, path = time.perf_counter(), Path(record.photo), PurePath(record.result)
    check_targets(record, task, targets)
    file = task.file_of(photo)
    content = file.read_bytes() if file.is_file() else None
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    picture = read_picture(file if content is None else content, str(photo), task.max_pixels, record.page)
    grey = GreyPhoto.of_picture(picture)
    border = Border.of(grey)
    if task.crop_border and border is not None:
        picture, grey = picture.part(*grey.picture), grey.inside()
    own = own_colour(picture.on_white(), colorizer.calibration.min_chroma)
    metadata = keepable(read_metadata(file if content is None else content, record.page), record.format)
    del content, picture  # 150 MB of a photo of 50 megapixels
    prediction = colorizer.predict(grey, hints=task.hints, like=task.like)
    result = colorizer.choose(prediction, task.guarantee, task.sampling)
    origin = Origin(
        photo=photo.name,
        photo_sha256=sha256,
        own_colour=own,
        looks_drawn=looks_drawn(result, colorizer.calibration),
        border=border,
        border_is_cropped=task.crop_border,
        map_name=task.map_name,
        sampling=task.sampling,
        page=record.page,
        metadata=metadata,
        format=record.format,
        fading=task.fading,
        credentials=task.credentials,
    )
    files = files_of(colorizer.package, origin, result, path.name)
    write_files(targets.folder / path.parent, files, targets.check)
    height, width = result.grey.shape
    return replace(
        record,
        sha256=sha256,
        files=task.files_of(record),
        width=width,
        height=height,
        own_colour=own,
        looks_drawn=origin.looks_drawn,
        border=None if border is None else border.in_words,
        lost=metadata.lost,
        seconds=round(time.perf_counter() - started, 3),
        **_measure(result),
    )


def check_targets(record: Record, task: Task, targets: Targets) -> None:
    """Check that a photo's results may be written.

    Raises:
        TargetError: when one would replace what it must not.
        OSError: when a place cannot be looked at.
    """
    for file in task.files_of(record):
        targets.check(targets.folder / file)


def _measure(result: Colorization) -> dict[str, Any]:
    error = result.error_figures
    return {
        "likeness": float(result.likeness),
        "mean_width": round(result.mean_width, 3),
        "expected_error": None if error is None else round(error.mean, 3),
        "samples_outside": tuple(round(share, 5) for share in result.samples_outside),
        "caveat": result.caveat,
        "law": result.law,
        "unusual_hints": result.hints.in_words if result.hints is not None else "",
    }
