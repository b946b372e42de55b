"""Files have the same bytes on every system, so that the hashes of DVC and of packages agree."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
AUTHOR = {f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


def git(*words: str, folder: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | AUTHOR
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this tree, with its uncommitted changes, where git writes CRLF unless .gitattributes forbids it."""
    folder = tmp_path_factory.mktemp("ends")
    git("init", "-q", str(folder / "origin"))
    there = ("--git-dir", str(folder / "origin/.git"), "--work-tree", str(ROOT))
    git(*there, "-c", "core.compression=0", "add", "--all")
    git(*there, "commit", "-qm", "tree")
    git("clone", "-q", "-c", "core.autocrlf=true", str(folder / "origin"), str(folder / "clone"))
    return folder / "clone"


def hashes(root: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.md5((root / name).read_bytes(), usedforsecurity=False).hexdigest() for name in names}


def test_a_clone_where_git_writes_crlf_has_the_same_bytes(clone: Path) -> None:
    names = git("ls-files", folder=clone).splitlines()
    assert len(names) > 500
    here, there = hashes(ROOT, names), hashes(clone, names)
    assert [name for name in names if here[name] != there[name]] == []


def test_every_dependency_and_output_of_a_stage_that_git_keeps_has_the_same_hash_there(clone: Path) -> None:
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    entries = [entry["path"] for stage in lock.values() for entry in (*stage["deps"], *stage["outs"])]
    kept = set(git("ls-files", folder=clone).splitlines())
    names = [name for name in kept if any(name == path or name.startswith(f"{path}/") for path in entries)]
    assert {"models/trained/generator.safetensors", "reports/train/history.csv", "src/huebands/color.py"} <= set(names)
    assert hashes(clone, names) == hashes(ROOT, names)


def test_what_is_written_with_crlf_is_committed_with_lf_and_what_programs_write_as_it_is(clone: Path) -> None:
    (clone / "README.md").write_bytes(b"one\r\ntwo\r\n")
    (clone / "reports/evaluate/photos.csv").write_bytes(b"one\r\ntwo\r\n")
    git("add", "README.md", "reports", folder=clone)
    assert git("show", ":README.md", folder=clone) == "one\ntwo\n"
    ends = git("ls-files", "--eol", "reports/evaluate/photos.csv", folder=clone)
    assert ends.split()[:2] == ["i/crlf", "w/crlf"], "its hash is that of the file which the stage wrote"
    git("checkout", "-q", "HEAD", "--", ".", folder=clone)


def test_every_tracked_file_is_text_with_lf_or_a_known_kind_of_binary_file() -> None:
    wrong = []
    for line in git("ls-files", "--eol").splitlines():
        state, name = line.split("\t")
        in_index, _, attributes = state.split(maxsplit=2)
        binary = name.endswith((".jpg", ".npz", ".png", ".safetensors"))
        as_it_is = binary or name.startswith(("models/", "reports/"))
        expected = ("i/-text",) if binary else ("i/lf", "i/none")  # none: no line at all
        allowed = ("attr/-text",) if as_it_is else ("attr/text=auto eol=lf", "attr/text eol=lf")
        if in_index not in expected or attributes.strip() not in allowed:
            wrong.append(line)
    assert wrong == []
