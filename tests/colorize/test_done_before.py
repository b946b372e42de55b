"""The manifest: a later run finds what was done, whatever a crash has left, and no other file is taken for one."""

import errno
import json
import os
from dataclasses import replace

import pytest

from huebands.colorize.manifest import NAME, Manifest, ManifestError, Record

RECORD = Record(
    photo="scans/a\udcff.jpg", result="b/a", sha256="0" * 64, files=("b/a.colorized.png",), settings={"x": (1,)}
)


@pytest.fixture
def folder(tmp_path):
    """A folder with a result and its line."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/a.colorized.png").touch()
    Manifest.read(tmp_path).add(RECORD)
    return tmp_path


def test_a_later_run_finds_what_was_done(folder):
    assert Manifest.read(folder).is_done(RECORD)
    (line,) = (folder / NAME).read_text().splitlines()
    assert json.loads(line)["photo"] == RECORD.photo


@pytest.mark.parametrize(
    "change", [{"sha256": "1" * 64}, {"settings": {"x": (2,)}}, {"settings": {}}, {"result": "b/A"}]
)
def test_another_photo_or_setting_is_not_done(folder, change):
    assert not Manifest.read(folder).is_done(replace(RECORD, **change))


def test_a_result_that_is_gone_or_a_link_is_not_done(folder):
    result = folder / "b/a.colorized.png"
    result.rename(folder / "moved.png")
    assert not Manifest.read(folder).is_done(RECORD)
    result.symlink_to(folder / "moved.png")
    assert not Manifest.read(folder).is_done(RECORD)


def test_the_last_line_counts(folder):
    manifest = Manifest.read(folder)
    manifest.add(replace(RECORD, error="is empty", files=()))
    assert not manifest.is_done(RECORD)
    assert not Manifest.read(folder).is_done(RECORD)
    manifest.add(RECORD)
    assert manifest.is_done(RECORD) and Manifest.read(folder).is_done(RECORD)


@pytest.mark.parametrize("length", [1, 30, -1])
def test_a_line_that_was_cut_counts_as_missing_and_spoils_no_other(folder, length):
    manifest = Manifest.read(folder)
    manifest.add(replace(RECORD, result="c"))
    lines = (folder / NAME).read_bytes().splitlines(keepends=True)
    (folder / NAME).write_bytes(lines[0] + lines[1][:length])
    manifest = Manifest.read(folder)
    # Without its end of line alone, a line is whole.
    assert manifest.is_done(RECORD) and manifest.is_done(replace(RECORD, result="c")) == (length == -1)
    manifest.add(replace(RECORD, result="d"))
    assert {"b/a", "d"} <= Manifest.read(folder).lines.keys()


@pytest.mark.parametrize("content", ["notes", '{"a": 1}\n', '[1]\n"x"', '{"huebands": "0", "result": 1, "files": []}'])
def test_another_file_in_its_place_is_refused_and_stays(tmp_path, content):
    (tmp_path / NAME).write_text(content)
    with pytest.raises(ManifestError, match=r"huebands\.jsonl: is not a manifest of huebands; move it"):
        Manifest.read(tmp_path)
    assert (tmp_path / NAME).read_text() == content


def test_a_link_in_its_place_is_refused(folder, tmp_path):
    (folder / NAME).rename(folder / "real.jsonl")
    (folder / NAME).symlink_to(folder / "real.jsonl")
    with pytest.raises(ManifestError, match="is not a manifest"):
        Manifest.read(folder)


def test_a_full_disk_is_told_with_the_name(folder, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"No space left on device: '.*huebands\.jsonl'"):
        Manifest.read(folder).add(RECORD)
