"""The archive of /bands: the colours, the bands, a map of uncertainty, and report.json."""

import io
import re
import zipfile
from pathlib import PurePosixPath

from huebands.colorize.report import Origin, files_of
from huebands.colorize.result import Colorization
from huebands.package.read import ModelPackage


def pack_archive(package: ModelPackage, origin: Origin, result: Colorization) -> bytes:
    """Pack the files and the report; stored as they are, since they are compressed already.

    Args:
        package: the model package.
        origin: what the result was made of.
        result: its colorization.
    """
    files = files_of(package, origin, result, safe_stem(origin.photo), "report.json")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file, content in files:
            archive.writestr(zipfile.ZipInfo(file), bytes(content))  # without a date: equal requests, equal bytes
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """Turn a client's file name into a stem that is harmless on any file system."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem)[:80].strip("._") or "photo"
