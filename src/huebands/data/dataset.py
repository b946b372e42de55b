"""From the photos of an index to the prepared dataset: Lab shards of four splits, and their manifest."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from huebands.data import shards, work
from huebands.data.assignments import Assignment, Assignments
from huebands.data.params import SPLITS, PrepareParams
from huebands.data.preparation import prepare_photo
from huebands.data.splits import Candidate, place
from huebands.files import atomic
from huebands.photos.read import read_photo

_MEASURED_COLUMNS = ["phash", "L_mean", "L_std", "chroma_mean", "chroma_p95", "tone_spread"]


@dataclass(frozen=True)
class _Piece:
    """Some photos to prepare, at a size."""

    raw: Path
    files: tuple[str, ...]
    image_size: int

    def __len__(self) -> int:
        return len(self.files)


def key_of(index: pd.DataFrame, settings: PrepareParams) -> str:
    """Identify all that decides what is prepared."""
    return json.dumps([asdict(settings), hashlib.sha256(index.to_csv().encode()).hexdigest()])


def write_dataset(
    index: pd.DataFrame,
    raw: Path,
    unfinished: Path,
    folder: Path,
    settings: PrepareParams,
    remembered: Assignments,
    processes: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, Assignments]:
    """Write the shards and the manifest.

    Args:
        index: one row a photo, as the stage ingest writes it.
        raw: folder that the index's files are in.
        unfinished: folder kept between runs; photos that it holds are not read again.
        folder: of the dataset, empty.
        settings: of the preparation.
        remembered: splits of earlier runs.
        processes: how many read photos at a time; one a core when left out.

    Returns:
        The manifest; the photos that are set aside, with their reasons; and the splits to remember.

    Raises:
        AssignmentError: when the remembered splits follow another rule than the settings.
        ImageError: when a photo cannot be read.
    """
    remembered.check_rule(settings)
    index, side = index.reset_index(drop=True), settings.image_size
    names = list(index["file"])
    pieces = [_Piece(raw, tuple(names[start : start + work.PIECE]), side) for start in range(0, len(names), work.PIECE)]
    # A photo's row is known only after all were seen: the squares wait on disk, not in memory.
    files = work.finish(_prepare_piece, pieces, unfinished, "prepare", processes)
    measured = [row for file in files for row in json.loads(file.read_text("utf-8"))]
    photos = _place(index.join(pd.DataFrame(measured, columns=_MEASURED_COLUMNS)), settings, remembered)
    manifest = photos[photos["reason"] == ""].sort_values("id")
    manifest["row"] = manifest.groupby("split").cumcount()
    for split in SPLITS:
        positions = manifest.index[manifest["split"] == split]
        shards.write_shard(folder, split, _read_squares(files, positions, side), len(positions), side)
    manifest = manifest.assign(order=manifest["split"].map(SPLITS.index)).sort_values(["order", "row"])
    shards.write_manifest(folder, manifest)
    placed = (Assignment(row.id, int(row.phash, 16), row.group, row.split) for row in manifest.itertuples())
    return manifest, photos[photos["reason"] != ""], remembered.extended(placed, settings)


def _prepare_piece(piece: _Piece, file: Path) -> None:
    """Write the squares of a piece's photos, then their perceptual hashes and statistics into `file`."""
    rows: list[dict[str, Any]] = []
    with atomic.writing(_squares_of(file)) as squares:
        for name in piece.files:
            square = prepare_photo(read_photo(piece.raw / name, name), piece.image_size)
            squares.write(square.lab.astype(shards.SHARD_TYPE).tobytes())
            rows.append({"phash": f"{square.phash:016x}", **square.statistics})
    atomic.write_text(file, json.dumps(rows))


def _read_squares(files: list[Path], positions: Iterable[int], side: int) -> Iterator[np.ndarray]:
    """Read squares by their positions in the index, int16 (3, S, S): reading keeps no memory as a map would."""
    values = 3 * side * side
    for position in positions:
        piece, place_in_piece = divmod(position, work.PIECE)
        offset = place_in_piece * values * shards.SHARD_TYPE.itemsize
        square = np.fromfile(_squares_of(files[piece]), shards.SHARD_TYPE, values, offset=offset)
        yield square.reshape(3, side, side)


def _squares_of(file: Path) -> Path:
    return file.with_suffix(".squares")


def _place(photos: pd.DataFrame, settings: PrepareParams, remembered: Assignments) -> pd.DataFrame:
    """Add each photo's group and split, or the reason why it has none."""
    placements = place(
        [
            Candidate(photo.id, int(photo.phash, 16), photo.chroma_mean, photo.tone_spread)
            for photo in photos.itertuples()
        ],
        min_chroma=settings.min_chroma,
        min_tone_spread=settings.min_tone_spread,
        group_distance=settings.group_distance,
        salt=settings.salt,
        fractions=settings.fractions,
        remembered=remembered.photos,
    )
    columns = ("group", "split", "reason")
    return photos.assign(**{name: [getattr(placement, name) for placement in placements] for name in columns})
