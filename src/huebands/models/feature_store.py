"""The maps that a frozen encoder makes of a set of photos, computed once and kept on disk.

An entry is a folder whose name hashes what its maps depend on. Its chunks are files of float16 (n, V): a row holds all
maps of a photo, one after the other. A chunk is written as a whole, so a killed computation goes on where it was, and a
chunk that is cut is made anew. What a batch needs is read through a memory map that is closed at once: pages that were
read count as the process's memory.

The store is bounded. Entries that were not used for longest make room for a new one, unless a process is using them.
Rows that find no room are computed each time that they are asked for.
"""

import fcntl
import hashlib
import json
import math
import os
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from huebands.files import atomic
from huebands.models.encoders.encoder import Encoder

CACHE = Path("data/cache/features")
_FORMAT = 1  # part of every key
_CHUNK = 64 * 2**20  # bytes of a chunk, and of the memory that its computation needs
_BATCH = 4  # photos that the encoder gets at a time: the maps of more leave the processor's cache
_GIB = 2**30
_TOLD_SECONDS = 30.0  # between two lines that say how far a computation is

Lightness = Callable[[Sequence[int]], Tensor]  # of rows: L_unit (B, 1, S, S)


@dataclass(frozen=True, eq=False)
class Features:
    """The maps of an encoder's photos; while they are used, no process removes them.

    Attributes:
        encoder: in evaluation.
        lightness: of the photos.
        count: of the photos.
        stored: how many of them have their maps on disk, the first ones.
        folder: of the entry.
        shapes: (C, H, W) of each map, the finest first.
        finest: place of the first of them among the encoder's maps.
    """

    encoder: Encoder
    lightness: Lightness
    count: int
    stored: int
    folder: Path
    shapes: Sequence[tuple[int, ...]]
    finest: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Tensor) -> list[Tensor]:
        """The maps of rows in 0..count, in their order: float16 (B, C, H, W) each, on the CPU."""
        values_BV = torch.empty(len(rows), _values(self.shapes), dtype=torch.float16)
        chunks = torch.where(rows < self.stored, rows // self.chunk_rows, -1)
        for chunk in chunks.unique().tolist():
            places = (chunks == chunk).nonzero().flatten()
            if chunk < 0:
                values_BV[places] = self.compute(rows[places].tolist())
            else:
                stored_NV = np.load(self.path(chunk), mmap_mode="r", allow_pickle=False)
                values_BV[places] = torch.from_numpy(stored_NV[rows[places].numpy() % self.chunk_rows])
        parts = values_BV.split([_values([shape]) for shape in self.shapes], dim=1)
        return [part.unflatten(1, shape).contiguous() for part, shape in zip(parts, self.shapes, strict=True)]

    @torch.inference_mode()
    def compute(self, rows: Sequence[int]) -> Tensor:
        """Compute the maps of rows: float16 (B, V), on the CPU."""
        device = _device(self.encoder)
        batches = (self.encoder(part.to(device))[self.finest :] for part in self.lightness(rows).split(_BATCH))
        return torch.cat([torch.cat([part.flatten(1) for part in maps], dim=1).half().cpu() for maps in batches])

    @property
    def chunk_rows(self) -> int:
        """Rows of each chunk but the last."""
        return _chunk_rows(self.shapes)

    @property
    def shortfall(self) -> str | None:
        """Say what is not on disk; None where all is."""
        if self.stored == self.count:
            return None
        needed = self.count * _bytes(self.shapes) / _GIB
        return (
            f"the maps of {self.stored} of {self.count} views are on disk; all need {needed:.1f} GiB, and a higher"
            " bound saves computing the others each time"
        )

    def path(self, chunk: int) -> Path:
        """The file of a chunk."""
        return self.folder / f"{chunk:05d}.npy"

    def missing(self) -> Iterator[tuple[Path, range]]:
        """The files that are missing or cut, and their rows."""
        for chunk, start in enumerate(range(0, self.stored, self.chunk_rows)):
            rows = range(start, min(start + self.chunk_rows, self.stored))
            if _shape_of(self.path(chunk)) != (len(rows), _values(self.shapes)):
                yield self.path(chunk), rows


@dataclass(frozen=True)
class FeatureStore:
    """A folder of entries.

    Attributes:
        limit_gib: of all entries together, GiB; 0: nothing is kept.
        folder: made when it is needed.
    """

    limit_gib: float
    folder: Path = CACHE

    def features(
        self, encoder: Encoder, what: Mapping[str, Any], count: int, lightness: Lightness, finest: int = 0
    ) -> Features:
        """Give the maps of photos, computing those that are not on disk.

        Args:
            encoder: frozen, in evaluation.
            what: plain values that, with the encoder's weights, decide the maps: data, size, views.
            count: of the photos.
            lightness: gives the photos of rows in 0..count; called for a few rows at a time.
            finest: the encoder's maps before this place are left out.

        Raises:
            OSError: when the disk is full, naming the file.
        """
        with torch.inference_mode():
            shapes = [tuple(part.shape[1:]) for part in encoder(lightness([0]).to(_device(encoder)))[finest:]]
        folder = self.folder / key_of(encoder, {**what, "count": count, "finest": finest})[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic.locked(self.folder):
            stored = min(count, self._make_room(folder, count * _bytes(shapes)) // _bytes(shapes))
            folder.mkdir(exist_ok=True)
            os.utime(folder)
            descriptor = _use(folder)
        if stored < count:
            stored -= stored % _chunk_rows(shapes)
        features = Features(encoder, lightness, count, stored, folder, shapes, finest)
        weakref.finalize(features, os.close, descriptor)
        _fill(features)
        return features

    def _make_room(self, entry: Path, needed: int) -> int:
        """Remove entries that were not used for longest until there is room; gives the bytes that the entry may take.

        Entries that a process uses stay.
        """
        limit = int(self.limit_gib * _GIB)
        sizes = {path: _size(path) for path in self.folder.iterdir() if path.is_dir()}
        if sizes.pop(entry, 0) > limit:
            _remove_unused(entry)
        for path in sorted(sizes, key=lambda path: path.stat().st_mtime_ns):
            if sum(sizes.values()) + needed > limit and _remove_unused(path):
                del sizes[path]
        return max(0, min(needed, limit - sum(sizes.values())))


def key_of(encoder: Encoder, what: Mapping[str, Any]) -> str:
    """The sha256 of everything that decides the maps."""
    weights = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.cpu().contiguous().numpy().tobytes())
    parts = {"format": _FORMAT, "encoder": encoder.name, "weights": weights.hexdigest(), **what}
    if encoder.side is not None:
        parts["side"] = encoder.side
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _fill(features: Features) -> None:
    missing = list(features.missing())
    if not missing:
        return
    photos = sum(len(rows) for _, rows in missing)
    done, told = 0, -math.inf
    for path, rows in missing:
        chunk_NV = np.empty((len(rows), _values(features.shapes)), np.float16)
        for start in range(0, len(rows), _BATCH):
            if time.monotonic() - told >= _TOLD_SECONDS:
                told = time.monotonic()
                print(f"maps of {features.encoder.name}: {done} of {photos} photos", file=sys.stderr, flush=True)
            part = rows[start : start + _BATCH]
            chunk_NV[start : start + _BATCH] = features.compute(part).numpy()
            done += len(part)
        with atomic.writing(path) as file:
            np.save(file, chunk_NV, allow_pickle=False)


def _shape_of(path: Path) -> tuple[int, ...] | None:
    """The shape of a sound chunk; None of a missing or cut one."""
    try:
        chunk: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return chunk.shape if chunk.dtype == np.float16 else None


def _use(folder: Path) -> int:
    """Keep other processes from removing an entry while the descriptor is open."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _remove_unused(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _chunk_rows(shapes: Sequence[tuple[int, ...]]) -> int:
    return max(1, _CHUNK // _bytes(shapes))


def _device(encoder: Encoder) -> torch.device:
    return encoder.mean.device


def _values(shapes: Sequence[tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes)


def _bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    return 2 * _values(shapes)
