"""The suite: the fixed photos on which all versions of a registered model are judged.

It is chosen once, from the test split of the dataset that is prepared when the first version is judged, and lies in the
registry. So versions are compared on the same photos, whatever dataset each has learned from. A photo that one of them
has seen is left out of their comparison.

A suite is a folder: `suite.json`, and a lossless PNG file for each photo.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from huebands.comparison.baselines import Lightness
from huebands.data.near_duplicates import lead_rows
from huebands.data.shards import LabShard, data_sha256, read_split
from huebands.files import atomic
from huebands.photos.read import ImageError, read_photo
from huebands.photos.write import write_png

FILE = "suite.json"
FEWEST = 8  # photos, below which nothing is judged
NEAR = 10  # bits of the perceptual hash within which two photos show one scene: prepare.group_distance


class SuiteError(ValueError):
    """A suite is damaged, or too small to judge by."""


@dataclass(frozen=True)
class SuitePhoto:
    """One photo.

    Attributes:
        id: of the photo, in its dataset.
        sha256: of the photo's file.
        phash: its perceptual hash, 16 hex digits.
        source: where it is from.
        licence: under which it may be used.
        pixels_sha256: of its bytes in the suite, uint8 (S, S, 3).
    """

    id: str
    sha256: str
    phash: str
    source: str
    licence: str
    pixels_sha256: str


@dataclass(frozen=True)
class SeenPhoto:
    """What must be known of a photo that a model has learned from, or was chosen or calibrated on."""

    sha256: str
    phash: str


@dataclass(frozen=True, eq=False)
class Suite:
    """Photos to judge by.

    Attributes:
        folder: with the PNG files.
        data: name of the dataset that the photos are of.
        data_sha256: hash of that dataset, as it was prepared.
        photos: in the order in which they are judged.
        ab_2L: mean a and b of the training pixels of each grey level in that dataset, float32 (2, 256).
    """

    folder: Path
    data: str
    data_sha256: str
    photos: Sequence[SuitePhoto]
    ab_2L: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """Read a photo: sRGB uint8 (S, S, 3).

        Raises:
            SuiteError: when its file is missing or not the one that was chosen.
        """
        photo = self.photos[row]
        path = self.folder / _file(photo)
        try:
            rgb_HW3 = read_photo(path)
        except (ImageError, OSError) as error:
            raise SuiteError(f"{path}: {error}; the suite of the registry is damaged") from error
        if _sha256(rgb_HW3) != photo.pixels_sha256:
            raise SuiteError(f"{path}: not the photo that was chosen; the suite of the registry is damaged")
        return rgb_HW3

    @property
    def sha256(self) -> str:
        """Identify the suite by all that it holds."""
        return hashlib.sha256(_describe(self).encode()).hexdigest()

    def unseen(self, seen: Iterable[SeenPhoto]) -> Self:
        """Leave out the photos that are, or are near-duplicates of, those given."""
        seen = list(seen)
        files = {photo.sha256 for photo in seen}
        hashes = np.array([int(photo.phash, 16) for photo in seen], dtype=np.uint64)
        kept = [
            photo
            for photo in self.photos
            if photo.sha256 not in files
            and not np.any(np.bitwise_count(hashes ^ np.uint64(int(photo.phash, 16))) <= NEAR)
        ]
        return replace(self, photos=kept)


def choose_suite(prepared: Path, data: str, count: int, folder: Path) -> Suite:
    """Choose the first test photos of a dataset, one of each group of near-duplicates, and write them.

    Args:
        prepared: folder of the dataset.
        data: its name.
        count: of photos, at most.
        folder: to fill; it is replaced as a whole.

    Raises:
        SuiteError: when the test split has too few groups.
        ShardError: when there is no such dataset.
    """
    photos_of_test, shard = read_split(prepared, "test"), LabShard(prepared, "test")
    rows = lead_rows(photos_of_test)
    if len(rows) < FEWEST:
        raise SuiteError(
            f"{prepared}: test split (={len(rows)} photos of different scenes, {len(photos_of_test)} in all) must have"
            f" at least {FEWEST} of different scenes, to judge models by"
        )
    photos = []
    with atomic.replace_folder(folder) as partial:
        for row in rows.head(count).to_dict("records"):
            rgb_SS3 = shard.rgb([row["row"]])[0].permute(1, 2, 0).numpy()
            values = {name: row[name] for name in ("id", "sha256", "phash", "source", "licence")}
            photos.append(SuitePhoto(**values, pixels_sha256=_sha256(rgb_SS3)))
            write_png(partial / _file(photos[-1]), rgb_SS3)
        suite = Suite(folder, data, data_sha256(prepared), photos, Lightness.learn(prepared).ab_2L)
        atomic.write_text(partial / FILE, _describe(suite))
    return read_suite(folder)


def read_suite(folder: Path) -> Suite:
    """Read a suite; its photos are read when they are asked for.

    Raises:
        SuiteError: when the folder holds none.
    """
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        photos = [SuitePhoto(**photo) for photo in values["photos"]]
        ab_2L = np.array(values["colour_by_lightness"], dtype=np.float32)
        return Suite(folder, values["data"], values["data_sha256"], photos, ab_2L)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SuiteError(
            f"{path}: not the description of a suite ({error}); the suite of the registry is damaged"
        ) from error


def _describe(suite: Suite) -> str:
    values: dict[str, Any] = {
        "data": suite.data,
        "data_sha256": suite.data_sha256,
        "photos": [asdict(photo) for photo in suite.photos],
        "colour_by_lightness": [[round(float(value), 4) for value in channel] for channel in suite.ab_2L],
    }
    return json.dumps(values, indent=1) + "\n"


def _file(photo: SuitePhoto) -> str:
    return f"{photo.id}.png"


def _sha256(rgb_HW3: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(rgb_HW3).tobytes()).hexdigest()
