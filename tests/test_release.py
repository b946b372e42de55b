"""Releasing: the pipeline's package is taken in, and the best of all is chosen on the validation split."""

import json
import shutil
from pathlib import Path

import pytest

from huebands import release
from huebands.data.shards import ShardError, data_sha256
from huebands.default_package import default_package
from huebands.package import PackageError, read_package
from tiny_package import seal, write_earlier
from tiny_photos import PlainScorer, tiny_photo, write_prepared


@pytest.fixture
def tree(tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a dataset, and a package that was trained on it."""
    write_prepared(tmp_path / "data/prepared", {"val": [tiny_photo(seed) for seed in range(3)]})
    shutil.copytree(tiny_package, tmp_path / "models/generator")
    relate(tmp_path / "models/generator", data_sha256(tmp_path / "data/prepared"))
    (tmp_path / "reports/train").mkdir(parents=True)
    tell(tmp_path, read_package(tiny_package).weights_sha256)
    (tmp_path / "reports/train/history.csv").write_text("epoch\n1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tell(tree: Path, weights_sha256: str) -> None:
    (tree / "reports/train/run.json").write_text(json.dumps({"weights_sha256": weights_sha256}))


def relate(package: Path, data: str) -> None:
    config = json.loads((package / "config.json").read_text())
    config["lineage"]["data_sha256"] = data
    (package / "config.json").write_text(json.dumps(config))
    seal(package)


def test_a_release_is_the_pipelines_package_and_the_default(tree: Path) -> None:
    release.release("tiny", PlainScorer())
    for path in (tree / "models/generator").iterdir():
        assert (tree / "models/release/tiny" / path.name).read_bytes() == path.read_bytes()
    assert default_package((tree,)) == tree / "models/release/tiny"
    index = json.loads((tree / "models/release/index.json").read_text())
    assert (index["best"], index["split"], list(index["packages"])) == ("tiny", "val", ["tiny"])
    assert set(index["packages"]["tiny"]) == {*release.CRITERIA, "package_sha256"}
    assert index["packages"]["tiny"]["package_sha256"] == read_package(tree / "models/generator").package_sha256
    kept = {path.name: path.read_bytes() for path in (tree / "reports/release/tiny").iterdir()}
    assert kept == {name: (tree / "reports/train" / name).read_bytes() for name in ("run.json", "history.csv")}


def test_the_curves_must_be_those_of_the_package(tree: Path) -> None:
    tell(tree, "0" * 64)
    with pytest.raises(PackageError, match=r"reports/train/run\.json: tells of other weights \(000000000000\) than"):
        release.release("tiny", PlainScorer())
    (tree / "reports/train/history.csv").unlink()
    with pytest.raises(PackageError, match=r"reports/train/history\.csv: missing"):
        release.release("tiny", PlainScorer())
    assert not (tree / "models/release").exists()


def test_the_best_has_the_least_ranks_over_all_criteria() -> None:
    def figures(*values: float) -> dict[str, float]:
        return dict(zip(release.CRITERIA, values, strict=True))

    muted, vivid, poor = figures(9, 0.20, 25), figures(10, 0.19, 15), figures(11, 0.25, 30)
    assert release.best_of({"muted": muted, "vivid": vivid, "poor": poor}) == "vivid"
    assert release.best_of({"a": figures(10, 0.2, 20), "b": figures(9, 0.3, 20)}) == "b"


@pytest.mark.parametrize("name", ["", "../up", "With Space", "-x"])
def test_a_name_is_a_plain_word(tree: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"name .* must be of lower-case letters"):
        release.release(name, PlainScorer())


def test_what_must_not_ship_does_not(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "LARGEST", 1000)
    with pytest.raises(PackageError, match=r"generator: \d+ bytes, more than 1000"):
        release.release("tiny", PlainScorer())
    monkeypatch.undo()
    monkeypatch.chdir(tree)
    relate(tree / "models/generator", "f" * 64)
    with pytest.raises(PackageError, match="trained on the data ffffffffffff, while"):
        release.release("tiny", PlainScorer())
    assert not (tree / "models/release").exists()


def test_a_package_of_an_earlier_calibration_is_named_and_nothing_ships(tree: Path) -> None:
    write_earlier(tree / "models/release/old")
    with pytest.raises(PackageError, match=r"models/release/old: has no calibration of this version of huebands"):
        release.release("tiny", PlainScorer())
    assert [path.name for path in (tree / "models/release").iterdir()] == ["old"]


def test_another_package_that_was_changed_since_its_release_stops_it(tree: Path) -> None:
    release.release("other", PlainScorer())
    (tree / "models/release/other/MODEL_CARD.md").write_text("# Changed\n")
    seal(tree / "models/release/other")
    with pytest.raises(PackageError, match=r"release/other: package_sha256 .* must be .*its files were changed"):
        release.release("tiny", PlainScorer())
    assert not (tree / "models/release/tiny").exists()


def test_choosing_needs_validation_photos(tree: Path) -> None:
    shutil.rmtree(tree / "data/prepared")
    write_prepared(tree / "data/prepared", {"test": [tiny_photo(0)]})
    relate(tree / "models/generator", data_sha256(tree / "data/prepared"))
    with pytest.raises(ShardError, match="val split is empty"):
        release.release("tiny", PlainScorer())
