"""Near-duplicates count as one photo, whichever of them are left."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from huebands.data.originals import Originals
from huebands.data.params import FolderSource, PrepareParams
from huebands.data.shards import read_manifest
from huebands.data.sources import open_source
from huebands.stages.ingest import ingest
from huebands.stages.prepare import prepare
from tiny_photos import tiny_photo

SETTINGS = PrepareParams(
    image_size=16,
    min_chroma=1.0,
    min_tone_spread=0.0,
    group_distance=4,
    salt="huebands",
    fractions={"train": 0.0, "val": 0.0, "calibration": 1.0, "test": 0.0},
)
COUNT = 6


class Checkout:
    """Photos, and what the first two stages make of them."""

    def __init__(self, folder: Path) -> None:
        self.photos, self.raw, self.prepared = folder / "photos", folder / "raw", folder / "prepared"
        self.splits = folder / "splits.csv"
        self.photos.mkdir()
        for number in range(COUNT):
            self.save(number, f"{number}.png")

    def save(self, number: int, name: str, size: int = 32, **options: object) -> None:
        picture = Image.fromarray(tiny_photo(number, 32)).resize((size, size), Image.Resampling.NEAREST)
        picture.save(self.photos / name, **options)

    def run(self, remembered: Iterable[str] = ()) -> pd.DataFrame:
        """Ingest and prepare; gives the index."""
        source = open_source(FolderSource(path=str(self.photos), licence="CC0"))
        index, _ = ingest([source], self.raw, set(remembered))
        prepare(self.raw, self.prepared, SETTINGS, self.splits)
        return index

    @property
    def originals(self) -> Originals:
        return Originals(self.raw, read_manifest(self.prepared))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_scene_whose_first_photo_is_gone_still_counts_as_one(checkout: Checkout) -> None:
    checkout.save(0, "0-larger.png", size=64)  # sorts before "0.png"
    checkout.save(1, "1-larger.png", size=64)
    checkout.run()
    assert len(checkout.originals.manifest) == COUNT + 2 and checkout.originals.count("calibration") == COUNT
    (checkout.photos / "0-larger.png").unlink()
    checkout.save(1, "1-larger.png", size=96)  # saved again, so that it is another photo
    checkout.save(1, "1-largest.png", size=128)
    checkout.run()
    originals = checkout.originals
    gone = set(originals.manifest["group"]) - set(originals.manifest["id"])
    assert len(gone) == 2, "else nothing is shown"
    assert originals.count("calibration") == COUNT
    assert len({photo.id for photo in originals.read("calibration")}) == COUNT


def test_of_equal_pixels_the_remembered_file_is_taken(checkout: Checkout) -> None:
    before = checkout.run()
    for number in range(COUNT):
        checkout.save(number, f"0-copy-{number}.tif")  # other bytes, and an earlier name
    forgotten = checkout.run()
    assert set(forgotten["name"].str.slice(0, 6)) == {"0-copy"}, "else nothing is shown"
    assert checkout.originals.count("calibration") == COUNT
    index = checkout.run(before["id"])
    pd.testing.assert_frame_equal(index, before)
    rejected = pd.read_csv(checkout.raw / "rejected.csv")
    assert rejected["reason"].tolist() == [f"same pixels as {identity}" for identity in before["id"]]
