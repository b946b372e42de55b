"""The validation of the prepared dataset, and its stage."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from huebands.data import shards
from huebands.data.params import SPLITS, ValidateParams
from huebands.data.preparation import encode_square, measure

# Great Expectations imports a module that Python is going to drop.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

PARAMS = ValidateParams(min_photos=dict.fromkeys(SPLITS, 3), lightness_mean=(25.0, 75.0), chroma_mean=(5.0, 60.0))
SIZE = 8


@pytest.fixture
def validation() -> ModuleType:
    """Import late: here the mark above holds back the warning."""
    from huebands.data import validation

    return validation


PHOTOS = 6  # in each split


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A small good dataset."""
    return write_dataset(tmp_path / "data" / "prepared")


def write_dataset(folder: Path) -> Path:
    """Write six photos a split, each a group of its own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for split in SPLITS:
        squares = [encode_square(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)) for _ in range(PHOTOS)]
        shards.write_shard(folder, split, iter(squares), len(squares), SIZE)
        for row, square in enumerate(squares):
            sha256 = hashlib.sha256(square.tobytes()).hexdigest()
            identity = sha256[:16]
            names = {"source": "test", "name": identity, "licence": "CC0", "title": "", "artist": ""}
            keys = {"id": identity, "sha256": sha256, "phash": identity[::-1], "group": identity}
            place = {"split": split, "row": row, "file": f"photos/{identity}.png", "width": 30, "height": 40}
            rows.append({**names, **keys, **place, **measure(square)})
    shards.write_manifest(folder, pd.DataFrame(rows))
    return folder


def break_everything(manifest: pd.DataFrame) -> None:
    """Put one fault of each kind into a manifest, each into other photos: 0 to 5 train, 6 to 11 val, ..."""
    manifest.loc[1, "id"] = manifest.loc[0, "id"]
    manifest.loc[3, "sha256"] = manifest.loc[2, "sha256"]
    manifest.loc[23, "group"] = manifest.loc[4, "group"]
    manifest.loc[5, "split"] = "validation"
    manifest.loc[6, "id"] = "not hex"
    manifest.loc[7, "licence"] = " "
    manifest.loc[8, "licence"] = None
    manifest.loc[9, "width"] = 0
    manifest.loc[10, "L_mean"] = 100.5
    manifest.loc[11, "L_mean"] = None
    manifest.loc[12, "chroma_p95"] = -0.1
    manifest.loc[13, "row"] = manifest.loc[14, "row"]
    manifest.loc[15, "row"] = PHOTOS
    manifest.loc[16, "L_mean"] = 40.0


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[tuple[str, str], Any]]:
    """A manifest with every fault and what the validation finds in it, by expectation and column."""
    from huebands.data import validation

    folder = write_dataset(tmp_path_factory.mktemp("broken") / "prepared")
    manifest = shards.read_manifest(folder)
    break_everything(manifest)
    shards.write_manifest(folder, manifest)
    report = validation.validate(folder, PARAMS)
    assert report.summary["success"] is False
    return manifest, {(failure.expectation, failure.column): failure for failure in report.failures}


FAULTS = [
    ("expect_column_values_to_be_unique", "id", [0, 1]),
    ("expect_column_values_to_be_unique", "sha256", [2, 3]),
    ("expect_column_values_to_be_in_set", "splits_of_group", [4, 23]),
    ("expect_column_values_to_be_in_set", "split", [5]),
    ("expect_column_values_to_match_regex", "id", [6]),
    ("expect_column_values_to_match_regex", "licence", [7]),
    ("expect_column_values_to_not_be_null", "licence", [8]),
    ("expect_column_values_to_be_between", "width", [9]),
    ("expect_column_values_to_be_between", "L_mean", [10]),
    ("expect_column_values_to_not_be_null", "L_mean", [11]),
    ("expect_column_values_to_be_between", "chroma_p95", [12]),
    ("expect_compound_columns_to_be_unique", "split, row", [13, 14]),
    ("expect_column_values_to_not_be_null", "shard_L_mean", [5, 15]),
    ("expect_column_values_to_be_between", "shard_difference", [10, 13, 16]),
]


@pytest.mark.parametrize(("expectation", "column", "photos"), FAULTS)
def test_a_fault_is_named_with_expectation_column_and_photos(
    broken: tuple[pd.DataFrame, dict[tuple[str, str], Any]], expectation: str, column: str, photos: list[int]
) -> None:
    manifest, failures = broken
    failure = failures[expectation, column]
    assert list(failure.offending) == list(manifest.loc[photos, "id"])
    assert str(failure).startswith(f"{expectation} on {column}: ")
    assert all(photo in str(failure) for photo in failure.offending)


def test_nothing_else_is_found_in_a_broken_dataset(
    broken: tuple[pd.DataFrame, dict[tuple[str, str], Any]],
) -> None:
    assert set(broken[1]) == {(expectation, column) for expectation, column, _ in FAULTS} | {
        ("expect_column_pair_values_to_be_equal", "rows, photos")
    }


def test_a_distribution_out_of_range_names_the_photos_that_pull_it_out(validation: ModuleType, dataset: Path) -> None:
    narrow = ValidateParams(min_photos=PARAMS.min_photos, lightness_mean=(90.0, 100.0), chroma_mean=(0.0, 5.0))
    lightness, chroma = sorted(validation.validate(dataset, narrow).failures, key=lambda f: f.column)
    manifest = shards.read_manifest(dataset)
    assert (lightness.expectation, lightness.column) == ("expect_column_mean_to_be_between", "L_mean")
    assert lightness.offending[0] == manifest.loc[manifest["L_mean"].idxmin(), "id"]
    assert f"lies in [90, 100] (validate.lightness_mean); found {manifest['L_mean'].mean():.4f}" in lightness.reason
    assert (chroma.expectation, chroma.column) == ("expect_column_mean_to_be_between", "chroma_mean")
    assert chroma.offending[0] == manifest.loc[manifest["chroma_mean"].idxmax(), "id"]


def test_a_good_dataset_passes(validation: ModuleType, dataset: Path, tmp_path: Path) -> None:
    report = validation.validate(dataset, PARAMS, docs=tmp_path / "docs")
    assert report.failures == ()
    assert report.summary["photos"] == {"all": 4 * PHOTOS, **dict.fromkeys(SPLITS, PHOTOS)}
    for name, suite in report.summary["suites"].items():
        assert suite["evaluated"] == suite["successful"] == len(suite["expectations"]) > 0, name
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert tmp_path / "docs" / "index.html" in pages
    assert any("licence" in page.read_text(encoding="utf-8") for page in pages)


def test_a_missing_column_is_named_once(validation: ModuleType, dataset: Path) -> None:
    manifest = shards.read_manifest(dataset)
    manifest.drop(columns=["id", "licence"]).to_parquet(dataset / "manifest.parquet", index=False)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert failure.expectation == "expect_table_columns_to_match_ordered_list"
    assert failure.offending == ("id", "licence")


def test_a_column_of_the_wrong_type_is_named(validation: ModuleType, dataset: Path) -> None:
    manifest = shards.read_manifest(dataset)
    shards.write_manifest(dataset, manifest.assign(width=manifest["width"].astype(float)))
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert (failure.expectation, failure.column) == ("expect_column_values_to_be_of_type", "width")
    assert "width is int64; found float64" in failure.reason


@pytest.mark.parametrize("left", [2, 0])
def test_too_few_photos_in_a_split_are_named(validation: ModuleType, dataset: Path, left: int) -> None:
    manifest = shards.read_manifest(dataset)
    manifest = manifest[(manifest["split"] != "val") | (manifest["row"] < left)]
    shards.write_manifest(dataset, manifest)
    squares = shards.open_shard(dataset, "val").copy()[:left]
    shards.write_shard(dataset, "val", iter(squares), left, SIZE)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert (failure.expectation, failure.column) == ("expect_table_row_count_to_be_between", "split=val")
    assert f"val holds at least 3 photos (validate.min_photos.val); found {left}" in failure.reason
    assert failure.offending == tuple(manifest.loc[manifest["split"] == "val", "id"])


def test_a_shard_with_other_photos_than_the_manifest_is_named(validation: ModuleType, dataset: Path) -> None:
    squares = shards.open_shard(dataset, "test").copy()
    shards.write_shard(dataset, "test", iter([*squares, squares[0]]), PHOTOS + 1, SIZE)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert (failure.expectation, failure.column) == ("expect_column_pair_values_to_be_equal", "rows, photos")
    assert failure.offending == ("test",)
    shards.write_shard(dataset, "test", iter(squares[::-1]), PHOTOS, SIZE)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert failure.column == "shard_difference"
    manifest = shards.read_manifest(dataset)
    assert set(failure.offending) == set(manifest.loc[manifest["split"] == "test", "id"])


def test_a_shard_of_another_size_or_range_is_named(validation: ModuleType, dataset: Path) -> None:
    squares = shards.open_shard(dataset, "calibration").copy()
    shards.write_shard(dataset, "calibration", iter(np.tile(squares, (1, 1, 2, 2))), PHOTOS, 2 * SIZE)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert (failure.column, failure.offending) == ("side, train_side", ("calibration",))
    squares[0, 1, 0, 0] = 12_000
    shards.write_shard(dataset, "calibration", iter(squares), PHOTOS, SIZE)
    (failure,) = validation.validate(dataset, PARAMS).failures
    assert (failure.column, failure.offending) == ("ab_largest", ("calibration",))


def test_a_long_list_of_offenders_is_cut_in_the_message_alone(validation: ModuleType) -> None:
    failure = validation.Failure("expect_x", "c", "why", tuple(f"id{number}" for number in range(25)))
    assert str(failure).endswith("id9 and 15 more")


@pytest.fixture
def project(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project with the repository's parameters and the small dataset."""
    root = dataset.parent.parent
    values = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
    values["validate"] = asdict(PARAMS)
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.chdir(root)
    return root


def test_the_stage_writes_the_same_summary_twice(
    validation: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from huebands.stages import validate

    summary = project / "reports" / "validate" / "summary.json"
    validate.main()
    first = summary.read_bytes()
    validate.main()
    assert summary.read_bytes() == first
    assert json.loads(first)["success"]
    assert "expectations met" in capsys.readouterr().out
    assert (project / "reports" / "validate" / "docs" / "index.html").is_file()


def test_the_stage_ends_with_the_reasons(validation: ModuleType, project: Path) -> None:
    from huebands.stages import validate

    folder = project / "data" / "prepared"
    manifest = shards.read_manifest(folder)
    manifest.loc[9, "sha256"] = manifest.loc[2, "sha256"]
    shards.write_manifest(folder, manifest)
    with pytest.raises(SystemExit) as ended:
        validate.main()
    assert "expect_column_values_to_be_unique on sha256: no two photos have the same bytes" in str(ended.value)
    assert manifest.loc[9, "id"] in str(ended.value)
    assert not json.loads((project / "reports" / "validate" / "summary.json").read_text())["success"]


def test_the_stage_says_what_to_run_first(validation: ModuleType, project: Path) -> None:
    from huebands.stages import validate

    (project / "data" / "prepared" / "val.npy").unlink()
    with pytest.raises(SystemExit, match=r"validate: .*val\.npy: not found; run the prepare stage"):
        validate.main()
