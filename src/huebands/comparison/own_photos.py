"""The photos that candidates are compared on: squares with colour, from a prepared split or from any folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.own_colour import own_colour
from huebands.colorize.search import Search
from huebands.data.preparation import encode_square, measure, squash
from huebands.data.shards import LabShard, data_sha256, read_manifest
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError, read_photo
from huebands.photos.write import encode_png

SPLITS = ("test", "val")  # test judges a finished model; val is for choosing between candidates
SIZES = (16, 2048)  # pixels; the metrics' networks halve a picture four times
COLOURLESS = 0.1  # mean chroma in CIELAB units; left grey, such a photo equals its truth


class ComparisonError(ValueError):
    """Candidates cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Photo:
    """One photo of a comparison, kept encoded, so that many fit into memory.

    Attributes:
        name: unique among the photos.
        title: shown to readers.
        aspect: width / height before it was squashed.
        png: the square, PNG.
    """

    name: str
    title: str
    aspect: float
    png: bytes

    @property
    def truth(self) -> NDArray[np.uint8]:
        """The square in colour, uint8 (S, S, 3)."""
        return read_photo(self.png, self.name)

    @property
    def grey(self) -> NDArray[np.uint8]:
        """The input of the candidates: the grey of equal CIELAB lightness, uint8 (S, S)."""
        return GreyPhoto.of_rgb(self.truth).levels_HW


@dataclass(frozen=True)
class PhotoSet:
    """Photos to compare on, and the names of those that were left out.

    Attributes:
        name: shown to readers, without the machine's paths.
        source: where they lie, as given.
        sha256: hash of the data.
        size: side S of the squares, pixels.
        photos: those with colour.
        colourless: names of those without.
        tinted: names of those in the colours of a print, such as sepia; those of a prepared dataset were set aside.
        unreadable: an error for each that cannot be read.
    """

    name: str
    source: str
    sha256: str
    size: int
    photos: tuple[Photo, ...]
    colourless: tuple[str, ...]
    tinted: tuple[str, ...] = ()
    unreadable: tuple[ImageError, ...] = ()


def read_prepared(prepared: Path, split: str = SPLITS[0]) -> PhotoSet:
    """Take a split of a prepared dataset.

    Args:
        prepared: the dataset's folder.
        split: one of `SPLITS`.

    Raises:
        ShardError: when it is missing.
        ComparisonError: when no photo with colour is in it, or it is not for comparing.
    """
    if split not in SPLITS:
        raise ComparisonError(f"split (={split!r}) must be one of {', '.join(SPLITS)}")
    shard, manifest = LabShard(prepared, split), read_manifest(prepared)
    photos, colourless = [], []
    for row in manifest[manifest["split"] == split].sort_values("row").itertuples(index=False):
        square = shard.rgb([row.row])[0].permute(1, 2, 0).numpy()
        if _has_colour(square):
            title = ", ".join(filter(None, (row.title, row.artist))) or row.name
            photos.append(Photo(row.name, title, row.width / row.height, encode_png(square)))
        else:
            colourless.append(row.name)
    return PhotoSet(
        name=f"{split} split of {_name_of(prepared)}",
        source=str(prepared),
        sha256=data_sha256(prepared),
        size=int(shard.photos.shape[-1]),
        photos=_not_empty(photos, prepared),
        colourless=tuple(colourless),
    )


def read_folder(folder: Path, size: int) -> PhotoSet:
    """Take the photos below a folder, squashed as `prepare` squashes them.

    Args:
        folder: folder of photos.
        size: side of the squares, pixels.

    Raises:
        ImageError: when there is no such folder.
        ComparisonError: when size is out of range, or no readable photo with colour is in the folder.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ComparisonError(f"size (={size}) must be in [{SIZES[0]}, {SIZES[1]}] pixels")
    if not folder.is_dir():
        raise ImageError(str(folder), "is not a folder" if folder.exists() else "no such folder")
    search = Search.below([folder])
    photos = []
    folders = (error for error in search.errors if isinstance(error, OSError))
    unreadable = [ImageError(str(error.filename), str(error.strerror)) for error in folders]
    colourless, tinted = list[str](), list[str]()
    digest = hashlib.sha256()
    for path in sorted(photo.path for photo in search.photos):
        # A file name need not be valid text.
        name = path.relative_to(folder).as_posix().encode(errors="backslashreplace").decode()
        try:
            rgb = read_photo(path)
        except ImageError as error:
            unreadable.append(error)
            continue
        square = squash(rgb, size)
        own = own_colour(square, COLOURLESS)
        if own == "colour":
            photos.append(Photo(name, name, rgb.shape[1] / rgb.shape[0], encode_png(square)))
            digest.update(f"{name}\0".encode() + square.tobytes())
        else:
            (tinted if own == "tinted" else colourless).append(name)
    return PhotoSet(
        name=f"photos of {_name_of(folder)}",
        source=str(folder),
        sha256=digest.hexdigest(),
        size=size,
        photos=_not_empty(photos, folder),
        colourless=tuple(colourless),
        tinted=tuple(tinted),
        unreadable=tuple(unreadable),
    )


def _has_colour(square: NDArray[np.uint8]) -> bool:
    return measure(encode_square(square))["chroma_mean"] >= COLOURLESS


def _not_empty(photos: list[Photo], source: Path) -> tuple[Photo, ...]:
    if not photos:
        raise ComparisonError(f"{source}: holds no photo with colour that can be read; comparing needs at least one")
    return tuple(photos)


def _name_of(folder: Path) -> str:
    """A folder's name, for files that are to be the same on every machine."""
    return folder.as_posix() if not folder.is_absolute() and ".." not in folder.parts else folder.resolve().name
