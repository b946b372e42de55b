"""The sha256 that identifies a model package in the index of releases, in the registry and in the service."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from huebands.files.manifest import FolderError, hashes_of, read_folder
from huebands.package.schema import FILES, OPTIONAL, PackageError


def hash_package(folder: Path) -> str:
    """The sha256 of the names and contents of a package's files, whatever they hold.

    Raises:
        PackageError: when the folder holds something that is not a file of a package.
    """
    try:
        return hash_files(read_folder(folder, (*FILES, *OPTIONAL)))
    except FolderError as error:
        raise PackageError(str(error)) from error


def hash_files(files: Mapping[str, bytes]) -> str:
    """The sha256 of the names and contents of files; without the manifest, which lists the same."""
    return hashlib.sha256(json.dumps(hashes_of(files), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_hash(folder: Path, package_sha256: str, expected: str | None) -> None:
    """Check that a package is the one that is expected.

    Args:
        folder: named in errors.
        package_sha256: hash of the package.
        expected: the hash that it should have; None where it is unknown.

    Raises:
        PackageError: when it is another.
    """
    if expected is not None and package_sha256 != expected:
        raise PackageError(
            f"{folder}: package_sha256 (={package_sha256!r}) must be {expected!r}, that of the package which was"
            " released or registered: its files were changed; take the folder from its source again"
        )
