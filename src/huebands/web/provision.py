"""A private copy of the package that is served, so that processes can start anew when its source is away."""

import atexit
import shutil
import tempfile
from pathlib import Path

from huebands.package import ModelPackage, PackageError, read_package


def copy_privately(package: ModelPackage) -> Path:
    """Copy a package to a new folder, which is removed when this process ends.

    Raises:
        PackageError: when the copy is not the same.
    """
    folder = Path(tempfile.mkdtemp(prefix="huebands-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        for file in package.folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    except OSError as error:
        raise PackageError(
            f"{package.folder}: cannot be copied to {folder} ({error.strerror}); free space there, or name"
            " another folder for temporary files in TMPDIR"
        ) from error
    check(read_package(folder), package.package_sha256)
    return folder


def check(package: ModelPackage, sha256: str) -> None:
    """Check that a package is the one that is served.

    Raises:
        PackageError: when it is another.
    """
    found = package.package_sha256
    if found != sha256:
        raise PackageError(f"{package.folder}: package_sha256 (={found!r}) must be {sha256!r}: its files were changed")
