"""Collects the usable photos of sources in one folder, byte for byte and each once."""

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd
from numpy import uint8
from numpy.typing import NDArray

from huebands.data.sources import PhotoSource, SourcePhoto
from huebands.photos.read import SUFFIXES, ImageError, read_photo

INDEX_COLUMNS = ["id", "file", "source", "name", "licence", "title", "artist", "sha256", "width", "height"]
REJECTED_COLUMNS = ["source", "name", "reason"]


class _RejectionError(Exception):
    """Why a file is left out."""


def collect_photos(sources: Iterable[PhotoSource], folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write every usable photo of the sources into `folder`/photos, which must not exist yet.

    Returns:
        The index, one row a photo in the sources' order, and the files that are left out with the reasons.

    Raises:
        SourceError: when a source cannot be read.
    """
    (folder / "photos").mkdir()
    rows, rejected = [], []
    ids: dict[str, str] = {}
    for source in sources:
        for photo in source.photos():
            try:
                sha256, pixels = _accept(photo, ids)
            except _RejectionError as rejection:
                rejected.append((source.name, photo.name, str(rejection)))
                continue
            rows.append(_write(source.name, photo, sha256, pixels, folder))
    return pd.DataFrame(rows, columns=INDEX_COLUMNS), pd.DataFrame(rejected, columns=REJECTED_COLUMNS)


def _accept(photo: SourcePhoto, ids: dict[str, str]) -> tuple[str, NDArray[uint8]]:
    """Hash and decode a usable, new photo, or raise; `ids` maps hashes of bytes and of pixels to ids."""
    if photo.refusal:
        raise _RejectionError(photo.refusal)
    by_bytes = hashlib.sha256(photo.content).hexdigest()
    if by_bytes in ids:
        raise _RejectionError(f"same bytes as {ids[by_bytes]}")
    try:
        pixels = read_photo(photo.content, photo.name)
    except ImageError as error:
        raise _RejectionError(error.reason) from error
    by_pixels = f"{pixels.shape} {hashlib.sha256(pixels.data).hexdigest()}"
    if by_pixels in ids:
        raise _RejectionError(f"same pixels as {ids[by_pixels]}")
    ids[by_bytes] = ids[by_pixels] = by_bytes[:16]
    return by_bytes, pixels


def _write(source: str, photo: SourcePhoto, sha256: str, pixels: NDArray[uint8], folder: Path) -> tuple[str | int, ...]:
    """Write the original bytes and give the photo's row of the index."""
    suffix = PurePosixPath(photo.name).suffix.lower()
    identity = sha256[:16]
    file = f"photos/{identity}{suffix if suffix in SUFFIXES else ''}"
    (folder / file).write_bytes(photo.content)
    height, width = pixels.shape[:2]
    about = (source, photo.name, photo.licence, photo.title, photo.artist)
    return (identity, file, *about, sha256, width, height)
