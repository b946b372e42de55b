"""Whether a DVC experiment runs this program."""

import os
from pathlib import Path

from huebands.registry import local_store


def experiment_name() -> str | None:
    """The name of the DVC experiment that runs this program, None outside experiments.

    DVC gives it to each stage of `dvc exp run`, in the workspace and in copies below `.dvc/tmp/exps` alike. A program
    that somebody starts in such a copy belongs to the experiment as well.
    """
    folder = Path.cwd()
    name = os.environ.get("DVC_EXP_NAME")
    return name or (folder.name if local_store.home(folder) != folder else None)
