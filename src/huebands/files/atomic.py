"""Atomic writing: a file or a folder is replaced as a whole, or stays as it was.

New content is written beside its place, synced to the disk, and renamed into its place. A reader finds the old content
or the new one, also after a full disk, a kill or a power cut. In addition:

- a failure, KeyboardInterrupt among them, leaves nothing behind; a kill leaves a hidden `.huebands-*.partial`, which
  the next writer into the same folder removes;
- files and folders get the mode that the umask leaves, as any new file does;
- a symbolic link in the place is replaced itself: what it points to is never written;
- a folder is replaced by two renames. A kill between them leaves the old one hidden beside its place; `settle`, which
  readers call where the folder is missing, and the next writer bring it back.

Writers and readers may be many processes. They tell a living writer from a killed one by a lock on what it writes.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content.

    Raises:
        OSError: naming the file; it holds its old content, or all of the new where only the last sync failed.
    """
    with writing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content by text in UTF-8, line ends as they are; raises like `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Give an empty file, which takes the place of `path` when the block ends without an error.

    Raises:
        OSError: like `write_bytes`.
    """
    with _claimed(path.parent, _create_file, path) as (partial, descriptor):
        with open(descriptor, "wb", closefd=False) as file:
            yield file
        os.fsync(descriptor)
        partial.replace(path)
        _sync_folder(path.parent)


@contextmanager
def replace_folder(folder: Path, unless: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Give an empty folder, which takes the place of `folder` when the block ends without an error.

    Args:
        folder: the folders above it are made if need be; it may be missing.
        unless: called while no other writer can replace the folder. If it is true, the old folder stays and the new
            one is dropped. It must not write into the folder above.

    Raises:
        OSError: naming a file; the folder is what it was before.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _claimed(folder.parent, _create_folder, folder) as (partial, _):
        new_folder, old_folder, replaced = partial / "new", partial / "old", _replaced(folder)
        new_folder.mkdir()
        yield new_folder
        _sync_tree(new_folder)
        with locked(folder.parent):
            _settle(folder)
            if unless():
                return
            try:
                with suppress(FileNotFoundError):
                    folder.rename(replaced)
                new_folder.rename(folder)
                _sync_folder(folder.parent)
                with suppress(FileNotFoundError):
                    replaced.rename(old_folder)  # removed there: half removed, it must not be restored
            except BaseException:
                if not new_folder.exists():
                    folder.rename(new_folder)
                _settle(folder)
                raise


def copy_folder(source: Path, folder: Path) -> None:
    """Replace a folder by a copy of another, links followed.

    Raises:
        OSError: naming a file; the folder is what it was before.
    """
    with replace_folder(folder) as new_folder:
        shutil.copytree(source, new_folder, dirs_exist_ok=True)


def settle(folder: Path) -> None:
    """Bring back a folder whose replacement was killed; does nothing when there is none.

    Raises:
        OSError: where the folder above does not allow it.
    """
    if os.path.lexists(_replaced(folder)):
        with locked(folder.parent):
            _settle(folder)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder against other processes and threads; waits for it.

    Raises:
        OSError: when there is no such folder.
    """
    descriptor = os.open(folder, _FOLDER)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replaced(folder: Path) -> Path:
    """The path of a folder while another takes its place."""
    return folder.with_name(f".{folder.name}.replaced")


def _settle(folder: Path) -> None:
    replaced = _replaced(folder)
    if not os.path.lexists(replaced):
        return
    if os.path.lexists(folder):
        _remove(replaced)
    else:
        replaced.rename(folder)


@contextmanager
def _claimed(folder: Path, create: Callable[[Path], int], target: Path) -> Iterator[tuple[Path, int]]:
    """Create a partial file or folder, and remove what is left of it at the end.

    Args:
        folder: folder that holds it.
        create: makes it and opens it.
        target: path that it will replace, for errors.
    """
    partial = folder
    try:
        partial, descriptor = _claim(folder, create)
        try:
            yield partial, descriptor
        finally:
            if _is_at(descriptor, partial):  # else it took its place, and the name may be another writer's by now
                _remove(partial)
            os.close(descriptor)
    except OSError as error:
        is_partial = error.filename in (None, str(folder)) or str(error.filename).startswith(str(partial))
        if is_partial and error.errno is not None:
            error.filename = str(target)
        raise


def _claim(folder: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    number = 0
    while True:
        partial = folder / f".huebands-{number}.partial"
        try:
            descriptor = create(partial)
        except FileExistsError:
            number += not _remove_abandoned(partial)
            continue
        except FileNotFoundError:
            if folder.is_dir():  # another writer took it for abandoned before it was opened
                continue
            raise
        with suppress(OSError):  # a file system without locks: then nothing counts as abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(descriptor, partial):
            return partial, descriptor
        os.close(descriptor)  # another writer took it for abandoned before it was locked


def _create_file(path: Path) -> int:
    return os.open(path, _NEW_FILE, 0o666)


def _create_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, _FOLDER | os.O_NOFOLLOW)


def _remove_abandoned(partial: Path) -> bool:
    """Remove what a killed writer has left; gives whether the name is free."""
    try:
        descriptor = os.open(partial, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, partial):
            _remove(partial)
        return True
    except OSError:  # its writer is alive, or it must not be removed
        return False
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            _sync_folder(path)
        elif path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
