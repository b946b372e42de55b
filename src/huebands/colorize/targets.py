"""Where a command may write: never over its own input, and over other files only when it is told so."""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from huebands.colorize.mark import is_result


class TargetError(ValueError):
    """A result must not be written to its place; the message names the place, the reason and the remedy."""


class Targets:
    """The folder of the results, and which files in it may be replaced.

    Attributes:
        folder: of the results.
        overwrite: whether files that are no results may be replaced too.
    """

    def __init__(
        self,
        folder: Path,
        inputs: Iterable[Path] = (),
        overwrite: bool = False,
        is_own: Callable[[Path], bool] = is_result,
    ) -> None:
        """Remember the inputs by what they are, so that no other name, link or spelling hides one.

        Args:
            folder: of the results.
            inputs: files that the command reads; missing ones are left to their readers.
            overwrite: whether files that are no results may be replaced too.
            is_own: whether a file is a result of the command as it was written.
        """
        self.folder, self.overwrite, self._is_own = folder, overwrite, is_own
        self._inputs = {identity for path in inputs if (identity := _identity(path)) is not None}

    def make_folders(self, folders: Iterable[PurePath]) -> None:
        """Make the folders of the results, and find out whether files can be written there.

        Args:
            folders: below the folder of the results.

        Raises:
            OSError: naming the folder, the first that cannot be made or written to.
        """
        for folder in sorted({self.folder / folder for folder in folders} | {self.folder}):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def check(self, path: Path) -> None:
        """Check that a result may be written there.

        Raises:
            TargetError: when an input is there; or a folder; or, unless told to overwrite, a link or a file that is no
                result as it was written.
            OSError: when the place cannot be looked at.
        """
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if _identity(path) in self._inputs:
            raise TargetError(f"{path}: is an input, which no result replaces; choose another folder by --output")
        if stat.S_ISDIR(mode):
            raise TargetError(f"{path}: is a folder; choose another one for the results by --output")
        if self.overwrite or (stat.S_ISREG(mode) and self._is_own(path)):
            return
        kind = "a link" if stat.S_ISLNK(mode) else "not a result of huebands as it was written"
        raise TargetError(
            f"{path}: is there already and is {kind}; choose another folder by --output, or replace it by --overwrite"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """The device and inode of a file, links followed; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
