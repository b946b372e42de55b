"""What each part of the training does: trains and compares what conf/ablation.yaml lists (`make ablation`).

Each training is a queued DVC experiment over conf/, up to the stage train, in a copy of the tree and in the same MLflow
store. Their generators and data come to reports/ablation/, where they are compared on the validation split.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from huebands.comparison.command import Request, run
from huebands.comparison.own_photos import read_prepared
from huebands.data.shards import data_sha256
from huebands.files import atomic
from huebands.package.read import read_package

CONF, REPORT = Path("conf/ablation.yaml"), Path("reports/ablation")
TRAINED, PREPARED = "models/trained", "data/prepared"
BASE = ("experiment=ablation",)


class AblationError(RuntimeError):
    """A training or a comparison failed."""


def main() -> None:
    """Train what is missing, compare all."""
    try:
        variants: dict[str, list[str]] = yaml.safe_load(CONF.read_text(encoding="utf-8"))
        known = set(_dvc("exp", "list", "--names-only").split())
        missing = {name: overrides for name, overrides in variants.items() if f"ablation-{name}" not in known}
        for name, overrides in missing.items():
            settings = [part for override in (*BASE, *overrides) for part in ("--set-param", override)]
            _dvc("exp", "run", "--queue", "--name", f"ablation-{name}", *settings, "train")
        if missing:
            _dvc("exp", "run", "--run-all", "--jobs", os.environ.get("JOBS", "1"))
        for name in variants:
            take_generator(f"ablation-{name}", REPORT / "models" / name)
        data = REPORT / "prepared"  # the tree's own dataset may be another
        _dvc("get", ".", PREPARED, "--rev", f"ablation-{next(iter(variants))}", "--out", str(data), "--force")
        judge([REPORT / "models" / name for name in variants], data)
    except (AblationError, ValueError, OSError) as error:
        raise SystemExit(f"ablation: {error}") from error


def take_generator(experiment: str, folder: Path) -> None:
    """Take an experiment's generator out of git.

    Raises:
        AblationError: when it has none.
    """
    listed = _run(["git", "for-each-ref", "--format=%(refname)", f"refs/exps/**/{experiment}"]).decode().split()
    if len(listed) != 1:
        raise AblationError(
            f"{len(listed)} experiments are called {experiment}, need one: `dvc queue logs {experiment}` says what"
            f" failed, `dvc exp remove {experiment}` takes one away"
        )
    archive = _run(["git", "archive", "--format=tar", listed[0], TRAINED])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar, atomic.replace_folder(folder) as new:
        for member in tar.getmembers():
            if (content := tar.extractfile(member)) is not None:
                atomic.write_bytes(new / Path(member.name).name, content.read())


def judge(generators: Sequence[Path], data: Path) -> None:
    """Compare generators on the validation split of the data that trained them.

    Args:
        generators: packages' folders.
        data: a prepared dataset.

    Raises:
        AblationError: when a generator has learned from other data.
        ValueError, OSError: say what else was wrong.
    """
    sha256 = data_sha256(data)
    for folder in generators:
        if (own := read_package(folder).config["lineage"]["data_sha256"]) != sha256:
            raise AblationError(
                f"{folder}: trained on the data {own[:12]}, while {data} is {sha256[:12]}; run"
                f" `dvc exp remove ablation-{folder.name}` and train it anew"
            )
    request = Request(
        candidates=["grey", "lightness", *(f"{folder.name}={folder}" for folder in generators)],
        commands=[],
        timeout=0,
        train=data,
        output=REPORT,
        experiment="huebands-ablation",
    )
    run(request, read_prepared(data, "val"), lambda line: print(line, flush=True))


def _dvc(*arguments: str) -> str:
    return _run([sys.executable, "-m", "dvc", *arguments]).decode()


def _run(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise AblationError(f"{' '.join(command)} failed with exit code {done.returncode}; its words stand above")
    return done.stdout


if __name__ == "__main__":
    main()
