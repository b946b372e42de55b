"""From the photos of an index to the prepared dataset: Lab shards of four splits, and their manifest."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from huebands.data import shards
from huebands.data.params import SPLITS, PrepareParams
from huebands.data.preparation import prepare_photo
from huebands.data.splits import Candidate, place
from huebands.photos.read import read_photo

_MEASURED_COLUMNS = ["phash", "L_mean", "L_std", "chroma_mean", "chroma_p95", "tone_spread"]


def write_dataset(
    index: pd.DataFrame, raw: Path, folder: Path, settings: PrepareParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the shards and the manifest.

    Args:
        index: one row a photo, as the stage ingest writes it.
        raw: folder that the index's files are in.
        folder: of the dataset, empty.
        settings: of the preparation.

    Returns:
        The manifest, and the photos that are set aside, with their reasons.

    Raises:
        ImageError: when a photo cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        # A photo's row is known only after all were seen: the squares wait on disk, not in memory.
        side, count = settings.image_size, max(len(index), 1)
        squares = np.memmap(Path(scratch) / "squares", mode="w+", dtype=shards.SHARD_TYPE, shape=(count, 3, side, side))
        photos = _place(_measure(index, raw, squares), settings)
        manifest = photos[photos["reason"] == ""].sort_values("id")
        manifest["row"] = manifest.groupby("split").cumcount()
        for split in SPLITS:
            positions = manifest.index[manifest["split"] == split]
            shards.write_shard(folder, split, (squares[position] for position in positions), len(positions), side)
        del squares
    manifest = manifest.assign(order=manifest["split"].map(SPLITS.index)).sort_values(["order", "row"])
    shards.write_manifest(folder, manifest)
    return manifest, photos[photos["reason"] != ""]


def _measure(index: pd.DataFrame, raw: Path, squares_N3SS: np.ndarray) -> pd.DataFrame:
    """Fill the squares, and add perceptual hash and statistics to the index, numbered from 0."""
    rows = []
    for position, photo in enumerate(index.itertuples()):
        square = prepare_photo(read_photo(raw / photo.file, photo.file), squares_N3SS.shape[-1])
        squares_N3SS[position] = square.lab
        rows.append({"phash": f"{square.phash:016x}", **square.statistics})
    return index.reset_index(drop=True).join(pd.DataFrame(rows, columns=_MEASURED_COLUMNS))


def _place(photos: pd.DataFrame, settings: PrepareParams) -> pd.DataFrame:
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
    )
    columns = ("group", "split", "reason")
    return photos.assign(**{name: [getattr(placement, name) for placement in placements] for name in columns})
