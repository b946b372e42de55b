"""The record of the model in use leads an HTTP process that starts anew to it."""

from pathlib import Path

import pytest

from huebands.package.schema import PackageError
from huebands.serving.following.in_use_record import InUseRecord
from huebands.serving.served_model import ServedModel


@pytest.fixture
def first(tmp_path: Path) -> ServedModel:
    return model_in(tmp_path / "package", 1)


def model_in(folder: Path, version: int) -> ServedModel:
    (folder / "parts").mkdir(parents=True)
    return ServedModel(folder=str(folder), source="models:/b@c", model="b", version=version)


def test_without_a_record_the_first_model_is_in_use(first: ServedModel) -> None:
    assert InUseRecord(first).read() is first


def test_the_model_that_was_written_last_is_in_use(first: ServedModel, tmp_path: Path) -> None:
    second = model_in(tmp_path / "version-2", 2)
    record = InUseRecord(first)
    for model in (first, second):
        record.write(model)
        assert InUseRecord(first).read() == record.model == model


def test_a_damaged_record_is_named_with_the_remedy(first: ServedModel, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"folder": 1, "odd": 2}'):
        (tmp_path / "in-use.json").write_text(text)
        with pytest.raises(PackageError, match=r"in-use.json: cannot be read .*; start the service again"):
            InUseRecord(first).read()


@pytest.mark.parametrize("written", [False, True])
def test_all_but_the_recorded_model_and_what_is_being_written_is_removed(
    first: ServedModel, tmp_path: Path, written: bool
) -> None:
    record, second = InUseRecord(first), model_in(tmp_path / "version-2-0a1b", 2)
    if written:
        record.write(second)
    for name in ("version-3-2c3d", "registry-x", ".huebands-0.partial"):
        (tmp_path / name / "parts").mkdir(parents=True)
    record.remove_others()
    kept = {".huebands-0.partial", "version-2-0a1b" if written else "package"}
    assert {path.name for path in tmp_path.iterdir()} == kept | ({"in-use.json"} if written else set())
    assert (Path(record.model.folder) / "parts").is_dir()
