"""Where a model comes from: the commit of the code, the datasets, and parameters as flat names."""

import subprocess
from dataclasses import dataclass
from typing import Any

from huebands.params import DataParams, FolderSource, PackageSource


@dataclass(frozen=True)
class Dataset:
    """Photos that a run has used.

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
    """The commit of the working tree, with "+changes" where it holds more than the commit; "unknown" without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "src", "conf")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted names: {"loss": {"chroma": 1}} to {"loss.chroma": 1}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return result


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
