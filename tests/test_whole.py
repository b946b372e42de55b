"""Packages, releases, reports and results stay whole, at whatever step their writing is interrupted."""

import ast
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result_files import files_of_result, save
from huebands.comparison import report
from huebands.data.shards import data_sha256
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.package.write import assemble
from huebands.promotion import release
from huebands.stages import prepare
from huebands.training.offsite import import_job
from tiny_package import seal, write_trained
from tiny_photos import LevelScorer, tiny_photo, write_prepared

SOURCES = Path(__file__).parents[1] / "src/huebands"
SETTINGS = params.load(Path(__file__).parents[1] / "params.yaml")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failures(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[], object], steps: Iterable[int] | None = None
) -> Iterator[int]:
    """Write repeatedly, each time with a disk that is full at another step.

    Args:
        monkeypatch: the test's fixture.
        write: the tested function.
        steps: the steps that fail, each in one attempt; by default all. The last attempt does not fail.
    """
    for step in itertools.count() if steps is None else [*steps, -1]:
        count = itertools.count()

        def failing(descriptor: int, step: int = step, count: Iterator[int] = count) -> None:
            if next(count) == step:
                raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            try:
                write()
            except OSError as error:
                assert error.errno == errno.ENOSPC
                yield step
            else:
                break


@pytest.fixture
def parts(tiny_package: Path) -> list[Path]:
    """Folders to assemble `tiny_package` from."""
    return [tiny_package.with_name(f"tiny-{part}") for part in ("trained", "distribution", "calibration")]


SYNCS = 29  # calls of fsync for a package: nine files and their folder, each once more, and the parent folder


def test_a_package_stays_whole_on_a_full_disk(
    tiny_package: Path, parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(tiny_package, tmp_path / "package")
    old, tried_steps = contents(tmp_path), []
    for step in failures(monkeypatch, lambda: assemble(package, *parts, "# New\n"), (0, 9, SYNCS - 2, SYNCS - 1)):
        assert contents(tmp_path) == old
        tried_steps.append(step)
    assert tried_steps == [0, 9, SYNCS - 2, SYNCS - 1], "the last one after the new package took its place"
    assert (package / "MODEL_CARD.md").read_text() == "# New\n"
    assert read_package(package).package_sha256 != read_package(tiny_package).package_sha256
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


KILLED = """
    import itertools, os, signal, sys
    from pathlib import Path
    from huebands.package.write import assemble

    package, *parts = map(Path, sys.argv[1:])
    for step in (0, 9, 27, 28, -1):
        child = os.fork()
        if child == 0:
            steps, fsync = itertools.count(), os.fsync

            def killing(descriptor):
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                fsync(descriptor)

            os.fsync = killing
            assemble(package, *parts, f"# Card {step}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        names = sorted(path.name for path in package.parent.iterdir() if path.name != ".huebands-0.partial")
        print(os.waitstatus_to_exitcode(status), (package / "MODEL_CARD.md").read_text().strip(), *names, sep="|")
"""


def test_a_package_stays_whole_when_its_writer_is_killed(tiny_package: Path, parts: list[Path], tmp_path: Path) -> None:
    package = shutil.copytree(tiny_package, tmp_path / "package")
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(package), *map(str, parts)]
    completed = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True
    )
    lines = [line.split("|") for line in completed.stdout.splitlines()]
    # A writer killed after the renames leaves the new package, and the old one under another name.
    assert lines == [
        *[["-9", "# Tiny", "package"]] * 3,
        ["-9", "# Card 28", ".package.replaced", "package"],
        ["0", "# Card -1", "package"],
    ]
    assert read_package(package).package_sha256 != read_package(tiny_package).package_sha256
    assert [path.name for path in tmp_path.iterdir()] == ["package"], "the last writer has removed it"


def test_a_colorization_stays_whole_on_a_full_disk(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colorizer = Colorizer.load(tiny_package)
    grey = np.arange(600, dtype=np.uint8).reshape(20, 30)
    save(colorizer.colorize(grey), tmp_path, "a")
    old, new = contents(tmp_path), colorizer.colorize(255 - grey)
    expected = {name: {bytes(content), old[name]} for name, content in files_of_result(new, "a")}
    steps = list(failures(monkeypatch, lambda: save(new, tmp_path, "a")))
    assert len(steps) == 6, "each of three files and its folder"
    for name, content in contents(tmp_path).items():
        assert content in expected[name]


@pytest.fixture
def tree(tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a release `tiny` and a newer package to release."""
    write_prepared(tmp_path / "data/prepared", {"val": [tiny_photo(seed) for seed in range(8)]})
    generator = shutil.copytree(tiny_package, tmp_path / "models/generator")
    config = json.loads((generator / "config.json").read_text())
    config["lineage"]["data_sha256"] = data_sha256(tmp_path / "data/prepared")
    (generator / "config.json").write_text(json.dumps(config))
    seal(generator)
    (tmp_path / "reports/train").mkdir(parents=True)
    weights_sha256 = read_package(generator).weights_sha256
    (tmp_path / "reports/train/run.json").write_text(json.dumps({"weights_sha256": weights_sha256}))
    (tmp_path / "reports/train/history.csv").write_text("epoch,seconds\n1,2.5\n")
    monkeypatch.chdir(tmp_path)
    release.release("tiny", LevelScorer())
    (generator / "MODEL_CARD.md").write_text("# Newer\n")
    seal(generator)
    return tmp_path


def test_a_release_stays_whole_on_a_full_disk(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = contents(tree)
    cards, steps = [], (0, SYNCS - 1, SYNCS, SYNCS + 8)
    for _ in failures(monkeypatch, lambda: release.release("tiny", LevelScorer()), steps):
        current = contents(tree)
        assert set(current) == set(old), "no partial files are left"
        read_package(tree / "models/release/tiny")
        json.loads(current["models/release/index.json"])
        cards.append(current["models/release/tiny/MODEL_CARD.md"])
        replaced = cards[-1] != old["models/release/tiny/MODEL_CARD.md"]
        if replaced and current["models/release/index.json"] == old["models/release/index.json"]:
            with pytest.raises(PackageError, match=r"release/tiny: package_sha256 .*; take the folder from its source"):
                release.release("tiny", LevelScorer())
        for path, content in old.items():  # restored, as from git
            (tree / path).write_bytes(content)
    assert cards == [b"# Tiny\n"] * 2 + [b"# Newer\n"] * 2, "the new release stays once it is in place"


def test_imported_results_stay_whole_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_prepared(tmp_path / "data/prepared", {"train": [tiny_photo(0)]})
    for root, seed in ((tmp_path, 0), (tmp_path / "out", 1)):
        package = write_trained(root / "models/trained", seed)
        (root / "reports/train").mkdir(parents=True)
        (root / "reports/train/pictures.png").write_bytes(b"picture %d" % seed)
        (root / "reports/train/run.json").write_text(json.dumps({"weights_sha256": package.weights_sha256}))
        (root / "reports/train/history.csv").write_text(f"epoch,seconds\n{seed},2.5\n")
    monkeypatch.setattr(import_job.shards, "data_sha256", lambda folder: "1" * 64)
    monkeypatch.setattr(import_job, "fingerprint_of", lambda *arguments: "")
    monkeypatch.setattr(import_job.params, "from_mapping", lambda mapping: SETTINGS)
    old, new = (
        {path: contents(folder / path) for path in ("models/trained", "reports/train")}
        for folder in (tmp_path, tmp_path / "out")
    )
    broken = tmp_path / "out/reports/train/broken.png"
    broken.symlink_to("nowhere")
    with pytest.raises(OSError, match=r"broken\.png"):
        import_job.import_job(tmp_path / "out", SETTINGS)
    broken.unlink()
    assert contents(tmp_path / "reports/train") == old["reports/train"]
    for _ in failures(monkeypatch, lambda: import_job.import_job(tmp_path / "out", SETTINGS)):
        for path in old:
            assert contents(tmp_path / path) in (old[path], new[path])
    assert {path: contents(tmp_path / path) for path in new} == new


def test_a_report_stays_whole_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in report.NAMES:
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(report, "WRITERS", dict.fromkeys(report.WRITERS, lambda comparison: "new"))
    monkeypatch.setattr(report.table, "to_json", lambda comparison, hashes: "new")
    steps = list(failures(monkeypatch, lambda: report.write_report(None, tmp_path)))
    assert len(steps) == 2 * len(report.NAMES), "each file and its folder"
    assert set(contents(tmp_path).values()) == {b"new"}


def test_a_killed_prepare_leaves_the_old_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing in place would leave the old manifest beside new shards, which looks like a complete dataset."""
    write_prepared(tmp_path / "prepared", {"train": [tiny_photo(0)]})
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/index.parquet").touch()
    old = contents(tmp_path / "prepared")

    def write_one_shard(index: object, raw: Path, kept: Path, new: Path, *settings: object) -> None:
        (new / "train.npy").write_bytes(b"new")
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "write_dataset", write_one_shard)
    monkeypatch.setattr(prepare.pd, "read_parquet", lambda path: pd.DataFrame())
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(tmp_path / "raw", tmp_path / "prepared", SETTINGS.prepare, tmp_path / "splits.csv")
    assert contents(tmp_path / "prepared") == old


# Modules that write into temporary folders, which no other process reads or which are replaced as a whole.
TEMPORARY = {
    "serving/bento_build.py", "comparison/external.py", "data/shards.py", "fetch/pypi.py", "data/collection.py",
    "training/report.py", "colorize/standard_streams.py",
}  # fmt: skip
WRITING = {
    "write_text", "write_bytes", "savefig", "copytree", "copyfile", "copy2", "move", "savez", "savez_compressed",
    "save_file", "open_memmap",
}  # fmt: skip
HANDLES = ("buffer", "file")  # names of buffers in memory, and of files that the atomic writer has opened


def writes_by_itself(node: ast.AST) -> bool:
    """Whether a call writes a file without `huebands.files`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    if node.func.attr in WRITING or (owner, node.func.attr) in (("torch", "save"), ("np", "save"), ("shutil", "copy")):
        to_handle = owner != "shutil" and any(
            isinstance(value, ast.Name) and value.id in HANDLES for value in node.args
        )
        return owner != "atomic" and not to_handle
    if node.func.attr in ("to_csv", "to_parquet"):
        return bool(node.args) and not (isinstance(node.args[0], ast.Name) and node.args[0].id in HANDLES)
    modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return node.func.attr == "open" and any(set(mode) <= set("wbxa+t") and set(mode) & set("wxa") for mode in modes)


def test_every_module_writes_with_huebands_files() -> None:
    writers = set()
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).as_posix()
        if not name.startswith("files/"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            writers |= {name for node in ast.walk(tree) if writes_by_itself(node)}
    assert writers <= TEMPORARY, "write through huebands.files"


def test_git_keeps_every_file_of_a_model_once() -> None:
    checkout = SOURCES.parents[1]
    listing = subprocess.run(["git", "ls-files", "--stage", "models"], cwd=checkout, capture_output=True, text=True)
    paths: dict[str, list[str]] = {}
    for line in listing.stdout.splitlines():
        entry, path = line.split("\t")
        paths.setdefault(entry.split()[1], []).append(path)
    assert any(path.endswith("trained/generator.safetensors") for [path, *_] in paths.values()), listing.stderr
    assert [copies for copies in paths.values() if len(copies) > 1] == []


def test_git_keeps_no_large_file_outside_the_models() -> None:
    checkout = SOURCES.parents[1]
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True)
    tracked = [path for path in listing.stdout.split("\0") if (checkout / path).is_file()]
    large = [path for path in tracked if (checkout / path).stat().st_size > 3_000_000]
    assert large and {path.split("/")[0] for path in large} == {"models"}, large
