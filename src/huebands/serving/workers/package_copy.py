"""A private copy of the served package, from which worker processes can start when the original is gone.

It lies in the folder for temporary files, which a cleaner may empty. So the HTTP process keeps the files in memory too,
touches the copy so often that it never looks old, and writes it again when something is missing. The copy keeps its
path: an HTTP process that starts anew looks for it there.
"""

import asyncio
import atexit
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from huebands.files.manifest import write_folder
from huebands.package.generator import read_files
from huebands.package.schema import PackageError

CHECK_INTERVAL = 600.0  # seconds; cleaners leave alone what was touched within days
_log = logging.getLogger("huebands.serving")


class PrivateCopy:
    """The files of a package, in memory and in a folder.

    Args:
        folder: folder of the package.
        package_sha256: hash that it must have.

    Attributes:
        fault: why the folder could not be written again; None: it is complete.

    Raises:
        PackageError: when the folder does not hold that package.
    """

    def __init__(self, folder: Path, package_sha256: str) -> None:
        self.folder, self.package_sha256 = folder, package_sha256
        self._files = read_files(folder, package_sha256)
        self.fault: str | None = None

    def restore(self) -> Path:
        """Write the folder again if it is not complete, and touch its files; gives the folder.

        Raises:
            PackageError: when it cannot be written, or another user could change it.
        """
        try:
            _claim(self.folder.parent)
            if not self._is_complete():
                write_folder(self.folder, self._files)
                _log.warning("the private copy of the package was missing or changed; written again to %s", self.folder)
            for path in (self.folder, *self.folder.iterdir()):
                os.utime(path)
            self.fault = None
        except PackageError as error:
            self.fault = str(error)
            raise
        except OSError as error:
            self.fault = _copy_error(self.folder, error)
            raise PackageError(self.fault) from error
        return self.folder

    async def restore_regularly(self) -> None:
        """Restore the folder every CHECK_INTERVAL until cancelled; an error is logged."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                await asyncio.to_thread(self.restore)
            except PackageError as error:
                _log.error("%s", error)

    def _is_complete(self) -> bool:
        try:
            read_files(self.folder, self.package_sha256)
        except PackageError:
            return False
        return True


def copy_privately(source: Path, package_sha256: str) -> Path:
    """Copy a package to a new folder, which is removed when this process ends.

    Args:
        source: folder of the package.
        package_sha256: hash that it must have.

    Raises:
        PackageError: when it has another hash, or cannot be copied.
    """
    files = read_files(source, package_sha256)
    try:
        return _write_privately(files)
    except OSError as error:
        raise PackageError(_copy_error(source, error)) from error


def _write_privately(files: dict[str, bytes]) -> Path:
    """Write files to a new folder that only this user can write to; gives the folder."""
    parent = Path(tempfile.mkdtemp(prefix="huebands-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / "package"
    try:
        write_folder(folder, files)
    except OSError:
        with suppress(OSError):
            parent.rmdir()  # only where it is empty
        raise
    return folder


def _claim(parent: Path) -> None:
    """Make the folder around a copy again if it is gone.

    Everyone may write into the folder for temporary files, so that another user may have taken the free name.

    Raises:
        OSError: when it cannot be made.
        PackageError: when it is a link, no folder, or another user's.
    """
    with suppress(FileExistsError):
        parent.mkdir(mode=0o700)
    status, user = parent.lstat(), os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user:
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "file"
        raise PackageError(
            f"{parent}: is a {kind} of user {status.st_uid}, and must be a folder of user {user}, who runs the service;"
            " remove it, or start the service again"
        )


def _copy_error(folder: Path, error: OSError) -> str:
    return (
        f"{folder}: cannot be copied to {tempfile.gettempdir()} ({error.strerror}); free space there, or name another"
        " folder for temporary files in TMPDIR"
    )
