"""A private copy of the package that is served, so that processes can start anew when its source is away.

It lies in the folder for temporary files, which a cleaner may empty: so the process that speaks HTTP also keeps the
files in memory, looks at the copy often enough that it never grows old, and makes it anew where something is missing.
"""

import asyncio
import atexit
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from huebands.files.manifest import write_folder
from huebands.package.generator import read_files
from huebands.package.hashes import check_hash, hash_files
from huebands.package.schema import PackageError

LOOK_EVERY = 600.0  # seconds; cleaners leave alone what was touched within days
_log = logging.getLogger("huebands.serving")


class PrivateCopy:
    """The files of a package, in memory and in a folder.

    Args:
        folder: of the package.
        package_sha256: which it must have.

    Attributes:
        fault: why the folder could not be made anew; None: it is there.

    Raises:
        PackageError: when the folder does not hold that package.
    """

    def __init__(self, folder: Path, package_sha256: str) -> None:
        self.folder, self.package_sha256 = folder, package_sha256
        self._files = read_files(folder)
        check_hash(folder, hash_files(self._files), package_sha256)
        self.fault: str | None = None

    def keep(self) -> Path:
        """Make the folder anew where it is not whole, and mark its files as used; gives the folder.

        Raises:
            PackageError: when it cannot be made.
        """
        try:
            if not self._is_whole():
                self.folder = _write_privately(self.folder, self._files)
                _log.warning("the private copy of the package was gone, and was made anew in %s", self.folder)
            for path in (self.folder, *self.folder.iterdir()):
                os.utime(path)
            self.fault = None
        except OSError as error:
            self.fault = _problem(self.folder, error)
            raise PackageError(self.fault) from error
        return self.folder

    async def keep_on(self) -> None:
        """Keep the folder until cancelled; what fails is logged, and tried again."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await asyncio.to_thread(self.keep)
            except PackageError as error:
                _log.error("%s", error)

    def _is_whole(self) -> bool:
        try:
            return hash_files(read_files(self.folder)) == self.package_sha256
        except PackageError:
            return False


def copy_privately(source: Path, package_sha256: str) -> Path:
    """Copy a package to a new folder, which is removed when this process ends.

    Args:
        source: folder of the package.
        package_sha256: which it must have.

    Raises:
        PackageError: when it has another, or cannot be copied.
    """
    files = read_files(source)
    check_hash(source, hash_files(files), package_sha256)
    try:
        return _write_privately(None, files)
    except OSError as error:
        raise PackageError(_problem(source, error)) from error


def _write_privately(folder: Path | None, files: dict[str, bytes]) -> Path:
    """Write files to a folder, or to a new one where nobody but this user may have made it; gives it."""
    if folder is None or not folder.parent.is_dir():
        parent = Path(tempfile.mkdtemp(prefix="huebands-"))
        atexit.register(shutil.rmtree, parent, ignore_errors=True)
        folder = parent / "package"
    try:
        write_folder(folder, files)
    except OSError:
        with suppress(OSError):
            folder.parent.rmdir()  # only where it is empty
        raise
    return folder


def _problem(folder: Path, error: OSError) -> str:
    return (
        f"{folder}: cannot be copied to {tempfile.gettempdir()} ({error.strerror}); free space there, or name another"
        " folder for temporary files in TMPDIR"
    )
