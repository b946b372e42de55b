"""Where a model comes from: the commit of the code, the datasets, and parameters as flat names."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.params import DataParams, FolderSource, PackageSource
from huebands.registry import local_store

# What decides a result, beside the data, which have a hash of their own.
_DECIDES = ("src", "conf", "params.yaml", "dvc.yaml", "pyproject.toml", "requirements.lock")


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
    """The commit of the current folder, with "+changes" where what decides a result differs; "unknown" without git.

    A file that git neither tracks nor ignores counts as a change.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=all", "--", *_DECIDES)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def experiment() -> str | None:
    """The name of the DVC experiment that runs this program, None outside experiments.

    DVC tells it to each stage of `dvc exp run`, in the workspace and in copies below `.dvc/tmp/exps` alike. A program
    that somebody starts in such a copy belongs to the experiment as well.
    """
    here = Path.cwd()
    name = os.environ.get("DVC_EXP_NAME")
    return name or (here.name if local_store.home(here) != here else None)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted names: {"loss": {"chroma": 1}} to {"loss.chroma": 1}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return result


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
