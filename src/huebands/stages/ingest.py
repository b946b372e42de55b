"""Stage ingest: every photo of the sources, byte for byte, with what is known about it.

Writes data/raw/: photos/<id><suffix>, index.parquet, and rejected.csv for what was left out and why.
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd
from numpy import uint8
from numpy.typing import NDArray

from huebands import params
from huebands.data.sources import PhotoSource, SourceError, SourcePhoto, open_source
from huebands.files import atomic
from huebands.photos.read import SUFFIXES, ImageError, read_photo

RAW = Path("data/raw")
INDEX_COLUMNS = ["id", "file", "source", "name", "licence", "title", "artist", "sha256", "width", "height"]
REJECTED_COLUMNS = ["source", "name", "reason"]


def ingest(sources: Iterable[PhotoSource], folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Copy every usable photo of the sources into `folder`, which is replaced as a whole.

    Returns:
        The index (one row a photo, in the sources' order) and the rejected files with reasons, as written.

    Raises:
        SourceError: when a source cannot be read.
    """
    with atomic.replace_folder(folder) as new:
        return _ingest(sources, new)


def _ingest(sources: Iterable[PhotoSource], folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    (folder / "photos").mkdir()
    rows, rejected = [], []
    known: dict[str, str] = {}
    for source in sources:
        for photo in source.photos():
            try:
                pixels = _accept(photo, known)
            except _RejectionError as rejection:
                rejected.append((source.name, photo.name, str(rejection)))
                continue
            rows.append(_keep(source.name, photo, pixels, folder))
    index = pd.DataFrame(rows, columns=INDEX_COLUMNS)
    listing = pd.DataFrame(rejected, columns=REJECTED_COLUMNS)
    with atomic.writing(folder / "index.parquet") as file:
        index.to_parquet(file, index=False)
    atomic.write_text(folder / "rejected.csv", listing.to_csv(index=False, lineterminator="\n"))
    return index, listing


def main() -> None:
    """Ingest the sources of params.yaml."""
    try:
        sources = [open_source(source) for source in params.load().data.sources]
        index, rejected = ingest(sources, RAW)
    except (params.ParamsError, SourceError, OSError) as error:
        raise SystemExit(f"ingest: {error}") from error
    for source in sources:
        taken, left = ((frame["source"] == source.name).sum() for frame in (index, rejected))
        print(f"{source.name}: {taken} photos taken, {left} files left out")
    for row in rejected.itertuples():
        print(f"  left out: {row.name}: {row.reason}", file=sys.stderr)
    if index.empty:
        raise SystemExit("ingest: no photo was taken from any source of data.sources; the reasons stand above")


class _RejectionError(Exception):
    """Why a file is left out."""


def _accept(photo: SourcePhoto, known: dict[str, str]) -> NDArray[uint8]:
    """Decode a photo that may be used and is new, or raise; `known` maps digests of both kinds to ids."""
    if photo.refusal:
        raise _RejectionError(photo.refusal)
    by_bytes = hashlib.sha256(photo.content).hexdigest()
    if by_bytes in known:
        raise _RejectionError(f"same bytes as {known[by_bytes]}")
    try:
        pixels = read_photo(photo.content, photo.name)
    except ImageError as error:
        raise _RejectionError(error.reason) from error
    by_pixels = f"{pixels.shape} {hashlib.sha256(pixels.data).hexdigest()}"
    if by_pixels in known:
        raise _RejectionError(f"same pixels as {known[by_pixels]}")
    known[by_bytes] = known[by_pixels] = by_bytes[:16]
    return pixels


def _keep(source: str, photo: SourcePhoto, pixels: NDArray[uint8], folder: Path) -> tuple[str | int, ...]:
    """Write the original bytes and give the photo's row of the index."""
    sha256 = hashlib.sha256(photo.content).hexdigest()
    suffix = PurePosixPath(photo.name).suffix.lower()
    identity = sha256[:16]
    file = f"photos/{identity}{suffix if suffix in SUFFIXES else ''}"
    (folder / file).write_bytes(photo.content)  # the folder around it is replaced as a whole
    height, width = pixels.shape[:2]
    about = (source, photo.name, photo.licence, photo.title, photo.artist)
    return (identity, file, *about, sha256, width, height)


if __name__ == "__main__":
    main()
