"""Files and folders are replaced as a whole or stay as they were, wherever the writing ends."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from huebands.files import atomic

SOURCES = Path(__file__).parents[2] / "src/huebands"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail(error: BaseException) -> Callable[..., None]:
    def failing(*arguments: object, **options: object) -> None:
        raise error

    return failing


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A folder that is to be replaced, alone in its parent."""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"old a")
    (folder / "inner/b").write_bytes(b"old b")
    return folder


def replace(folder: Path) -> None:
    with atomic.replace_folder(folder) as new_folder:
        (new_folder / "a").write_bytes(b"new a")
        (new_folder / "c").write_bytes(b"new c")


NEW = {"folder/a": b"new a", "folder/c": b"new c"}
OLD = {"folder/a": b"old a", "folder/inner/b": b"old b"}


class TestFile:
    def test_bytes_and_text_are_written_as_they_are(self, tmp_path: Path) -> None:
        atomic.write_bytes(tmp_path / "bytes", b"\0\r\n")
        atomic.write_text(tmp_path / "text", "é\r\n")
        with atomic.writing(tmp_path / "handle") as file:
            file.write(b"ab")
            file.seek(0)
            file.write(b"c")
        assert contents(tmp_path) == {"bytes": b"\0\r\n", "text": "é\r\n".encode(), "handle": b"cb"}

    def test_a_reader_never_sees_a_partial_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        with path.open("rb") as open_before, atomic.writing(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        with path.open("rb") as open_before:
            atomic.write_bytes(path, b"newer")
            assert open_before.read() == b"new"

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    @pytest.mark.parametrize("error_type", [OSError, KeyboardInterrupt])
    def test_a_failure_leaves_the_old_content_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error_type: type[BaseException]
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, call, fail(error_type(errno.ENOSPC, "No space left on device")))
        with pytest.raises(error_type) as failed:
            atomic.write_bytes(path, b"new")
        assert contents(tmp_path) == {"file": b"old"}
        if error_type is OSError:
            assert str(path) in str(failed.value)

    def test_a_full_disk_leaves_the_old_content_and_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        script = """
            import resource, signal, sys
            from pathlib import Path
            from huebands.files import atomic

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            atomic.write_bytes(Path(sys.argv[1]), b"new" * 10_000)
        """
        process = run(script, path)
        assert process.returncode == 1
        assert f"File too large: '{path}'" in process.stderr
        assert contents(tmp_path) == {"file": b"old"}

    def test_an_error_about_a_missing_folder_names_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=rf"'{tmp_path}/none/file'"):
            atomic.write_bytes(tmp_path / "none/file", b"")

    def test_a_file_has_the_mode_of_any_new_file(self, tmp_path: Path) -> None:
        old_mask = os.umask(0o027)
        try:
            atomic.write_bytes(tmp_path / "file", b"")
            replace(tmp_path / "folder")
        finally:
            os.umask(old_mask)
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
        assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750

    def test_a_link_is_replaced_and_its_target_is_not_written(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"of somebody")
        (tmp_path / "link").symlink_to(tmp_path / "target")
        atomic.write_bytes(tmp_path / "link", b"new")
        assert not (tmp_path / "link").is_symlink()
        assert contents(tmp_path) == {"target": b"of somebody", "link": b"new"}

    def test_links_in_place_of_partial_files_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"of somebody")
        (tmp_path / ".huebands-0.partial").symlink_to(tmp_path / "target")
        os.link(tmp_path / "target", tmp_path / ".huebands-1.partial")
        atomic.write_bytes(tmp_path / "file", b"new")
        assert (tmp_path / "target").read_bytes() == b"of somebody"
        assert (tmp_path / "file").read_bytes() == b"new"

    def test_simultaneous_writers_each_write_a_complete_file(self, tmp_path: Path) -> None:
        path, contents_written = tmp_path / "file", [bytes([number]) * 200_000 for number in range(8)]

        def write(content: bytes) -> None:
            for _ in range(10):
                atomic.write_bytes(path, content)

        threads = [threading.Thread(target=write, args=(content,), daemon=True) for content in contents_written]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 60
        while any(thread.is_alive() for thread in threads):
            assert time.monotonic() < end, "the writers wait for one another"
            assert not path.exists() or path.read_bytes() in contents_written
        for thread in threads:
            thread.join()
        assert list(contents(tmp_path)) == ["file"]


class TestFolder:
    def test_a_folder_is_replaced_with_everything_in_it(self, old_folder: Path, tmp_path: Path) -> None:
        replace(old_folder)
        assert contents(tmp_path) == NEW
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    def test_a_missing_folder_is_made_with_those_above_it(self, tmp_path: Path) -> None:
        replace(tmp_path / "up/folder")
        assert contents(tmp_path) == {f"up/{name}": content for name, content in NEW.items()}

    def test_a_link_to_a_folder_is_replaced_and_its_target_stays(self, old_folder: Path, tmp_path: Path) -> None:
        target = old_folder.rename(tmp_path / "target")
        old_folder.symlink_to(target)
        replace(old_folder)
        assert not old_folder.is_symlink()
        targets = {name.replace("folder", "target"): content for name, content in OLD.items()}
        assert contents(tmp_path) == NEW | targets

    def test_an_error_in_the_block_leaves_the_old_folder(self, old_folder: Path, tmp_path: Path) -> None:
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), atomic.replace_folder(old_folder) as new_folder:
                (new_folder / "a").write_bytes(b"half")
                raise error
        assert contents(tmp_path) == OLD
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    @pytest.mark.parametrize("step", [0, 1, 2])
    def test_a_failing_rename_leaves_the_old_folder(
        self, old_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
    ) -> None:
        rename, steps = Path.rename, iter(range(9))

        def failing(path: Path, target: Path) -> Path:
            if next(steps) == step:
                raise OSError(errno.EIO, "Input/output error", str(path))
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", failing)
            with pytest.raises(OSError, match=r"Input/output error: '.*/folder'|\.replaced'"):
                replace(old_folder)
        assert contents(tmp_path) == OLD
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]
        replace(old_folder)
        assert contents(tmp_path) == NEW
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    def test_the_old_folder_stays_where_unless_is_true(self, old_folder: Path, tmp_path: Path) -> None:
        with atomic.replace_folder(old_folder, unless=lambda: (old_folder / "a").exists()) as new_folder:
            (new_folder / "a").write_bytes(b"new")
        assert contents(tmp_path) == OLD
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    def test_a_copy_replaces_what_was_there(self, old_folder: Path, tmp_path: Path) -> None:
        replace(tmp_path / "other")
        atomic.copy_folder(old_folder, tmp_path / "other")
        assert contents(tmp_path / "other") == contents(old_folder)


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class TestKill:
    """Processes that are killed before they can tidy up."""

    def test_a_killed_writer_leaves_the_old_content_and_the_next_one_tidies_up(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        script = """
            import os, signal, sys
            from pathlib import Path
            from huebands.files import atomic

            with atomic.writing(Path(sys.argv[1])) as file:
                file.write(b"half")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        """
        for _ in range(2):
            assert run(script, path).returncode == -signal.SIGKILL
        assert path.read_bytes() == b"old"
        assert len(contents(tmp_path)) == 2, "the second writer removes the partial file of the first"
        atomic.write_bytes(tmp_path / "another", b"new")
        assert contents(tmp_path) == {"file": b"old", "another": b"new"}

    def test_the_partial_files_of_a_living_writer_stay(self, tmp_path: Path) -> None:
        with atomic.writing(tmp_path / "first") as first, atomic.replace_folder(tmp_path / "second") as second:
            script = """
                import sys
                from pathlib import Path
                from huebands.files import atomic

                atomic.write_bytes(Path(sys.argv[1]) / "third", b"3")
                with atomic.replace_folder(Path(sys.argv[1]) / "fourth") as new_folder:
                    (new_folder / "file").write_bytes(b"4")
            """
            assert run(script, tmp_path).returncode == 0
            first.write(b"1")
            (second / "file").write_bytes(b"2")
        expected = {"first": b"1", "second/file": b"2", "third": b"3", "fourth/file": b"4"}
        assert contents(tmp_path) == expected

    @pytest.mark.parametrize("renames", [0, 1, 2, 3])
    def test_a_folder_whose_replacement_was_killed_is_complete(
        self, old_folder: Path, tmp_path: Path, renames: int
    ) -> None:
        script = """
            import os, signal, sys
            from pathlib import Path
            from huebands.files import atomic

            folder, renames_left, rename = Path(sys.argv[1]), int(sys.argv[2]), Path.rename

            def counted(path, target):
                global renames_left
                if renames_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                renames_left -= 1
                return rename(path, target)

            Path.rename = counted
            atomic.shutil.rmtree = lambda path: os.kill(os.getpid(), signal.SIGKILL)
            with atomic.replace_folder(folder) as new_folder:
                (new_folder / "a").write_bytes(b"new a")
                (new_folder / "c").write_bytes(b"new c")
        """
        assert run(script, old_folder, renames).returncode == -signal.SIGKILL
        atomic.settle(old_folder)
        assert contents(old_folder) == contents_of(NEW if renames > 1 else OLD)
        replace(old_folder)
        assert contents(tmp_path) == NEW
        assert [path.name for path in tmp_path.iterdir()] == ["folder"], "nothing is left behind"

    def test_settling_waits_for_a_living_writer(self, old_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = threading.Thread(target=atomic.settle, args=(old_folder,), daemon=True)
        rename = Path.rename

        def slow(path: Path, target: Path) -> Path:
            result = rename(path, target)
            if target.name == ".folder.replaced":
                reader.start()
                reader.join(0.2)
                assert reader.is_alive(), "it must not bring the old folder back"
            return result

        monkeypatch.setattr(Path, "rename", slow)
        replace(old_folder)
        reader.join(60)
        assert not reader.is_alive(), "the writer has ended"
        assert contents(old_folder) == contents_of(NEW)


def contents_of(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix("folder/"): content for name, content in tree.items()}
