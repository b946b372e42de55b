"""Writes model packages from their parts, or as a copy; a folder is replaced as a whole or not at all."""

from pathlib import Path

from huebands.files.manifest import FolderError, read_file, write_folder
from huebands.package.generator import read_files
from huebands.package.read import ModelPackage, parse_package
from huebands.package.schema import (
    CALIBRATION,
    CARD,
    CERTIFICATE,
    CONFIG,
    DENSITY,
    HINTS_CALIBRATION,
    PackageError,
    check_newest,
    parse_config,
)


def assemble(folder: Path, trained: Path, density: Path, calibration: Path, card: str) -> ModelPackage:
    """Join a trained generator, a colour density, the calibration and a card to a package, all or nothing.

    Args:
        folder: folder of the package, replaced as a whole once the new one is known to be sound.
        trained: folder of a package without calibration, of the newest format.
        density: folder with distribution.safetensors and distribution.json.
        calibration: folder with what the stage calibrate writes.
        card: Markdown.

    Raises:
        PackageError: when a file is missing or the calibration belongs to another generator.
    """
    files = read_files(trained)
    values, _ = parse_config(trained / CONFIG, files[CONFIG])
    check_newest(trained, values)
    with_hints = HINTS_CALIBRATION if any((calibration / name).exists() for name in HINTS_CALIBRATION) else ()
    for source, names in ((density, DENSITY), (calibration, (*CALIBRATION, *with_hints, CERTIFICATE))):
        files |= {name: _read_part(source / name) for name in names}
    files[CARD] = card.encode("utf-8")
    package = parse_package(folder, files)
    write_folder(folder, files)
    return package


def copy_package(package: ModelPackage, folder: Path) -> None:
    """Copy a package that was read.

    Args:
        package: whose files are copied.
        folder: replaced as a whole.

    Raises:
        PackageError: when the files are no longer those that were read.
    """
    write_folder(folder, read_files(package.folder, package.package_sha256))


def _read_part(path: Path) -> bytes:
    if not path.exists():
        raise PackageError(f"{path}: missing; `dvc repro` makes it")
    try:
        return read_file(path)
    except FolderError as error:
        raise PackageError(str(error)) from error
