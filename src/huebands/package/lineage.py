"""Where a result comes from: the commit of the code and the datasets."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.data.params import DataParams, FolderSource, PackageSource

# Files that decide a result; the data are not among them, because they have a hash of their own.
_DECIDES = ("src", "conf", "params.yaml", "dvc.yaml", "pyproject.toml", "requirements.lock")


@dataclass(frozen=True)
class Dataset:
    """Photos that a run used.

    Attributes:
        name: such as "paintings train".
        digest: sha256 that identifies them.
        source: where they come from, for people.
        context: "training", "validation", "calibration" or "evaluation".
    """

    name: str
    digest: str
    source: str
    context: str

    @property
    def split(self) -> str:
        """The last word of the name."""
        return self.name.rpartition(" ")[2]


def dataset(data: DataParams, data_sha256: str, split: str, context: str) -> Dataset:
    """Name a split of the prepared dataset."""
    origins = (
        source.requirement
        if isinstance(source, PackageSource)
        else source.path
        if isinstance(source, FolderSource)
        else f"{source.url}@{source.revision}"
        for source in data.sources
    )
    return Dataset(f"{data.name} {split}", data_sha256, ", ".join(origins), context)


def git_commit() -> str:
    """The commit of the current folder, with "+changes" where files that decide a result differ; "unknown" without git.

    A file that git neither tracks nor ignores counts as a change.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=all", "--", *_DECIDES)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def registration_tags(data_sha256: str) -> dict[str, Any]:
    """The tags of a registration: the code, the pipeline's lock and the data that it was made from.

    Args:
        data_sha256: hash of the prepared dataset.
    """
    commit, _, changes = git_commit().partition("+")
    lock = Path("dvc.lock")
    return {
        "register.git_commit": commit,
        "register.git_dirty": bool(changes),
        "register.dvc_lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none",
        "register.data_sha256": data_sha256,
    }


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
