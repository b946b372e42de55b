"""Finds the photos that a command is given, files and those of folders, and tells what it passes over."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

from huebands.colorize.complaint import complain
from huebands.colorize.contact_sheet import NAME as SHEET
from huebands.colorize.manifest import NAME as MANIFEST
from huebands.colorize.mark import is_result
from huebands.colorize.report import REPORT
from huebands.colorize.result_files import file_names
from huebands.colorize.sampling import MAX_SAMPLES
from huebands.colorize.standard_streams import STDIN
from huebands.photos.encode import SUFFIX
from huebands.photos.errors import ImageError
from huebands.photos.formats import SUFFIXES, open_image, pages

Page = int | Literal["all"] | None
# Endings of the files of results.
RESULTS = (*{name for kind in SUFFIX for name in file_names("", MAX_SAMPLES, kind, is_faded=True)}, REPORT)
# Of Windows, macOS and Synology's file servers; names that begin with a dot are hidden everywhere.
_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "#recycle", "__macosx", "lost+found"))


@dataclass(frozen=True)
class Photo:
    """A photo that a command was given.

    Attributes:
        path: of the file.
        place: path below the folder that was given; its name alone where the file was given.
        page: of the file, from 1; None: its only one.
    """

    path: Path
    place: PurePath
    page: int | None = None


@dataclass
class Search:
    """What was found below the paths of a command.

    Attributes:
        photos: in the order of the paths, those of a folder by name; each file once.
        errors: paths that are missing, folders that cannot be read or hold no photo.
        passed_over: files that are no photos, with the reason.
        hidden: number of hidden files and folders, and of those that systems make.
        results: number of results of earlier runs.
    """

    photos: list[Photo] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    hidden: int = 0
    results: int = 0
    _known: set[Path] = field(default_factory=set)
    _page: Page = None

    @classmethod
    def below(cls, paths: Sequence[Path], page: Page = None) -> "Search":
        """Search files and folders.

        A file that was given is a photo, whatever its name. In a folder, links to files are followed, those to folders
        are not.
        """
        search = cls(_page=page)
        for path in paths:
            if path is STDIN:
                search.photos.append(Photo(STDIN, PurePath("stdin"), None if page == "all" else page))
            elif path.is_dir():
                count = len(search.photos)
                failures = len(search.errors)
                for file in search._walk(path):
                    search._look_at(file, file.relative_to(path))
                if len(search.photos) == count and len(search.errors) == failures:
                    search.errors.append(ImageError(str(path), "holds no photos"))
            elif path.exists():
                search._add(path, PurePath(path.name))
            else:
                search.errors.append(ImageError(str(path), "no such file or folder"))
        return search

    def report(self) -> Iterator[str]:
        """What was passed over, in lines."""
        for path, reason in self.passed_over:
            yield f"passed over: {path}: {reason}"
        if self.results:
            yield f"passed over: {self.results} {_plural('file', self.results)} of earlier results"
        if self.hidden:
            yield f"passed over: {self.hidden} hidden or system {_plural('file', self.hidden)} and folders"

    def _walk(self, root: Path) -> Iterator[Path]:
        """The files below a folder; folders that cannot be read are errors."""
        for folder, folders, files in os.walk(root, onerror=self.errors.append):
            entered = []
            for name in sorted(folders):
                if _is_hidden(name):
                    self.hidden += 1
                elif Path(folder, name).is_symlink():
                    self.passed_over.append((Path(folder, name), "a link to a folder"))
                else:
                    entered.append(name)
            folders[:] = entered
            for name in sorted(files):
                if _is_hidden(name):
                    self.hidden += 1
                else:
                    yield Path(folder, name)

    def _look_at(self, file: Path, place: PurePath) -> None:
        """Tell a photo of a folder from what is none."""
        if not file.exists():
            self.passed_over.append((file, "a link to nothing"))
        elif not file.is_file():
            self.passed_over.append((file, "not a file"))
        elif file.name in (MANIFEST, SHEET):
            self.results += 1
        elif file.name.endswith(RESULTS):
            if is_result(file):
                self.results += 1
            else:
                reason = "has the name of a result, and was changed or made by something else; give its name if it is a"
                self.passed_over.append((file, f"{reason} photo"))
        elif file.suffix.lower() in SUFFIXES or _opens(file):
            self._add(file, place)
        elif file.stat().st_size == 0:
            self.passed_over.append((file, "empty"))
        else:
            self.passed_over.append((file, "not a picture of a known format"))

    def _add(self, path: Path, place: PurePath) -> None:
        if (resolved := path.resolve()) not in self._known:
            self._known.add(resolved)
            pages = _pages(path) if self._page == "all" else (self._page,)
            photo = resolved if path == STDIN else path
            self.photos.extend(Photo(photo, place, page) for page in pages)


def search_photos(paths: Sequence[Path], page: Page = None) -> tuple[Search, int]:
    """Find the photos of folders and files, and give the exit code; what is wrong with a path is said on stderr."""
    search = Search.below(paths, page)
    codes = [complain(error) for error in search.errors]
    return search, max(codes, default=0)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEM


def _opens(path: Path) -> bool:
    """Whether a file of an unknown name is a picture by its content."""
    try:
        with path.open("rb") as file, open_image(file):
            return True
    except Exception:  # Pillow raises almost any exception on hostile bytes
        return False


def _pages(path: Path) -> Sequence[int | None]:
    """The pages of a file that has several, else None alone."""
    try:
        with path.open("rb") as file, open_image(file) as image:
            count = len(pages(image)) if image.format == "TIFF" else 1
    except Exception:  # whoever reads it says why
        count = 1
    return range(1, count + 1) if count > 1 else (None,)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
