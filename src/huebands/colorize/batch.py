"""Colorizes many photos into files below one folder, side by side in processes; a later run goes on from there.

What is done is told by the manifest. Only a photo whose results, content and settings are the same is left out.
"""

import errno
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import torch

from huebands.colorize.border import Border
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.credentials import Credentials, CredentialsError
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.fading import Fading
from huebands.colorize.fingerprints import file_sha256, hints_sha256, levels_sha256
from huebands.colorize.hints import HintRequest, HintsError
from huebands.colorize.manifest import Manifest, Record
from huebands.colorize.own_colour import own_colour
from huebands.colorize.picture_file import keepable
from huebands.colorize.processes import KilledError, side_by_side
from huebands.colorize.report import REPORT, Origin, files_of
from huebands.colorize.result import Colorization
from huebands.colorize.result_files import file_names, write_files
from huebands.colorize.sampling import SamplesError, Sampling
from huebands.colorize.search import Photo
from huebands.colorize.standard_streams import STDIN
from huebands.colorize.targets import TargetError, Targets
from huebands.conformal.error_map import MapName
from huebands.conformal.guarantee import Guarantee
from huebands.photos.encode import EncodingError, Format, format_of
from huebands.photos.errors import ImageError
from huebands.photos.formats import open_image
from huebands.photos.grey import GreyPhoto
from huebands.photos.metadata import read_metadata
from huebands.photos.read import read_picture

MEGAPIXELS = 64.0  # of all photos that are worked on at a time; one alone may have more
_FEW = 4  # photos, which take about as long as the start of a process
# Errors of the operating system that the next photo would meet too.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
# What one photo can do wrong.
_OF_A_PHOTO = (ImageError, CredentialsError, EncodingError, SamplesError, HintsError, TargetError, KilledError, OSError)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of every photo.

    Attributes:
        guarantee: of the bands.
        map_name: the map that the picture of uncertainty shows.
        sampling: of further colourings.
        hints: of the one photo.
        like: a reference for all.
        max_pixels: see `read_picture`.
        format: of the pictures; None: that of each photo's file where it is one of them, else PNG.
        fading: of their colours.
        credentials: that sign them; None: they are not signed.
        crop_border: whether the results are the pictures inside the borders.
        standard_input: the file that holds what came from there; None: nothing did.
    """

    guarantee: Guarantee
    map_name: MapName | None = None
    sampling: Sampling | None = None
    hints: HintRequest | None = None
    like: Exemplar | None = None
    max_pixels: int | None = None
    crop_border: bool = False
    format: Format | None = None
    fading: Fading = field(default_factory=Fading)
    credentials: Credentials | None = None
    standard_input: Path | None = None

    def file_of(self, photo: Path) -> Path:
        """The file of a photo, whose path may stand for standard input."""
        return self.standard_input if photo == STDIN and self.standard_input is not None else photo

    def settings(self, colorizer: Colorizer) -> dict[str, Any]:
        """All that decides a photo's results, as JSON can hold it."""
        guarantee, sampling = self.guarantee, self.sampling
        return {
            "package_sha256": colorizer.package.package_sha256,
            "alpha": guarantee.alpha,
            "mode": guarantee.mode,
            "delta": guarantee.delta,
            "grouped": guarantee.grouped,
            "map": self.map_name,
            "samples": sampling.count if sampling else 0,
            "seed": sampling.seed if sampling else None,
            "hints_sha256": None if self.hints is None else hints_sha256(self.hints),
            "like_sha256": None if self.like is None else levels_sha256(self.like.rgb_HW3),
            "crop_border": self.crop_border,
            "format": self.format,
            "strength": self.fading.strength,
            "faded_at_width": self.fading.width,
            "signer_sha256": None if self.credentials is None else hashlib.sha256(self.credentials.chain).hexdigest(),
        }


@dataclass(frozen=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: path of the photo.
        record: its line in the manifest; None: it was done before.
        error: why there is no result.
    """

    photo: Path
    record: Record | None
    error: Exception | None = None


def colorize_photos(
    colorizer: Colorizer,
    paths: Mapping[Photo, PurePath],
    task: Task,
    targets: Targets,
    manifest: Manifest,
    jobs: int | None = None,
    cores: int = 1,
) -> Iterator[Outcome]:
    """Colorize photos, each into its files, and write the manifest.

    A photo whose files would replace what they must not is left out before the work.

    Args:
        colorizer: with its model.
        paths: by photo, of its results below the folder of the targets, without their endings.
        task: what is asked.
        targets: where files may be written; with `overwrite` what was done is done again.
        manifest: of that folder.
        jobs: number of processes; None: as many as `cores`, and fewer for few photos. With one, this process works.
        cores: that there are.

    Raises:
        OSError: when the disk is full, or the manifest cannot be written; what is done is kept.
    """
    settings = task.settings(colorizer)
    todo, most = _Todo(paths, task, settings, manifest, targets), max(len(paths), 1)
    jobs = min(max(most // _FEW, 1), cores) if jobs is None else min(jobs, most)
    work = partial(_work, task=task, targets=targets)
    results: Iterator[tuple[Record, Any]]
    if jobs == 1:
        results = ((record, _result_or_error(work, record, colorizer)) for record in todo)
    else:
        folder, sha256 = colorizer.package.folder, colorizer.package.package_sha256
        prepare = partial(_prepare, str(folder), sha256)
        results = side_by_side(
            todo, partial(_work_in_process, work), prepare, jobs, partial(_megapixels, task), MEGAPIXELS
        )
    for record, result in results:
        yield from todo.outcomes()
        if isinstance(result, OSError) and result.errno in _FULL:
            raise result
        if isinstance(result, Record):
            manifest.add(replace(result, model=colorizer.package.config["name"]))
            yield Outcome(Path(record.photo), result)
        elif isinstance(result, _OF_A_PHOTO):
            failed = replace(record, error=" ".join(str(result).split()))
            if not isinstance(result, TargetError):  # what stands there may still be the result of an earlier line
                manifest.add(failed)
            yield Outcome(Path(record.photo), failed, result)
        else:
            raise result
    yield from todo.outcomes()


def rehearse(
    colorizer: Colorizer, paths: Mapping[Photo, PurePath], task: Task, targets: Targets, manifest: Manifest
) -> Iterator[Outcome]:
    """Give the outcomes that `colorize_photos` would have if all photos were sound; nothing is written."""
    todo = _Todo(paths, task, task.settings(colorizer), manifest, targets)
    for record in todo:
        yield from todo.outcomes()
        photo = Path(record.photo)
        try:
            _check_targets(record, task, targets)
        except (TargetError, OSError) as error:
            yield Outcome(photo, record, error)
        else:
            yield Outcome(photo, replace(record, files=_files_of(record, task)))
    yield from todo.outcomes()


class _Todo:
    """The photos that are not done, as records to fill in; meanwhile it notes those that are done."""

    def __init__(
        self,
        paths: Mapping[Photo, PurePath],
        task: Task,
        settings: Mapping[str, Any],
        manifest: Manifest,
        targets: Targets,
    ) -> None:
        self._paths, self._task, self._settings = paths, task, settings
        self._manifest, self._targets = manifest, targets
        self._done: list[Outcome] = []

    def __iter__(self) -> Iterator[Record]:
        for photo, path in self._paths.items():
            record = Record(
                photo=str(photo.path),
                result=path.as_posix(),
                settings=self._settings,
                page=photo.page,
                format=self._task.format or _format_of(self._task.file_of(photo.path)),
            )
            is_known = record.result in self._manifest.lines
            if not self._targets.overwrite and is_known and self._is_done(photo.path, record):
                self._done.append(Outcome(photo.path, None))
            else:
                yield record

    def outcomes(self) -> Iterator[Outcome]:
        """The photos that were found to be done since the last call."""
        while self._done:
            yield self._done.pop(0)

    def _is_done(self, photo: Path, record: Record) -> bool:
        try:
            return self._manifest.is_done(replace(record, sha256=file_sha256(self._task.file_of(photo))))
        except OSError:
            return False  # whoever reads it says why


def _work(record: Record, colorizer: Colorizer, task: Task, targets: Targets) -> Record:
    """Colorize one photo into its files; gives the record filled in."""
    started, photo, path = time.perf_counter(), Path(record.photo), PurePath(record.result)
    _check_targets(record, task, targets)
    file = task.file_of(photo)
    content = file.read_bytes() if file.is_file() else None
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    picture = read_picture(file if content is None else content, str(photo), task.max_pixels, record.page)
    grey = GreyPhoto.of_picture(picture)
    border = Border.of(grey)
    if task.crop_border and border is not None:
        picture, grey = picture.part(*grey.picture), grey.inside()
    own = own_colour(picture.on_white(), colorizer.calibration.min_chroma)
    metadata = keepable(read_metadata(file if content is None else content), record.format)
    del content, picture  # 150 MB of a photo of 50 megapixels
    prediction = colorizer.predict(grey, hints=task.hints, like=task.like)
    result = colorizer.choose(prediction, task.guarantee, task.sampling)
    origin = Origin(
        photo=photo.name,
        photo_sha256=sha256,
        own_colour=own,
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
        files=_files_of(record, task),
        width=width,
        height=height,
        own_colour=own,
        border=None if border is None else border.in_words,
        lost=metadata.lost,
        seconds=round(time.perf_counter() - started, 3),
        **_measure(result),
    )


def _check_targets(record: Record, task: Task, targets: Targets) -> None:
    for file in _files_of(record, task):
        targets.check(targets.folder / file)


def _files_of(record: Record, task: Task) -> tuple[str, ...]:
    samples = task.sampling.count if task.sampling else 0
    names = file_names(record.result, samples, record.format, task.fading.width is not None)
    return (*names, f"{record.result}{REPORT}")


def _measure(result: Colorization) -> dict[str, Any]:
    error = result.expected_error
    return {
        "likeness": float(result.likeness),
        "mean_width": round(float(result.width.mean()), 3),
        "expected_error": None if error is None else round(float(error.mean()), 3),
        "samples_outside": tuple(round(share, 5) for share in result.samples_outside),
        "caveat": result.caveat,
        "law": result.law,
        "unusual_hints": result.hints.in_words if result.hints is not None else "",
    }


def _format_of(file: Path) -> Format:
    try:
        with file.open("rb") as opened, open_image(opened) as image:
            return format_of(image.format or "")
    except Exception:  # whoever reads it says why
        return "png"


def _result_or_error(work: Callable[..., Record], record: Record, colorizer: Colorizer) -> Record | Exception:
    try:
        return work(record, colorizer)
    except _OF_A_PHOTO as error:
        return error


_colorizer: Colorizer | None = None  # of a process that works for another


def _prepare(folder: str, package_sha256: str) -> None:
    global _colorizer
    torch.set_num_threads(1)
    _colorizer = Colorizer.load(folder)
    if _colorizer.package.package_sha256 != package_sha256:
        raise RuntimeError(f"{folder}: the package was changed during the run")


def _work_in_process(work: Callable[..., Record], record: Record) -> Record:
    return work(record, _colorizer)


def _megapixels(task: Task, record: Record) -> float:
    try:
        with task.file_of(Path(record.photo)).open("rb") as file, open_image(file) as image:
            return image.width * image.height / 1e6
    except Exception:  # whoever reads it says why
        return 0.0
