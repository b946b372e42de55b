"""The photos that models are compared on: one of each group of near-duplicates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from huebands.data.near_duplicates import lead_rows
from huebands.data.shards import ShardError, read_manifest, write_manifest
from huebands.promotion.criteria import COLOURS, compare
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.suite import SuiteError, choose_suite
from tiny_photos import tiny_photo, write_prepared

SCENES, COPIES, ROUNDS = 16, 4, 400


def manifest(groups: list[str], ids: list[str] | None = None) -> pd.DataFrame:
    """Rows of these groups; without IDs the first of each leads it."""
    names = [group if group not in groups[:row] else f"{group}{row}" for row, group in enumerate(groups)]
    return pd.DataFrame({"id": ids or names, "group": groups, "row": range(len(groups))})


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """A prepared dataset whose 16 photos of test and of val show eight scenes; the copies come first."""
    photos = [tiny_photo(seed) for seed in range(16)]
    folder = write_prepared(tmp_path / "prepared", {"train": [tiny_photo(99)], "val": photos, "test": photos})
    rows = read_manifest(folder)
    places = rows["row"].astype(int)
    rows["group"] = rows["split"].astype(str) + (places.where(places >= 8, places + 8)).astype(str)
    rows["sha256"], rows["phash"] = "0" * 64, "0" * 16
    write_manifest(folder, rows)
    return folder


def test_the_photo_that_leads_its_group_stands_for_it() -> None:
    photos = lead_rows(manifest(["b", "a", "a", "b"], ids=["b2", "a2", "a", "b"]))
    assert photos["id"].tolist() == ["a", "b"] and photos["row"].tolist() == [2, 3]


def test_the_first_photo_stands_for_a_group_whose_leader_is_gone() -> None:
    photos = lead_rows(manifest(["gone", "a", "gone"], ids=["b2", "a", "b1"]).iloc[::-1])
    assert photos["id"].tolist() == ["b2", "a"]


def test_a_split_gives_one_photo_of_each_scene(copies: Path) -> None:
    photos = SplitPhotos.read(copies, "val")
    assert len(photos) == 8 and photos.rows == list(range(8, 16))
    assert (photos[0] == tiny_photo(8)).all() and (photos[7] == tiny_photo(15)).all()
    assert len(SplitPhotos.read(copies, "train")) == 1


def test_an_empty_split_gives_no_photos(tmp_path: Path) -> None:
    folder = write_prepared(tmp_path / "prepared", {"test": [tiny_photo(0)]})
    with pytest.raises(ShardError, match="the val split is empty; add photos"):
        SplitPhotos.read(folder, "val")


def test_a_suite_has_one_photo_of_each_scene(copies: Path, tmp_path: Path) -> None:
    suite = choose_suite(copies, "tiny", 64, tmp_path / "suite")
    assert [photo.id for photo in suite.photos] == [f"test{row}" for row in range(8, 16)]
    assert (suite[0] == tiny_photo(8)).all()


def test_copies_of_a_few_scenes_make_no_suite(copies: Path, tmp_path: Path) -> None:
    rows = read_manifest(copies)
    rows["group"] = rows["group"].replace("test15", "test14")
    write_manifest(copies, rows)
    with pytest.raises(
        SuiteError, match=r"test split \(=7 photos of different scenes, 16 in all\) must have at least 8"
    ):
        choose_suite(copies, "tiny", 64, tmp_path / "suite")


def test_models_that_differ_by_chance_alone_are_seldom_found_better_where_scenes_have_copies() -> None:
    """Without the choice it happens in 15% of 400 rounds, as 64 copies of 16 scenes pass for 64 scenes."""
    random = np.random.default_rng(0)
    scenes = np.repeat(np.arange(SCENES), COPIES)
    rows = lead_rows(manifest([f"{scene:02}" for scene in scenes]))["row"].to_numpy()

    def errors() -> dict[str, np.ndarray]:
        of_scenes = {criterion: random.gamma(20, 1 / 20, SCENES) for criterion in COLOURS}
        return {
            criterion: (values[scenes] * random.normal(1, 0.01, len(scenes)))[rows]
            for criterion, values in of_scenes.items()
        }

    better = np.mean([compare(errors(), errors(), COLOURS).outcome == "better" for _ in range(ROUNDS)])
    # Nominally 2.5%; in 400 rounds the standard deviation is 0.8%.
    assert better <= 0.025 + 2 * 0.008
