"""Colorizes many photos into files below one folder, side by side in processes; a later run goes on from there.

What is done is told by the manifest. Only a photo whose results, content and settings are the same is left out.
"""

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import torch

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.credentials import CredentialsError
from huebands.colorize.fingerprints import file_sha256
from huebands.colorize.hints import HintsError
from huebands.colorize.manifest import Manifest, Record
from huebands.colorize.one_photo import check_targets, colorize_photo
from huebands.colorize.processes import KilledError, side_by_side
from huebands.colorize.sampling import SamplesError
from huebands.colorize.search import Photo
from huebands.colorize.targets import TargetError, Targets
from huebands.colorize.task import Task
from huebands.photos.encode import EncodingError
from huebands.photos.errors import ImageError
from huebands.photos.formats import open_image

MEGAPIXELS = 64.0  # of all photos that are worked on at a time; one alone may have more
_FEW = 4  # photos, which take about as long as the start of a process
# Errors of the operating system that the next photo would meet too.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
# What one photo can do wrong; the errors of the first line do not name it.
_NAMELESS = (CredentialsError, EncodingError, HintsError, KilledError, SamplesError)
_OF_A_PHOTO = (*_NAMELESS, ImageError, TargetError, OSError)


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
    work = partial(colorize_photo, task=task, targets=targets)
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
            if isinstance(result, _NAMELESS):
                result = type(result)(f"{record.photo}: {result}")
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
            check_targets(record, task, targets)
        except (TargetError, OSError) as error:
            yield Outcome(photo, record, error)
        else:
            yield Outcome(photo, replace(record, files=task.files_of(record)))
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
                format=self._task.format_of(photo.path),
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
