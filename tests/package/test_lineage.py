"""Where a result comes from: the commit, and changes of the files that decide a result."""

import subprocess
from pathlib import Path

import pytest

from huebands.package import lineage


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean checkout with one file of each kind, as the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("src/huebands/color.py", "conf/config.yaml", "params.yaml", "dvc.yaml", "requirements.lock", "README"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n")
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "all")
    return tmp_path


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_a_clean_tree_is_its_commit(checkout: Path) -> None:
    assert lineage.git_commit() == git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name",
    [
        "src/huebands/color.py", "conf/config.yaml", "params.yaml", "dvc.yaml", "requirements.lock",
        "src/huebands/new.py", "conf/train/new.yaml", "pyproject.toml",
    ],
)  # fmt: skip
def test_a_file_that_decides_a_result_is_a_change_tracked_or_not(checkout: Path, name: str) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text("2\n")
    assert lineage.git_commit() == git("rev-parse", "HEAD") + "+changes"


@pytest.mark.parametrize("name", ["README", "notes.txt", "src/huebands/__pycache__/color.pyc", "reports/metrics.json"])
def test_other_files_are_no_change(checkout: Path, name: str) -> None:
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("2\n")
    assert lineage.git_commit() == git("rev-parse", "HEAD")


def test_a_removed_file_is_a_change(checkout: Path) -> None:
    (checkout / "conf/config.yaml").unlink()
    assert lineage.git_commit().endswith("+changes")


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert lineage.git_commit() == "unknown"
