"""The remembered splits: what a file says is what was written, whatever git merges, and one rule decides."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from composition import composed
from huebands.data.assignments import Assignment, AssignmentError, Assignments, path_of
from huebands.data.params import PrepareParams
from huebands.data.splits import split_of
from huebands.models.parameters import build

ROOT = Path(__file__).parents[2]
SETTINGS = PrepareParams(
    image_size=16,
    min_chroma=5.0,
    min_tone_spread=1.1,
    group_distance=10,
    salt="salt",
    fractions={"train": 0.6, "val": 0.1, "calibration": 0.16, "test": 0.14},
)


def photo(number: int, split: str = "train") -> Assignment:
    return Assignment(id=f"{number:016x}", phash=2**64 - 1 - number, group=f"{number // 2:016x}", split=split)


def written(path: Path, *photos: Assignment) -> Assignments:
    assignments = Assignments(path).extended(photos, SETTINGS)
    assignments.write()
    return assignments


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.csv"
    assert Assignments.read(path).photos == (), "a missing file remembers nothing"
    written(path, photo(3, "test"), photo(1), photo(2, "val"))
    read = Assignments.read(path)
    assert list(read.photos) == [photo(1), photo(2, "val"), photo(3, "test")], "in the order of their IDs"
    assert path.read_text().splitlines()[2] == "0000000000000001,fffffffffffffffe,0000000000000000,train"
    read.check_rule(SETTINGS)


def test_what_is_remembered_stays(tmp_path: Path) -> None:
    assignments = written(tmp_path / "set.csv", photo(1, "test"), photo(2))
    extended = assignments.extended([photo(1, "train"), photo(0)], SETTINGS)
    assert list(extended.photos) == [photo(0), photo(1, "test"), photo(2)]


def test_a_file_without_a_change_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    written(path, photo(1))
    os.utime(path, ns=(5, 5))
    Assignments.read(path).extended([photo(1)], SETTINGS).write()
    assert path.stat().st_mtime_ns == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"salt": "other"},
            r"prepare\.salt \(='other'\) must be that of .*set\.csv \(='salt'\), by which its 1 ",
        ),
        ({"group_distance": 5}, r"prepare\.group_distance \(=5\) must be that of .* \(=10\).* or remove .*set\.csv"),
        ({"fractions": {"train": 0.5, "val": 0.2, "calibration": 0.16, "test": 0.14}}, r"prepare\.fractions \(=\{"),
    ],
)
def test_another_rule_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    assignments = written(tmp_path / "set.csv", photo(1))
    with pytest.raises(AssignmentError, match=words):
        assignments.check_rule(dataclasses.replace(SETTINGS, **change))  # type: ignore[arg-type]
    assignments.check_rule(dataclasses.replace(SETTINGS, image_size=32, min_chroma=6.0))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("<<<<<<< HEAD", r"set\.csv:4: '<<<<<<< HEAD' must be id,phash,group,split"),
        ("0" * 16 + "," + "0" * 16 + "," + "0" * 15 + ",train", r"set\.csv:4: .* 16 hexadecimal digits"),
        (",".join(["0" * 16] * 3) + ",validation", r"set\.csv:4: .* one of train, val, calibration, test"),
        ("0000000000000001,fffffffffffffffe,0000000000000000,test", r"set\.csv:4: photo 0{15}1 has another line, with"),
        ('# split by {"salt": "other"}', r"set\.csv: 2 lines begin with '# split by', and one must"),
        ("# split by {", r"set\.csv:4: '\{' must be a JSON object, the parameters of the splits; restore"),
        ("# split by [1]", r"set\.csv:4: '\[1\]' must be a JSON object"),
        ("\xe9", r"set\.csv: not UTF-8 \('utf-8' codec .* restore the file from git"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "set.csv"
    written(path, photo(1))
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(AssignmentError, match=words):
        Assignments.read(path)


def test_git_merges_what_two_branches_add(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    path = tmp_path / path_of("set")
    git("init", "--initial-branch=main")
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    old = written(path, photo(2), photo(9))
    git("add", ".")
    git("commit", "-m", "old")
    for branch, added in (("one", [photo(4), photo(5)]), ("two", [photo(5), photo(6, "test")])):
        git("checkout", "-b", branch, "main")
        old.extended(added, SETTINGS).write()
        git("commit", "-am", branch)
    git("merge", "one")
    merged = Assignments.read(path)
    assert [int(each.id, 16) for each in merged.photos] == [2, 4, 5, 6, 9]
    merged.write()
    assert path.read_text().splitlines()[2:] == sorted(set(path.read_text().splitlines()[2:])), "sorted, and each once"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "data/splits").glob("*.csv")))
def test_a_shipped_file_follows_the_rule_of_its_set(name: str) -> None:
    shipped = Assignments.read(ROOT / path_of(name))
    settings = build(PrepareParams, composed(f"data={name}")["prepare"])
    shipped.check_rule(settings)
    for each in shipped.photos:
        assert each.split == split_of(each.group, settings.salt, settings.fractions), each
