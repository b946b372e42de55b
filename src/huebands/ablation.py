"""What each part of the training does: `python -m huebands.ablation` trains and compares what conf/ablation.yaml lists.

Each training is a queued DVC experiment over conf/, up to the stage train, in a copy of the tree and in the same MLflow
store. Their generators come to reports/ablation/, where `huebands compare` judges them on the validation split.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from huebands.comparison.command import PREPARED, Request, read_photos, run

CONF, REPORT, TRAINED = Path("conf/ablation.yaml"), Path("reports/ablation"), "models/trained"
BASE = ("data=photos", "train=ablation")


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
        judge(list(variants))
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
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            if (content := tar.extractfile(member)) is not None:
                (folder / Path(member.name).name).write_bytes(content.read())


def judge(names: Sequence[str]) -> None:
    """Compare the generators on the validation split.

    Raises:
        ValueError, OSError: say what was wrong.
    """
    request = Request(
        candidates=["grey", "lightness", *(f"{name}={REPORT / 'models' / name}" for name in names)],
        commands=[],
        timeout=0,
        train=PREPARED,
        output=REPORT,
        experiment="huebands-ablation",
    )
    run(request, read_photos(None, None, "val"), lambda line: print(line, flush=True))


def _dvc(*arguments: str) -> str:
    return _run([sys.executable, "-m", "dvc", *arguments]).decode()


def _run(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise AblationError(f"{' '.join(command)} failed with exit code {done.returncode}; its words stand above")
    return done.stdout


if __name__ == "__main__":
    main()
