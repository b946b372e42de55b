"""DVC experiments by name: those that are missing run, and their outputs are taken."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from huebands.data.shards import data_sha256
from huebands.files import atomic
from huebands.package.read import read_package


class ExperimentError(RuntimeError):
    """An experiment or a comparison of experiments failed."""


def run_missing(experiments: Mapping[str, Sequence[str]], stages: Sequence[str]) -> None:
    """Run the experiments that are missing, in copies of the tree; as many at a time as the variable JOBS says.

    One that has run on an earlier commit counts, and is named: a training takes an hour.

    Args:
        experiments: parameters that differ, such as "model=vae", by name.
        stages: up to which the pipeline runs.

    Raises:
        ExperimentError: when DVC fails.
    """
    present = set(_dvc("exp", "list", "--names-only", "--all-commits").split())
    missing = {name: overrides for name, overrides in experiments.items() if name not in present}
    for name in experiments:
        if name in present:
            print(f"{name} has run; `dvc exp remove {name}` lets it run again", flush=True)
    for name, overrides in missing.items():
        settings = [word for override in overrides for word in ("--set-param", override)]
        _dvc("exp", "run", "--queue", "--name", name, *settings, *stages)
    if missing:
        _dvc("exp", "run", "--run-all", "--jobs", os.environ.get("JOBS", "1"))


def take_output(experiment: str, output: str, folder: Path) -> None:
    """Copy an output of a DVC experiment, whether git or DVC's cache has it.

    Args:
        experiment: its name.
        output: a folder of the pipeline.
        folder: is replaced as a whole.

    Raises:
        ExperimentError: when the experiment is missing, ambiguous or without this output; the folder is what it was.
        OSError: likewise, when it cannot be written.
    """
    try:
        with atomic.replace_folder(folder) as new:
            new.rmdir()  # DVC would copy into a folder that is there
            _dvc("get", ".", output, "--rev", experiment, "--out", str(new))
    except ExperimentError as error:
        raise ExperimentError(
            f"{experiment}: {output} cannot be taken ({error}); `dvc queue logs {experiment}` shows what failed,"
            f" `dvc exp remove {experiment}` lets it be trained again"
        ) from error


def check_data(packages: Mapping[str, Path], data: Path) -> None:
    """Check that packages were trained on the data that they are compared on.

    Args:
        packages: folders, by the names of the experiments that made them.
        data: a prepared dataset.

    Raises:
        ExperimentError: when one was trained on other data.
        PackageError, ShardError: when a package or the data cannot be read.
    """
    sha256 = data_sha256(data)
    for experiment, folder in packages.items():
        trained = read_package(folder).config["lineage"]["data_sha256"]
        if trained != sha256:
            raise ExperimentError(
                f"{folder}: trained on the data {trained[:12]}, while {data} is {sha256[:12]}; run"
                f" `dvc exp remove {experiment}` and train it again"
            )


def _dvc(*arguments: str) -> str:
    process = subprocess.run([sys.executable, "-m", "dvc", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        command = " ".join(("dvc", *arguments))
        raise ExperimentError(f"`{command}` failed with exit code {process.returncode}, see its output above")
    return process.stdout
