"""Collects the usable photos of sources in one folder, byte for byte and each once."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from huebands.data import work
from huebands.data.sources import PhotoSource, SourcePhoto
from huebands.files import atomic
from huebands.photos.formats import SUFFIXES
from huebands.photos.read import ImageError, read_photo

INDEX_COLUMNS = ["id", "file", "source", "name", "licence", "title", "artist", "sha256", "width", "height"]
REJECTED_COLUMNS = ["source", "name", "reason"]


@dataclass(frozen=True)
class _Piece:
    """Some files of one source, to be read."""

    source: PhotoSource
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)


def key_of(sources: Sequence[PhotoSource]) -> str:
    """Identify all that decides what is collected."""
    return json.dumps([source.fingerprint for source in sources])


def collect_photos(
    sources: Sequence[PhotoSource],
    unfinished: Path,
    folder: Path,
    processes: int | None = None,
    remembered: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write every usable photo of the sources into `folder`/photos, which must not exist yet.

    Args:
        sources: of photos; the first that has a photo gives it, unless a later file is remembered.
        unfinished: folder kept between runs; photos that it holds are not read again.
        folder: of the collection.
        processes: how many read at a time; one a core when left out.
        remembered: IDs of photos that are taken before others of equal pixels.

    Returns:
        The index, one row a photo in the sources' order, and the files that are left out with the reasons.

    Raises:
        SourceError: when a source cannot be read.
        OSError: when a file cannot be written.
    """
    (folder / "photos").mkdir()
    pieces = [
        _Piece(source, source.names[start : start + work.PIECE])
        for source in sources
        for start in range(0, len(source.names), work.PIECE)
    ]
    files = work.finish(_inspect_piece, pieces, unfinished, "ingest", processes)
    found = [json.loads(file.read_text("utf-8")) for file in files]
    chosen = _choose((photo for photos in found for photo in photos), remembered)
    rows, rejected = [], []
    taken: set[str] = set()
    for piece, file, photos in zip(pieces, files, found, strict=True):
        with _contents_of(file).open("rb") as contents:
            for photo in photos:
                content = contents.read(photo["size"])
                photo["source"] = piece.source.name
                if reason := photo["reason"] or _repetition(photo, chosen[photo["pixels"]], taken):
                    rejected.append({**photo, "reason": reason})
                else:
                    (folder / photo["file"]).write_bytes(content)
                    rows.append(photo)
    return pd.DataFrame(rows, columns=INDEX_COLUMNS), pd.DataFrame(rejected, columns=REJECTED_COLUMNS)


def _choose(photos: Iterable[dict[str, Any]], remembered: Collection[str]) -> dict[str, str]:
    """Choose one photo of each hash of pixels: the first that is remembered, else the first; gives their IDs."""
    chosen: dict[str, str] = {}
    for photo in photos:
        if not photo["reason"]:
            earlier = chosen.setdefault(photo["pixels"], photo["id"])
            if photo["id"] in remembered and earlier not in remembered:
                chosen[photo["pixels"]] = photo["id"]
    return chosen


def _repetition(photo: dict[str, Any], chosen: str, taken: set[str]) -> str:
    """Say which photo this one repeats, or take it; `chosen` is the photo of its pixels that is taken."""
    if photo["id"] != chosen:
        return f"same pixels as {chosen}"
    if chosen in taken:
        return f"same bytes as {chosen}"
    taken.add(chosen)
    return ""


def _inspect_piece(piece: _Piece, file: Path) -> None:
    """Write the contents of a piece's usable photos, one after the other, then what is known about each into `file`."""
    photos = []
    with atomic.writing(_contents_of(file)) as contents:
        for photo in piece.source.photos(piece.names):
            photos.append(_inspect(photo))
            if not photos[-1]["reason"]:
                contents.write(photo.content)
    atomic.write_text(file, json.dumps(photos))


def _contents_of(file: Path) -> Path:
    return file.with_suffix(".photos")


def _inspect(photo: SourcePhoto) -> dict[str, Any]:
    """Hash and decode a photo; one that cannot be used gets a reason."""
    known = {"size": 0, "name": photo.name, "licence": photo.licence, "title": photo.title, "artist": photo.artist}
    if photo.refusal:
        return {**known, "reason": photo.refusal}
    try:
        pixels = read_photo(photo.content, photo.name)
    except ImageError as error:
        return {**known, "reason": error.reason}
    sha256 = hashlib.sha256(photo.content).hexdigest()
    suffix = PurePosixPath(photo.name).suffix.lower()
    height, width = pixels.shape[:2]
    return {
        **known,
        "reason": "",
        "id": sha256[:16],
        "file": f"photos/{sha256[:16]}{suffix if suffix in SUFFIXES else ''}",
        "size": len(photo.content),
        "sha256": sha256,
        "pixels": f"{pixels.shape} {hashlib.sha256(pixels.data).hexdigest()}",
        "width": width,
        "height": height,
    }
