"""DVC experiments by name: those that are missing run, and their outputs are taken."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from huebands.data.shards import data_sha256
from huebands.files import atomic
from huebands.package.read import read_package

COPY = Path(".dvc/tmp/exps/missing")  # below the folder whose copies log to this MLflow store, see local_store
LOCAL_CONFIG = Path(".dvc/config.local")


class ExperimentError(RuntimeError):
    """An experiment or a comparison of experiments failed."""


def run_missing(experiments: Mapping[str, Sequence[str]], stages: Sequence[str]) -> None:
    """Run the experiments that are missing, one after another, in one copy of the tree with its uncommitted changes.

    So a stage runs once where parameters and code agree: all families share one density of colours, which git keeps
    and DVC's run cache therefore does not. An encoder's features and the downloads are shared too.

    An experiment that has run on an earlier commit counts, and is named: a training takes an hour.

    Args:
        experiments: parameters that differ, such as "model=vae", by name.
        stages: up to which the pipeline runs.

    Raises:
        ExperimentError: when the copy cannot be made; or when experiments failed, after the others have run.
    """
    present = set(run_dvc("exp", "list", "--names-only", "--all-commits").split())
    missing = {name: overrides for name, overrides in experiments.items() if name not in present}
    for name in experiments:
        if name in present:
            print(f"{name} has run; `dvc exp remove {name}` lets it run again", flush=True)
    if not missing:
        return
    with _copy_of_tree() as copy:
        failed = [name for name, overrides in missing.items() if not _run_experiment(copy, name, overrides, stages)]
    if failed:
        raise ExperimentError(f"{', '.join(failed)} failed, see the output above; the others are kept")


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
            run_dvc("get", ".", output, "--rev", experiment, "--out", str(new))
    except ExperimentError as error:
        raise ExperimentError(
            f"{experiment}: {output} cannot be taken ({error}); `dvc exp remove {experiment}` lets it be trained again"
        ) from error


def run_dvc(*arguments: str, folder: Path = Path()) -> str:
    """Run DVC in a folder, and give what it prints to standard output.

    Raises:
        ExperimentError: when DVC fails; what it says stands on standard error.
    """
    return _output_of("dvc", [sys.executable, "-m", "dvc"], arguments, folder)


def run_git(*arguments: str) -> str:
    """Run git in the current folder, and give what it prints to standard output.

    Raises:
        ExperimentError: when git fails; what it says stands on standard error.
    """
    return _output_of("git", ["git"], arguments, Path())


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


@contextmanager
def _copy_of_tree() -> Iterator[Path]:
    """A worktree with the changes of this one, which shares its experiments and its DVC cache, and is removed."""
    _remove_copy()  # that a killed run left
    changes = run_git("stash", "create").strip()
    run_git("worktree", "add", "--quiet", "--detach", str(COPY))
    try:
        if changes:
            run_git("-C", str(COPY), "stash", "apply", "--quiet", changes)
        if LOCAL_CONFIG.exists():
            atomic.write_bytes(COPY / LOCAL_CONFIG, LOCAL_CONFIG.read_bytes())
        run_dvc("cache", "dir", "--local", run_dvc("cache", "dir").strip(), folder=COPY)
        yield COPY
    finally:
        _remove_copy()


def _remove_copy() -> None:
    if COPY.exists():
        shutil.rmtree(COPY)
    run_git("worktree", "prune")


def _run_experiment(copy: Path, name: str, overrides: Sequence[str], stages: Sequence[str]) -> bool:
    settings = [word for override in overrides for word in ("--set-param", override)]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--name", name, *settings, *stages]
    return subprocess.run(command, cwd=copy, check=False).returncode == 0


def _output_of(name: str, program: Sequence[str], arguments: Sequence[str], folder: Path) -> str:
    process = subprocess.run([*program, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        command = " ".join((name, *arguments))
        raise ExperimentError(f"`{command}` failed with exit code {process.returncode}, see its output above")
    return process.stdout
