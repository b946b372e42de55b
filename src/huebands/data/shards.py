"""The prepared dataset on disk: `manifest.parquet` beside one Lab shard for each split.

A shard is `<split>.npy`: int16 hundredths of CIELAB, (N, 3, S, S), little-endian, memory-mapped. Row r of a
shard is the manifest's photo with that split and row.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from huebands import color
from huebands.data.params import SPLITS
from huebands.files import atomic

if TYPE_CHECKING:
    # Training needs shards alone, on machines that may lack pandas.
    from pandas import DataFrame

MANIFEST = "manifest.parquet"
SHARD_TYPE = np.dtype("<i2")
_BATCH = 256  # photos
MANIFEST_COLUMNS = (
    "id", "source", "name", "licence", "title", "artist", "file", "sha256", "phash", "group", "split", "row",
    "width", "height", "L_mean", "L_std", "chroma_mean", "chroma_p95", "tone_spread",
)  # fmt: skip


class ShardError(ValueError):
    """A file of the prepared dataset is missing or is not what it should be."""


class LabShard:
    """The photos of one split, decoded when they are asked for.

    Attributes:
        photos: int16 hundredths of CIELAB, (N, 3, S, S), memory-mapped and read-only.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.photos = open_shard(folder, split)

    def __len__(self) -> int:
        return len(self.photos)

    def lab(self, rows: Sequence[int] | slice = slice(None)) -> Tensor:
        """Decode the given rows (all without an argument) to CIELAB, float32 (n, 3, S, S)."""
        return color.decode_lab(torch.from_numpy(np.array(self.photos[rows])))

    def rgb(self, rows: Sequence[int] | slice = slice(None)) -> Tensor:
        """Give back the bytes that were prepared, uint8 sRGB (n, 3, S, S)."""
        return color.to_bytes(color.lab_to_srgb(self.lab(rows)))


def open_shard(folder: Path, split: str) -> np.ndarray:
    """Memory-map one split, read-only: int16 (N, 3, S, S).

    Raises:
        ShardError: when there is no such split or file, or the file is no shard.
    """
    if split not in SPLITS:
        raise ShardError(f"split (={split!r}) must be one of {', '.join(SPLITS)}")
    path = _existing(Path(folder) / f"{split}.npy")
    try:
        photos: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ShardError(f"{path}: cannot be read ({error}); run the prepare stage again") from error
    if photos.dtype != SHARD_TYPE or photos.ndim != 4 or photos.shape[1] != 3 or photos.shape[2] != photos.shape[3]:
        raise ShardError(f"{path}: holds {photos.dtype} {photos.shape}, not int16 (N, 3, S, S); run the prepare stage")
    return photos


def write_shard(folder: Path, split: str, photos: Iterable[np.ndarray], count: int, image_size: int) -> Path:
    """Write one split, a photo at a time.

    Args:
        folder: of the prepared dataset.
        split: one of `SPLITS`.
        photos: `count` arrays of int16 hundredths of CIELAB, (3, S, S).
        count: number of photos, may be 0.
        image_size: S, pixels.
    """
    path = Path(folder) / f"{split}.npy"
    shape = (count, 3, image_size, image_size)
    with path.open("wb") as file:
        header = {"descr": SHARD_TYPE.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for _, photo in zip(range(count), photos, strict=True):
            file.write(photo.astype(SHARD_TYPE, copy=False).reshape(shape[1:]).tobytes())
    return path


def in_batches(photos: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, photos) batch by batch; a large memory-mapped shard is never in memory as a whole."""
    for start in range(0, len(photos), _BATCH):
        # What a map has read stays in memory until the map is closed.
        opened = np.load(str(photos.filename), mmap_mode="r") if isinstance(photos, np.memmap) else photos
        yield start, opened[start : start + _BATCH]


def read_manifest(folder: Path) -> "DataFrame":
    """Read the manifest: one row a photo, in order of split and row.

    Raises:
        ShardError: when the file is missing or is no parquet table.
    """
    import pandas

    path = _existing(Path(folder) / MANIFEST)
    try:
        return pandas.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ShardError(f"{path}: cannot be read ({error}); run the prepare stage again") from error


def read_split(folder: Path, split: str) -> "DataFrame":
    """Read the manifest's photos of one split, in order of their rows.

    Raises:
        ShardError: when there are none, or like `read_manifest`.
    """
    manifest = read_manifest(folder)
    photos = manifest[manifest["split"] == split].sort_values("row")
    if photos.empty:
        raise ShardError(f"{folder}: the {split} split is empty; add photos or enlarge prepare.fractions.{split}")
    return photos


def write_manifest(folder: Path, manifest: "DataFrame") -> Path:
    """Write the manifest's known columns, in their fixed order."""
    path = Path(folder) / MANIFEST
    with atomic.writing(path) as file:
        manifest[list(MANIFEST_COLUMNS)].to_parquet(file, index=False)
    return path


def data_sha256(folder: Path) -> str:
    """Identify a prepared dataset: the sha256 over its manifest's and shards' bytes.

    Equals `sha256sum manifest.parquet train.npy val.npy calibration.npy test.npy | sha256sum`.

    Raises:
        ShardError: when one of the files is missing.
    """
    lines = []
    for name in (MANIFEST, *(f"{split}.npy" for split in SPLITS)):
        with _existing(Path(folder) / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ShardError(f"{path}: not found; run the prepare stage first (dvc repro prepare)")
    return path
