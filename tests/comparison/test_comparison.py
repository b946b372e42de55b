"""Candidates on the same photos: their input, the report, and the errors."""

import csv
import errno
import io
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.comparison import candidates
from huebands.comparison.candidates import check_names, find_candidate
from huebands.comparison.compare import compare
from huebands.comparison.own_photos import ComparisonError, read_folder, read_prepared
from huebands.comparison.report import write_report
from huebands.comparison.table import overall_cells, to_csv, to_json, to_markdown
from huebands.data.preparation import squash
from huebands.data.shards import ShardError
from huebands.metrics.report import METRICS, OF_SETS, Estimate, PhotoScorer
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError
from tiny_package import seal
from tiny_photos import SIZE, PlainScorer, painter, photo_set, tiny_photo, write_prepared

GREY = painter("grey", 0, "grey")


def compared(*extra, count=3):
    return compare(photo_set(count), [GREY, *extra], PlainScorer(), lambda line: None)


def test_candidates_see_nothing_but_the_grey_of_equal_lightness():
    inputs = []

    def record(photo_name, grey_HW):
        inputs.append((photo_name, grey_HW))
        return np.repeat(grey_HW[..., None], 3, axis=2)

    watcher = candidates.Candidate("watcher", "package", "", {}, record)
    photos = photo_set(2)
    compare(photos, [watcher], PlainScorer(), lambda line: None)
    assert [name for name, _ in inputs] == ["0.png", "1.png"]
    for index, (_, grey) in enumerate(inputs):
        np.testing.assert_array_equal(grey, GreyPhoto.of_rgb(tiny_photo(index)).levels_HW)


def test_a_candidate_that_looks_through_inception_has_no_figures_of_sets():
    seer = candidates.Candidate("seer", "package", "", {}, GREY.colorize, judged_by_inception=False)
    comparison = compared(seer)
    assert set(comparison.estimates["grey"]) - set(comparison.estimates["seer"]) == set(OF_SETS)
    assert set(overall_cells(comparison)["kid"]) == {"grey"}


def test_the_test_split_has_the_names_and_the_bytes_that_were_prepared(tmp_path):
    photos = [tiny_photo(seed) for seed in range(4)]
    photos_read = read_prepared(write_prepared(tmp_path / "prepared", {"train": photos[:2], "test": photos[2:]}))
    assert [photo.name for photo in photos_read.photos] == ["test0.png", "test1.png"]
    for photo, rgb in zip(photos_read.photos, photos[2:], strict=True):
        np.testing.assert_array_equal(photo.truth, rgb)
    assert (photos_read.name, photos_read.size) == ("test split of prepared", SIZE)


def test_the_validation_split_can_be_compared_on(tmp_path):
    prepared = write_prepared(tmp_path / "prepared", {"val": [tiny_photo(0)], "test": [tiny_photo(1)]})
    photos_read = read_prepared(prepared, "val")
    assert (photos_read.name, [photo.name for photo in photos_read.photos]) == ("val split of prepared", ["val0.png"])


def test_a_folders_photos_are_squashed_as_prepare_squashes_them(tmp_path):
    wide = np.asarray(Image.fromarray(tiny_photo(0)).resize((50, 30), Image.Resampling.BICUBIC))
    (tmp_path / "deep").mkdir()
    Image.fromarray(wide).save(tmp_path / "deep/wide.png")
    (photo,) = read_folder(tmp_path, SIZE).photos
    assert (photo.name, photo.aspect) == ("deep/wide.png", 50 / 30)
    np.testing.assert_array_equal(photo.truth, squash(wide, SIZE))
    np.testing.assert_array_equal(
        photo.truth, read_prepared(write_prepared(tmp_path / "prepared", {"test": [wide]})).photos[0].truth
    )


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    Image.fromarray(tiny_photo(0)).save(tmp_path / "colour.png")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    (error,) = read_folder(tmp_path, SIZE).unreadable
    assert str(error) == f"{tmp_path / 'locked'}: Permission denied"


def test_colourless_tinted_and_unreadable_photos_are_left_out(tmp_path):
    Image.fromarray(tiny_photo(0)).save(tmp_path / "colour.png")
    Image.fromarray(tiny_photo(1)[..., 0]).save(tmp_path / "grey.png")
    sepia = (np.linspace(20, 230, 1600).reshape(40, 40, 1) * (1, 0.8, 0.55)).astype(np.uint8)
    Image.fromarray(sepia).save(tmp_path / "sepia.png")
    (tmp_path / "text.jpg").write_text("no image")
    photos_read = read_folder(tmp_path, SIZE)
    assert photos_read.tinted == ("sepia.png",)
    assert [photo.name for photo in photos_read.photos] == ["colour.png"]
    assert photos_read.colourless == ("grey.png",)
    assert [error.name for error in photos_read.unreadable] == [str(tmp_path / "text.jpg")]
    (tmp_path / "colour.png").unlink()
    with pytest.raises(ComparisonError, match="holds no photo with colour"):
        read_folder(tmp_path, SIZE)


def test_the_hash_differs_for_other_photos_and_sizes(tmp_path):
    Image.fromarray(tiny_photo(0)).save(tmp_path / "a.png")
    hashes = [read_folder(tmp_path, size).sha256 for size in (SIZE, SIZE, 32)]
    Image.fromarray(tiny_photo(1)).save(tmp_path / "a.png")
    hashes.append(read_folder(tmp_path, SIZE).sha256)
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3


@pytest.mark.parametrize("size", [0, 15, 2049])
def test_a_size_out_of_range_is_refused(tmp_path, size):
    with pytest.raises(ComparisonError, match=rf"size \(={size}\) must be in"):
        read_folder(tmp_path, size)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ImageError, match="nowhere: no such folder"):
        read_folder(tmp_path / "nowhere", SIZE)


def test_a_package_is_a_candidate_under_its_own_or_a_given_name(tiny_package, tmp_path):
    grey = GreyPhoto.of_rgb(tiny_photo(0)).levels_HW
    unnamed, named = find_candidate(str(tiny_package), tmp_path), find_candidate(f"mine={tiny_package}", tmp_path)
    assert (unnamed.name, named.name, unnamed.kind) == ("tiny", "mine", "package")
    assert unnamed.params["package_sha256"] == read_package(tiny_package).package_sha256
    np.testing.assert_array_equal(
        unnamed.colorize("x", grey), Colorizer.load(tiny_package).colours.predict(GreyPhoto(grey))
    )


def test_a_folder_may_have_an_equals_sign_in_its_name(tiny_package, tmp_path):
    shutil.copytree(tiny_package, tmp_path / "a=b")
    assert find_candidate(str(tmp_path / "a=b"), tmp_path).name == "a=b"


def test_the_seed_upsamples_bilinearly_whatever_its_package_says(tiny_package, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "SEED", tmp_path / "trained")
    with pytest.raises(PackageError, match=r"seed: .*trained: no such folder.*git restore"):
        find_candidate("seed", tmp_path)
    for name in ("trained", "bilinear"):
        shutil.copytree(tiny_package.with_name("tiny-trained"), tmp_path / name)
    config = json.loads((tmp_path / "bilinear/config.json").read_text())
    config["preprocessing"]["upsampling"]["name"] = "bilinear"
    (tmp_path / "bilinear/config.json").write_text(json.dumps(config))
    seal(tmp_path / "bilinear")
    guided, bilinear = Colorizer.load(tmp_path / "trained"), Colorizer.load(tmp_path / "bilinear")
    grey = GreyPhoto.of_rgb(tiny_photo(0, 40)).levels_HW
    rgb = find_candidate("seed", tmp_path).colorize("x", grey)
    np.testing.assert_array_equal(rgb, bilinear.colours.predict(GreyPhoto(grey)))
    assert (rgb != guided.colours.predict(GreyPhoto(grey))).any(), "the test needs upsamplings that differ"


def test_without_training_photos_a_baseline_says_what_to_do(tmp_path):
    with pytest.raises(ShardError, match="dvc repro prepare"):
        find_candidate("lightness", tmp_path)


@pytest.mark.parametrize(
    ("names", "reason"),
    [(["a", "b", "a"], "2 candidates are called a"), (["truth"], "truth is taken"), (["grey"], "grey is taken")],
)
def test_names_of_candidates_must_differ(names, reason):
    with pytest.raises(ComparisonError, match=reason):
        check_names([painter(name, 1) for name in names])


def test_a_result_of_the_wrong_size_stops_the_comparison():
    wrong = candidates.Candidate("wrong", "package", "", {}, lambda name, grey: np.zeros((3, 3, 3), np.uint8))
    scorer = PhotoScorer.__new__(PhotoScorer)  # shapes are checked before any network runs
    with pytest.raises(ValueError, match="wrong: shape"):
        compare(photo_set(1), [wrong], scorer, lambda line: None)


def test_the_json_holds_every_figure_with_its_interval():
    comparison = compared(painter("warm", 30))
    content = json.loads(to_json(comparison, {}))
    assert (content["photos"], content["size"]) == (3, SIZE)
    assert content["dataset"] == {"name": "photos of tiny", "sha256": "5" * 64}
    assert set(content["truth"]) == {"colourfulness", "clipped"}
    assert list(content["candidates"]) == ["grey", "warm"]
    for figures in content["candidates"].values():
        assert list(figures) == [metric.key for metric in METRICS]
        assert all(set(figure) == {"value", "low", "high", "standard_error"} for figure in figures.values())


def test_an_infinite_figure_is_null_in_json_and_a_symbol_in_markdown():
    comparison = compared()
    comparison.estimates["grey"]["psnr"] = Estimate(math.inf, 0.0, math.inf, math.inf)
    assert json.loads(to_json(comparison, {}))["candidates"]["grey"]["psnr"]["value"] is None
    assert "**∞** (0.00 to ∞)" in to_markdown(comparison)


def test_the_csv_holds_one_row_for_each_photo_and_candidate():
    comparison = compared(painter("warm", 30))
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert [(row["photo"], row["candidate"]) for row in rows] == [
        (f"{i}.png", name) for i in range(3) for name in ("grey", "warm")
    ]
    assert set(rows[0]) == {"photo", "candidate"} | {metric.key for metric in METRICS if metric.key not in OF_SETS}
    mean = np.mean([float(row["ciede2000"]) for row in rows if row["candidate"] == "warm"])
    assert mean == pytest.approx(comparison.estimates["warm"]["ciede2000"].value, abs=1e-4)


def test_the_best_of_each_metric_is_marked_whichever_way_is_better():
    comparison = compared(painter("warm", 30), painter("wild", 200))
    errors = {name: figures["ciede2000"].value for name, figures in comparison.estimates.items()}
    nearest, farthest = min(errors, key=errors.get), max(errors, key=errors.get)
    cells = overall_cells(comparison)
    assert [name for name, cell in cells["ciede2000"].items() if cell.best] == [nearest]
    assert [name for name, cell in cells["psnr"].items() if cell.best] == [farthest], (
        "the plain scorer gives every metric the same value"
    )
    assert not any(cell.best for cell in cells["colourfulness"].values())


def test_the_markdown_states_n_intervals_and_standard_error():
    text = to_markdown(compared(painter("a|b*", 30)))
    lines = text.splitlines()
    assert lines[0] == f"# photos of tiny: 3 photos of {SIZE} x {SIZE} pixels"
    table = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1, "no name breaks the table"
    assert r"| a\|b\* |" in text and "s.e." in text and "FID is biased" in text


def test_two_comparisons_write_identical_files_for_any_output(tmp_path):
    for folder in ("one", "deep/two"):
        write_report(compared(painter("warm", 30)), tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["index.html", "metrics.json", "photos.csv", "table.md"]
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "deep/two" / name).read_bytes()
        assert str(tmp_path).encode() not in content


def test_the_real_metrics_rate_a_copy_of_the_truth_perfect_and_give_equal_reports(tmp_path):
    truths = {photo.name: photo.truth for photo in photo_set(2, 64).photos}
    copy = candidates.Candidate("copy", "package", "", {}, lambda name, grey: truths[name])
    scorer = PhotoScorer()
    for folder in ("one", "two"):
        comparison = compare(photo_set(2, 64), [GREY, copy], scorer, lambda line: None)
        write_report(comparison, tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    figures = comparison.estimates["copy"]
    assert figures["ciede2000"].value == figures["ab_mae"].value == 0
    assert figures["lpips"].value == pytest.approx(0, abs=1e-6)
    assert {key for key, cells in overall_cells(comparison).items() if cells["grey"].best} <= {"ssim", "bleeding"}
