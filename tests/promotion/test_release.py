"""Releasing: the pipeline's package is copied, and becomes the best when it is better by the one rule."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from huebands.data.shards import ShardError, data_sha256
from huebands.package.choose import default_package, released_sha256
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.promotion import release
from huebands.promotion.criteria import COLOURS
from huebands.training.offsite.import_job import check_report
from tiny_package import seal, write_uncalibrated
from tiny_photos import LevelScorer, PlainColourScorer, tiny_photo, write_prepared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a dataset, and a package that was trained on it."""
    write_prepared(tmp_path / "data/prepared", {"val": [tiny_photo(seed) for seed in range(8)]})
    shutil.copytree(tiny_package, tmp_path / "models/generator")
    relate(tmp_path / "models/generator", data_sha256(tmp_path / "data/prepared"))
    (tmp_path / "reports/train").mkdir(parents=True)
    write_report(tmp_path, read_package(tiny_package).weights_sha256)
    (tmp_path / "reports/train/history.csv").write_text("epoch,seconds\n1,2.5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def index(tree: Path) -> dict:
    return json.loads((tree / "models/release/index.json").read_text())


def write_report(tree: Path, weights_sha256: str) -> None:
    (tree / "reports/train/run.json").write_text(json.dumps({"weights_sha256": weights_sha256}))


def relate(package: Path, data: str) -> None:
    config = json.loads((package / "config.json").read_text())
    config["lineage"]["data_sha256"] = data
    (package / "config.json").write_text(json.dumps(config))
    seal(package)


def take_other_data(tree: Path) -> None:
    """Replace the dataset, and let the pipeline's package be of the new one."""
    shutil.rmtree(tree / "data/prepared")
    write_prepared(tree / "data/prepared", {"val": [tiny_photo(seed) for seed in range(20, 28)]})
    relate(tree / "models/generator", data_sha256(tree / "data/prepared"))


def test_a_release_is_the_pipelines_package_and_the_default(tree: Path) -> None:
    release.release("tiny", LevelScorer())
    for path in (tree / "models/generator").iterdir():
        assert (tree / "models/release/tiny" / path.name).read_bytes() == path.read_bytes()
    assert default_package((tree,)) == tree / "models/release/tiny"
    written = index(tree)
    assert (written["best"], written["split"], list(written["packages"])) == ("tiny", "val", ["tiny"])
    assert set(written["packages"]["tiny"]) == {*COLOURS, "package_sha256"}
    assert written["packages"]["tiny"]["package_sha256"] == read_package(tree / "models/generator").package_sha256
    kept = {path.name: path.read_bytes() for path in (tree / "reports/release/tiny").iterdir()}
    assert kept == {name: (tree / "reports/train" / name).read_bytes() for name in ("run.json", "history.csv")}


def test_the_curves_must_be_those_of_the_package(tree: Path) -> None:
    write_report(tree, "0" * 64)
    with pytest.raises(PackageError, match=r"reports/train/run\.json: weights_sha256 \(='000000000000'\) must be"):
        release.release("tiny", LevelScorer())
    write_report(tree, read_package(tree / "models/generator").weights_sha256)
    (tree / "reports/train/history.csv").write_text("epoch,huber\n1,0.1\n")
    with pytest.raises(PackageError, match=r"history\.csv: columns \(=epoch, huber\) lack seconds, without which"):
        release.release("tiny", LevelScorer())
    (tree / "reports/train/history.csv").unlink()
    with pytest.raises(PackageError, match=r"reports/train/history\.csv: missing"):
        release.release("tiny", LevelScorer())
    assert not (tree / "models/release").exists()


@pytest.mark.parametrize(("level", "best_name"), [(8.0, "second"), (9.0, "first"), (9.5, "first")])
def test_the_best_stays_unless_the_new_one_is_better(tree: Path, level: float, best_name: str) -> None:
    release.release("first", LevelScorer())
    release.release("second", LevelScorer(models=level))
    assert index(tree)["best"] == best_name
    assert index(tree)["packages"]["second"]["lpips"] == pytest.approx(level, abs=0.02)
    assert default_package((tree,)) == tree / "models/release" / best_name


def test_a_package_that_is_not_better_than_grey_is_not_released(tree: Path) -> None:
    with pytest.raises(PackageError, match=r"models/generator: not better than grey: no clear difference .*; nothing"):
        release.release("tiny", LevelScorer(models=10.0))
    with pytest.raises(PackageError, match=r"not better than grey"):
        release.release("tiny", PlainColourScorer())
    assert not (tree / "models/release").exists()


def test_a_package_that_breaks_its_promise_is_not_released(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huebands.promotion.criteria.LEVEL", 2.0)
    with pytest.raises(PackageError, match=r"coverage at alpha 0\.1 is .* too little for the 0\.9 promised"):
        release.release("tiny", LevelScorer())


def test_the_best_is_not_overwritten_by_a_worse_one_of_its_name(tree: Path) -> None:
    release.release("tiny", LevelScorer())
    release.release("tiny", LevelScorer())  # the outcome is "alike": it is the same package
    config_bytes = (tree / "models/release/tiny/config.json").read_bytes()
    config = json.loads((tree / "models/generator/config.json").read_text())
    (tree / "models/generator/config.json").write_text(json.dumps(config | {"name": "worse"}))
    seal(tree / "models/generator")
    with pytest.raises(
        PackageError, match=r"models/release/tiny: is the best, and .* is not better.* release it under another name"
    ):
        release.release("tiny", LevelScorer(models=9.5))
    assert (tree / "models/release/tiny/config.json").read_bytes() == config_bytes
    release.release("other", LevelScorer(models=9.5))
    release.release("other", LevelScorer(models=9.8, other=9.5))  # not the best, so a worse one may replace it
    assert index(tree)["best"] == "tiny"


@pytest.mark.parametrize("name", ["", "../up", "With Space", "-x"])
def test_a_name_must_be_a_plain_word(tree: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"name .* must be of lower-case letters"):
        release.release(name, LevelScorer())


def test_packages_that_must_not_ship_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "LARGEST", 1000)
    with pytest.raises(PackageError, match=r"generator: \d+ bytes, more than 1000"):
        release.release("tiny", LevelScorer())
    monkeypatch.undo()
    monkeypatch.chdir(tree)
    relate(tree / "models/generator", "f" * 64)
    with pytest.raises(PackageError, match="trained on the data ffffffffffff, while"):
        release.release("tiny", LevelScorer())
    assert not (tree / "models/release").exists()


def test_a_released_package_of_other_data_is_measured_too(tree: Path) -> None:
    """It may have seen the photos, which can only flatter it."""
    release.release("first", LevelScorer())
    take_other_data(tree)
    release.release("second", LevelScorer(models=8.0))
    assert (index(tree)["best"], set(index(tree)["packages"])) == ("second", {"first", "second"})
    assert index(tree)["data_sha256"] == data_sha256(tree / "data/prepared")


def test_a_package_for_one_kind_of_photos_is_never_the_default(tree: Path) -> None:
    with pytest.raises(PackageError, match=r"without special no package is the best; release it without --not-default"):
        release.release("special", LevelScorer(), may_be_best=False)
    release.release("first", LevelScorer())
    before = index(tree)
    take_other_data(tree)
    release.release("special", LevelScorer(models=5.0), may_be_best=False)
    after = index(tree)
    special = after["packages"].pop("special")
    assert after == before
    assert special["data_sha256"] == data_sha256(tree / "data/prepared")
    assert special["lpips"] == pytest.approx(5.0, abs=0.02)
    with pytest.raises(PackageError, match=r"not better than grey"):
        release.release("grey", LevelScorer(models=10.0), may_be_best=False)
    assert not (tree / "models/release/grey").exists()


def test_a_package_without_calibration_is_named_and_nothing_ships(tree: Path) -> None:
    release.release("tiny", LevelScorer())
    write_uncalibrated(tree / "models/release/old")
    with pytest.raises(PackageError, match=r"models/release/old: has no calibration"):
        release.release("new", LevelScorer())
    assert not (tree / "models/release/new").exists()


def test_a_changed_released_package_stops_the_release(tree: Path) -> None:
    release.release("other", LevelScorer())
    (tree / "models/release/other/MODEL_CARD.md").write_text("# Changed\n")
    seal(tree / "models/release/other")
    with pytest.raises(PackageError, match=r"release/other: package_sha256 .* must be .*its files were changed"):
        release.release("tiny", LevelScorer())
    assert not (tree / "models/release/tiny").exists()


def lose_the_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def damage_the_index(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def lose_the_best(folder: Path) -> None:
    shutil.rmtree(folder / "first")


def empty_the_best(folder: Path) -> None:
    (folder / "first/config.json").unlink()


def change_the_best(folder: Path) -> None:
    (folder / "first/MODEL_CARD.md").write_text("# Changed\n")
    seal(folder / "first")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lose_the_index, r"release/index\.json: missing beside first, second; take it from git again"),
        (damage_the_index, r"release/index\.json: cannot be read .*; take it from git again"),
        (lose_the_best, r"release/index\.json: the best package \(='first'\) is missing; take it from git again"),
        (empty_the_best, r"release/first/config\.json: missing; models/release/first is not a model package"),
        (change_the_best, r"release/first: package_sha256 .* must be .*; take the folder from its source again"),
    ],
)
@pytest.mark.parametrize("name", ["first", "new"])
def test_a_best_package_that_cannot_be_measured_is_not_replaced(
    tree: Path, damage: Callable[[Path], None], problem: str, name: str
) -> None:
    folder = tree / "models/release"
    release.release("first", LevelScorer())
    release.release("second", LevelScorer(models=9.5))
    damage(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(PackageError, match=problem):
        release.release(name, LevelScorer(models=5.0))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_release_that_was_cut_off_before_its_index_is_completed(tree: Path, capsys: pytest.CaptureFixture) -> None:
    release.release("first", LevelScorer())
    (tree / "models/release/second").mkdir()
    release.release("second", LevelScorer(models=9.5))
    assert "second/config.json: missing; models/release/second is not a model package; it is replaced" in (
        capsys.readouterr().out
    )
    assert (index(tree)["best"], set(index(tree)["packages"])) == ("first", {"first", "second"})


def test_a_full_disk_ends_in_one_line(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(release, "ColourScorer", LevelScorer)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SystemExit, match=r"^release: .*No space left on device: 'models/release/tiny'$"):
        release.main(["tiny"])


def test_choosing_needs_validation_photos(tree: Path) -> None:
    shutil.rmtree(tree / "data/prepared")
    write_prepared(tree / "data/prepared", {"test": [tiny_photo(0)]})
    relate(tree / "models/generator", data_sha256(tree / "data/prepared"))
    with pytest.raises(ShardError, match="the val split is empty"):
        release.release("tiny", LevelScorer())


def test_what_was_not_measured_is_left_out_of_the_index(tree: Path) -> None:
    release.release("first", LevelScorer())
    path = tree / "models/release/index.json"
    written = index(tree)
    del written["packages"]["first"]["bleeding"]
    path.write_text(json.dumps(written))
    take_other_data(tree)
    release.release("special", LevelScorer(models=5.0), may_be_best=False)
    assert "NaN" not in path.read_text()
    assert index(tree)["packages"]["first"] == written["packages"]["first"]


@pytest.mark.parametrize("folder", sorted((ROOT / "models/release").glob("*/")), ids=lambda path: path.name)
def test_the_runs_of_the_repositorys_releases_can_be_restored(folder: Path) -> None:
    check_report(ROOT / "reports/release" / folder.name, read_package(folder, released_sha256(folder)))
