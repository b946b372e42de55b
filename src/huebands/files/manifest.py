"""A folder with a manifest: `manifest.json` lists the sha256 of every other file in it.

Every file is read once, from a regular file and not through a link. The bytes that are parsed are the bytes that were
hashed, so a later change of a file has no effect.
"""

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from huebands.files import atomic

MANIFEST = "manifest.json"
FORMAT = 1
_REMEDY = "take the folder from its source again"
# O_NONBLOCK: a named pipe without a writer must not block its reader.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class FolderError(ValueError):
    """A folder lacks a file, or holds something that does not belong there."""


def read_folder(folder: Path, allowed: Collection[str]) -> dict[str, bytes]:
    """Read every file of a folder.

    Args:
        folder: may itself be a link.
        allowed: names of the files that may be in it, beside the manifest.

    Returns:
        The content by name, the manifest's too.

    Raises:
        FolderError: when there is no such folder, or something in it is no regular file or not allowed; names it.
    """
    try:
        if not folder.exists():
            atomic.settle(folder)
        descriptor = os.open(folder, _LISTING)
    except OSError as error:
        raise FolderError(f"{folder}: no such folder ({error.strerror})") from None
    try:
        with os.scandir(descriptor) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            if name != MANIFEST and name not in allowed:
                raise FolderError(f"{folder / name}: does not belong there; move it to another folder")
        return {name: _read(folder / name, name, descriptor) for name in names}
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        FolderError: when there is none, or something else of that name.
    """
    return _read(path, path)


def hashes_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The sha256 of every file but the manifest, by name in their order."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files) if name != MANIFEST}


def check_manifest(folder: Path, files: Mapping[str, bytes]) -> None:
    """Check a folder's files against its manifest.

    Args:
        folder: named in errors.
        files: as `read_folder` gives them, the manifest among them.

    Raises:
        FolderError: names the file that is missing, changed or not listed, or what is wrong with the manifest.
    """
    listed, hashes = _parse(folder / MANIFEST, files[MANIFEST]), hashes_of(files)
    for name in sorted(set(listed) | set(hashes)):
        if name not in hashes:
            raise FolderError(f"{folder / name}: missing, but {MANIFEST} lists it; {_REMEDY}")
        if name not in listed:
            raise FolderError(f"{folder / name}: {MANIFEST} does not list it; move it to another folder")
        if hashes[name] != listed[name]:
            raise FolderError(
                f"{folder / name}: sha256 (={hashes[name]}) must be {listed[name]}, which {MANIFEST} lists: the file"
                f" was changed; {_REMEDY}"
            )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace a folder by files and the manifest that lists them.

    Args:
        folder: like that of `atomic.replace_folder`.
        files: content by name; a manifest among them is left out.

    Raises:
        OSError: like `atomic.replace_folder`.
    """
    hashes = hashes_of(files)
    text = json.dumps({"format": FORMAT, "files": hashes}, indent=2) + "\n"
    with atomic.replace_folder(folder) as new_folder:
        for name in hashes:
            atomic.write_bytes(new_folder / name, files[name])
        atomic.write_text(new_folder / MANIFEST, text)


def _read(path: Path, name: str | Path, folder_descriptor: int | None = None) -> bytes:
    try:
        descriptor = os.open(name, _READ, dir_fd=folder_descriptor)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FolderError(f"{path}: is no regular file; move it to another folder")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise FolderError(f"{path}: missing; {_REMEDY}") from None
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        reason = "is a link; put the file itself there" if is_link else f"cannot be read ({error.strerror})"
        raise FolderError(f"{path}: {reason}") from None


def _parse(path: Path, content: bytes) -> dict[str, str]:
    def check(condition: bool, key: str, value: object, must: str) -> None:
        if not condition:
            raise FolderError(f"{path}: {key} (={value!r}) must {must}; {_REMEDY}")

    try:
        manifest: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{path}: not JSON ({error}); {_REMEDY}") from None
    is_complete = isinstance(manifest, dict) and set(manifest) == {"format", "files"}
    check(is_complete, "content", type(manifest).__name__, "be an object with the keys format and files")
    check(manifest["format"] == FORMAT, "format", manifest["format"], f"be {FORMAT}")
    check(isinstance(manifest["files"], dict), "files", manifest["files"], "be an object")
    for name, sha256 in manifest["files"].items():
        check(isinstance(sha256, str) and bool(re.fullmatch("[0-9a-f]{64}", sha256)), name, sha256, "be a sha256")
    return dict(manifest["files"])
