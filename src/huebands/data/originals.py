"""The photos of a prepared dataset at their own size, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from huebands.data.near_duplicates import lead_rows
from huebands.data.progress import follow
from huebands.data.shards import ShardError
from huebands.data.source_name import source_name
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import read_photo

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Original:
    """A photo in colour, and as a colorizer sees it.

    Attributes:
        id: of the photo.
        title: for people.
        source: short name of where it is from.
        rgb: uint8 (H, W, 3), the true colours.
        grey: the same photo without its colours.
    """

    id: str
    title: str
    source: str
    rgb: np.ndarray
    grey: GreyPhoto


@dataclass(frozen=True)
class Originals:
    """The photos that were prepared, near-duplicates left out.

    The errors of photos of one scene depend on each other, so they are not as much evidence as independent photos. One
    photo of each group of near-duplicates is read.

    Attributes:
        raw: folder of the photos as they came.
        manifest: of the prepared dataset.
    """

    raw: Path
    manifest: "DataFrame"

    def count(self, split: str) -> int:
        """How many photos a split has."""
        return len(self._rows(split))

    def read(self, split: str, part: int = 0, parts: int = 1) -> Iterator[Original]:
        """Read the photos of a split, or every `parts`-th from `part` on, in order of their rows; show the progress.

        Raises:
            ShardError: when the split is empty.
            ImageError: when a photo cannot be read.
        """
        rows = self._rows(split).iloc[part::parts]
        for row, _ in zip(rows.itertuples(), follow(repeat(1, len(rows)), split, len(rows), done=0), strict=True):
            rgb_HW3 = read_photo(self.raw / row.file, row.file)
            title, source = row.title or row.name, source_name(row.source)
            yield Original(row.id, title, source, rgb_HW3, GreyPhoto.of_rgb(rgb_HW3))

    def sample(self, split: str, most: int) -> Iterator[Original]:
        """Read at most so many photos of a split: all of them, or every n-th. Raises like `read`."""
        return self.read(split, 0, -(-self.count(split) // most))

    def _rows(self, split: str) -> "DataFrame":
        rows = lead_rows(self.manifest[self.manifest["split"] == split])
        if rows.empty:
            raise ShardError(f"the {split} split is empty; add photos or enlarge prepare.fractions.{split}")
        return rows
