"""Long work is done in pieces: equal for any number of processes, and resumed after any interruption."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from huebands.data import collection, dataset, work
from huebands.data.assignments import Assignments
from huebands.data.params import FolderSource, PrepareParams
from huebands.data.sources import open_source
from huebands.data.work import finish, unfinished
from huebands.photos.errors import ImageError
from huebands.photos.write import encode_png
from huebands.stages.ingest import ingest
from huebands.stages.prepare import prepare

SETTINGS = PrepareParams(
    image_size=16,
    min_chroma=5.0,
    min_tone_spread=1.1,
    group_distance=2,
    salt="huebands",
    fractions={"train": 0.6, "val": 0.1, "calibration": 0.16, "test": 0.14},
)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_photos(folder: Path, seeds: range) -> None:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        (folder / f"{seed:03d}.png").write_bytes(encode_png(pixels))


def source_of(folder: Path, licence: str = "CC0") -> FolderSource:
    return FolderSource(path=str(folder), licence=licence)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PIECE", 5)


def write_length(piece: str, file: Path) -> None:
    """A piece of work; it fails while the file `stop` is there, but for short pieces."""
    if len(piece) > 2 and (file.parent / "stop").exists():
        raise RuntimeError(f"stopped at {piece}")
    file.write_text(str(len(piece)))


@pytest.mark.parametrize("processes", [1, 2])
def test_work_goes_on_where_it_failed(tmp_path: Path, processes: int, capsys: pytest.CaptureFixture[str]) -> None:
    pieces = ["a", "bb", "ccc", "dddd"]
    (tmp_path / "stop").touch()
    with pytest.raises(RuntimeError, match="stopped at ccc"):
        finish(write_length, pieces, tmp_path, "count", 1)
    (tmp_path / "stop").unlink()
    (tmp_path / "000000").write_text("kept")
    files = finish(write_length, pieces, tmp_path, "count", processes)
    assert [file.read_text() for file in files] == ["kept", "2", "3", "4"]
    assert "count: goes on after 3 of 10 photos" in capsys.readouterr().err


def test_a_failure_in_another_process_is_raised(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    with pytest.raises(RuntimeError, match="stopped at "):
        finish(write_length, ["aaa", "bbb", "ccc"], tmp_path, "count", 2)


def test_a_broken_photo_is_named_from_another_process(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no photo")
    pieces = [dataset._Piece(tmp_path, ("a.png",), 16)] * 2
    with pytest.raises(ImageError, match=r"^a\.png: ") as raised:
        finish(dataset._prepare_piece, pieces, tmp_path, "prepare", 2)
    assert raised.value.name == "a.png" and raised.value.reason in str(raised.value)


def test_unfinished_work_is_kept_for_its_key_alone(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with pytest.raises(KeyboardInterrupt), unfinished(target, "one") as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), unfinished(target, "one") as folder:
        assert (folder / "half").exists()
        raise KeyboardInterrupt
    with unfinished(target, "two") as folder:
        assert list(folder.iterdir()) == []
        assert [path.name for path in folder.parent.iterdir()] == [folder.name], "what another key left is removed"
    assert list(tmp_path.iterdir()) == [], "nothing is left of finished work"


def test_other_code_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "result", "one") as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    monkeypatch.setattr(work, "_code_sha256", lambda: "edited")
    with unfinished(tmp_path / "result", "one") as folder:
        assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("small_pieces")
def test_any_number_of_processes_gives_equal_bytes(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", range(23))
    shutil.copy(tmp_path / "photos" / "003.png", tmp_path / "photos" / "repeated.png")
    found = []
    for processes in (1, 2):
        kept, raw, prepared = (tmp_path / f"{name}{processes}" for name in ("kept", "raw", "prepared"))
        for folder in (kept, kept / "squares", raw, prepared):
            folder.mkdir()
        sources = [open_source(source_of(tmp_path / "photos"))]
        index, rejected = collection.collect_photos(sources, kept, raw, processes)
        assert (len(index), list(rejected["name"])) == (23, ["repeated.png"])
        dataset.write_dataset(
            index, raw, kept / "squares", prepared, SETTINGS, Assignments(tmp_path / "splits"), processes
        )
        found.append((digests(raw), digests(prepared), index.to_csv(), rejected.to_csv()))
    assert found[0] == found[1]


@pytest.mark.usefixtures("small_pieces")
def test_an_interrupted_ingest_reads_no_photo_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path / "photos", range(14))
    ingest([open_source(source_of(tmp_path / "photos"))], tmp_path / "whole")
    monkeypatch.setattr(work, "_cores", lambda: 1)
    inspect, seen = collection._inspect_piece, []

    def interrupted(piece: "collection._Piece", file: Path) -> None:
        seen.extend(piece.names)
        inspect(piece, file)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collection, "_inspect_piece", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest([open_source(source_of(tmp_path / "photos"))], tmp_path / "raw")
        assert not (tmp_path / "raw").exists(), "the folder appears as a whole"
        ingest([open_source(source_of(tmp_path / "photos"))], tmp_path / "raw")
    assert len(seen) == len(set(seen)) == 14
    assert digests(tmp_path / "raw") == digests(tmp_path / "whole")


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("change", ["licence", "content"])
def test_a_changed_source_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    photos, raw = tmp_path / "photos", tmp_path / "raw"
    write_photos(photos, range(8))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(collection, "_repetition", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        ingest([open_source(source_of(photos))], raw)
    if change == "content":
        write_photos(photos, range(50, 51))
        (photos / "050.png").replace(photos / "000.png")
    licence = "MIT" if change == "licence" else "CC0"
    index, _ = ingest([open_source(source_of(photos, licence))], raw)
    assert set(index["licence"]) == {licence}
    assert index.loc[0, "sha256"] == hashlib.sha256((photos / "000.png").read_bytes()).hexdigest()


RUN = """
import sys
from pathlib import Path
from huebands.data import work
from huebands.data.params import FolderSource
from huebands.data.sources import open_source
from huebands.stages.ingest import ingest
from huebands.stages.prepare import prepare
sys.path.insert(0, {tests!r})
from data.test_work import SETTINGS, source_of
work.PIECE = 5
if __name__ == "__main__":
    ingest([open_source(source_of(Path("photos")))], Path("raw"))
    prepare(Path("raw"), Path("prepared"), SETTINGS, Path("splits.csv"))
"""


def processes_below(folder: Path) -> list[int]:
    """The processes whose current folder this is."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve(strict=True) == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_prepare_goes_on_and_gives_equal_bytes(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", range(300))
    (tmp_path / "run.py").write_text(RUN.format(tests=str(Path(__file__).parents[1])))
    (tmp_path / "raw").mkdir()
    command = [sys.executable, "run.py"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True)
    waiting = tmp_path / ".prepared.unfinished"
    until = time.monotonic() + 120
    while len(list(waiting.glob("*/0*[0-9]"))) < 3:
        assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "prepared").exists()
    while processes_below(tmp_path):
        assert time.monotonic() < until, "a worker outlives its parent"
        time.sleep(0.05)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert "prepare: goes on after " in again.stderr
    index = pd.read_parquet(tmp_path / "raw" / "index.parquet")
    assert len(index) == 300
    prepare(tmp_path / "raw", tmp_path / "whole", SETTINGS, tmp_path / "whole.csv")
    assert digests(tmp_path / "prepared") == digests(tmp_path / "whole")
    assert not waiting.exists()
