"""From photos to squares, and from an index of photos to the prepared dataset."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from huebands.data import preparation, shards
from huebands.data.params import SPLITS, PrepareParams
from huebands.photos.write import encode_png
from huebands.stages import prepare

FRACTIONS = {"train": 0.6, "val": 0.1, "calibration": 0.16, "test": 0.14}
DISTANCE = 10


def test_the_perceptual_hash_sees_the_scene_and_not_the_file() -> None:
    painting = Image.fromarray(painting_of(3, 240, 320))
    small = painting.resize((160, 120))
    buffer = io.BytesIO()
    painting.save(buffer, "JPEG", quality=60)
    other = Image.fromarray(painting_of(4, 240, 320))
    original = preparation.perceptual_hash(painting)
    for same in (small, Image.open(buffer)):
        assert (original ^ preparation.perceptual_hash(same)).bit_count() <= 4
    assert (original ^ preparation.perceptual_hash(other)).bit_count() > DISTANCE


def test_statistics_are_those_of_the_pixels() -> None:
    lab = np.zeros((3, 4, 4), dtype=np.int16)
    lab[0, :2], lab[1], lab[2] = 8000, 300, -400
    chroma = {"chroma_mean": 5.0, "chroma_p95": 5.0, "tone_spread": 0.0}
    assert preparation.measure(lab) == {"L_mean": 40.0, "L_std": 40.0, **chroma}


def painting_of(seed: int, height: int, width: int, chroma: float = 1.0) -> np.ndarray:
    """A smooth random picture, uint8 (height, width, 3); chroma 0 makes it grey."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), float)
    grey = picture.mean(axis=2, keepdims=True)
    return (grey + chroma * (picture - grey)).clip(0, 255).astype(np.uint8)


def write_raw(raw: Path, pictures: dict[str, np.ndarray]) -> None:
    """Write what the ingest stage would."""
    (raw / "photos").mkdir(parents=True, exist_ok=True)
    rows = []
    for name, picture in pictures.items():
        content = encode_png(picture)
        sha256 = hashlib.sha256(content).hexdigest()
        (raw / "photos" / f"{sha256[:16]}.png").write_bytes(content)
        rows.append(
            {
                "id": sha256[:16],
                "file": f"photos/{sha256[:16]}.png",
                "source": "test",
                "name": name,
                "licence": "CC0",
                "title": "",
                "artist": "",
                "sha256": sha256,
                "width": picture.shape[1],
                "height": picture.shape[0],
            }
        )
    pd.DataFrame(rows).to_parquet(raw / "index.parquet", index=False)


SETTINGS = PrepareParams(
    image_size=16, min_chroma=5.0, min_tone_spread=1.1, group_distance=DISTANCE, salt="huebands", fractions=FRACTIONS
)


@pytest.fixture
def pictures() -> dict[str, np.ndarray]:
    """30 different pictures, one of them again at another size, one grey."""
    colours = {f"picture-{seed}": painting_of(seed, 40 + seed, 60) for seed in range(30)}
    return {**colours, "again": painting_of(7, 94, 120), "grey": painting_of(99, 40, 40, chroma=0.02)}


@pytest.fixture
def prepared(tmp_path: Path, pictures: dict[str, np.ndarray]) -> Path:
    write_raw(tmp_path / "raw", pictures)
    prepare.prepare(tmp_path / "raw", tmp_path / "prepared", SETTINGS, tmp_path / "splits.csv")
    return tmp_path / "prepared"


def test_every_photo_is_prepared_or_set_aside(prepared: Path, pictures: dict[str, np.ndarray]) -> None:
    manifest = shards.read_manifest(prepared)
    aside = pd.read_csv(prepared / "set_aside.csv")
    assert sorted([*manifest["name"], *aside["name"]]) == sorted(pictures)
    assert list(aside.columns) == ["id", "name", "reason"]
    assert aside.loc[aside["name"] == "grey", "reason"].str.contains("near-grey").all()
    assert tuple(manifest.columns) == shards.MANIFEST_COLUMNS


def test_rows_follow_ids_and_hold_the_squashed_photo(prepared: Path, pictures: dict[str, np.ndarray]) -> None:
    manifest = shards.read_manifest(prepared)
    for split in SPLITS:
        photos = manifest[manifest["split"] == split]
        assert list(photos["row"]) == list(range(len(photos)))
        assert list(photos["id"]) == sorted(photos["id"])
        restored = shards.LabShard(prepared, split).rgb().permute(0, 2, 3, 1).numpy()
        assert len(restored) == len(photos)
        for name, square in zip(photos["name"], restored, strict=True):
            wanted = Image.fromarray(pictures[name]).resize((16, 16), Image.Resampling.LANCZOS)
            assert np.array_equal(square, np.asarray(wanted)), name


def test_near_duplicates_of_real_pictures_share_a_group(prepared: Path) -> None:
    manifest = shards.read_manifest(prepared).set_index("name")
    assert manifest.loc["again", "group"] == manifest.loc["picture-7", "id"]
    assert manifest["group"].nunique() == len(manifest) - 1


def test_preparing_again_gives_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    prepare.prepare(tmp_path / "raw", tmp_path / "again", SETTINGS, tmp_path / "splits.csv")
    files = sorted(path.name for path in prepared.iterdir())
    assert files == sorted(["manifest.parquet", "set_aside.csv", *(f"{split}.npy" for split in SPLITS)])
    for name in files:
        assert (prepared / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_photos_added_to_the_folder_move_no_old_one(
    prepared: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    added = {f"new-{seed}": painting_of(seed, 80, 90) for seed in range(20, 50)}
    write_raw(tmp_path / "raw", {**pictures, **added})
    prepare.prepare(tmp_path / "raw", tmp_path / "more", SETTINGS, tmp_path / "splits.csv")
    columns = ["group", "split", "phash", "L_mean", "chroma_p95"]
    old = shards.read_manifest(prepared).set_index("name")[columns]
    new = shards.read_manifest(tmp_path / "more").set_index("name")[columns]
    assert len(new) > len(old)
    pd.testing.assert_frame_equal(new.loc[old.index], old)


def test_edited_copies_removals_and_new_names_move_no_photo(
    prepared: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    old = shards.read_manifest(prepared).set_index("name")
    copies = {f"a-{name}": Image.fromarray(picture).resize((70, 50)) for name, picture in pictures.items()}
    edited = {name: np.asarray(picture) for name, picture in copies.items() if "picture" in name}
    kept = {f"renamed-{name}": picture for name, picture in pictures.items() if name != "picture-7"}
    write_raw(tmp_path / "raw", {**edited, **kept})  # the copies first, as if their names sorted earlier
    prepare.prepare(tmp_path / "raw", tmp_path / "more", SETTINGS, tmp_path / "splits.csv")
    new = shards.read_manifest(tmp_path / "more").set_index("name")
    for name, photo in old.drop("picture-7").iterrows():
        assert tuple(new.loc[f"renamed-{name}", ["id", "group", "split"]]) == tuple(photo[["id", "group", "split"]])
    assert new.loc["renamed-again", "group"] == old.loc["picture-7", "id"], "its leader is gone"
    aside = pd.read_csv(tmp_path / "more" / "set_aside.csv")
    for name in edited:
        if name not in set(aside["name"]):
            assert new.loc[name, "split"] == old.loc[name.removeprefix("a-"), "split"]
    prepare.prepare(tmp_path / "raw", tmp_path / "anew", SETTINGS, tmp_path / "other.csv")
    anew = shards.read_manifest(tmp_path / "anew").set_index("name")
    assert not anew.loc[new.index, "split"].equals(new["split"]), "without the memory some would move"


def test_a_missing_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"index\.parquet: not found; run the ingest stage first"):
        prepare.prepare(tmp_path / "raw", tmp_path / "prepared", SETTINGS, tmp_path / "splits.csv")


def test_the_stage_ends_with_one_line_when_a_photo_is_broken(
    tmp_path: Path, pictures: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raw(tmp_path / "data" / "raw", pictures)
    broken = min((tmp_path / "data" / "raw" / "photos").iterdir())
    broken.write_bytes(broken.read_bytes()[:100])
    (tmp_path / "params.yaml").write_bytes((Path(__file__).parents[2] / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"prepare: photos/{broken.name}: ") as ended:
        prepare.main()
    assert "\n" not in str(ended.value)


def test_photos_that_are_all_near_grey_leave_empty_splits(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw", {"grey": painting_of(1, 30, 30, chroma=0)})
    prepare.prepare(tmp_path / "raw", tmp_path / "prepared", SETTINGS, tmp_path / "splits.csv")
    assert shards.read_manifest(tmp_path / "prepared").empty
    assert [len(shards.LabShard(tmp_path / "prepared", split)) for split in SPLITS] == [0, 0, 0, 0]
