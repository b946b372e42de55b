"""The ablation: what each part of the training does (`make ablation`).

conf/ablation.yaml lists the trainings. Each is a queued DVC experiment up to the stage train, in a copy of the tree and
in the same MLflow store. Their generators and data are copied to reports/ablation/, and compared on the validation
split.
"""

import os
import subprocess
import sys
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
    """Train the variants that are missing, and compare all."""
    try:
        variants: dict[str, list[str]] = yaml.safe_load(CONF.read_text(encoding="utf-8"))
        experiments = set(_dvc("exp", "list", "--names-only").split())
        missing = {name: overrides for name, overrides in variants.items() if f"ablation-{name}" not in experiments}
        for name, overrides in missing.items():
            settings = [word for override in (*BASE, *overrides) for word in ("--set-param", override)]
            _dvc("exp", "run", "--queue", "--name", f"ablation-{name}", *settings, "train")
        if missing:
            _dvc("exp", "run", "--run-all", "--jobs", os.environ.get("JOBS", "1"))
        for name in variants:
            take_output(f"ablation-{name}", TRAINED, REPORT / "models" / name)
        data = REPORT / "prepared"  # the dataset of the working tree may be another
        take_output(f"ablation-{next(iter(variants))}", PREPARED, data)
        judge([REPORT / "models" / name for name in variants], data)
    except (AblationError, ValueError, OSError) as error:
        raise SystemExit(f"ablation: {error}") from error


def take_output(experiment: str, output: str, folder: Path) -> None:
    """Copy an output of a DVC experiment, whether git or DVC's cache has it.

    Args:
        experiment: its name.
        output: a folder of the pipeline.
        folder: is replaced as a whole.

    Raises:
        AblationError: when the experiment is missing, ambiguous or without this output; the folder is what it was.
        OSError: likewise, when it cannot be written.
    """
    try:
        with atomic.replace_folder(folder) as new:
            new.rmdir()  # DVC would copy into a folder that is there
            _dvc("get", ".", output, "--rev", experiment, "--out", str(new))
    except AblationError as error:
        raise AblationError(
            f"{experiment}: {output} cannot be taken ({error}); `dvc queue logs {experiment}` shows what failed,"
            f" `dvc exp remove {experiment}` lets it be trained again"
        ) from error


def judge(generators: Sequence[Path], data: Path) -> None:
    """Compare generators on the validation split of the data that trained them.

    Args:
        generators: packages' folders.
        data: a prepared dataset.

    Raises:
        AblationError: when a generator was trained on other data.
        ValueError, OSError: when a package, the data or the report cannot be read or written.
    """
    sha256 = data_sha256(data)
    for folder in generators:
        trained = read_package(folder).config["lineage"]["data_sha256"]
        if trained != sha256:
            raise AblationError(
                f"{folder}: trained on the data {trained[:12]}, while {data} is {sha256[:12]}; run"
                f" `dvc exp remove ablation-{folder.name}` and train it again"
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
    process = subprocess.run([sys.executable, "-m", "dvc", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        command = " ".join(("dvc", *arguments))
        raise AblationError(f"`{command}` failed with exit code {process.returncode}, see its output above")
    return process.stdout


if __name__ == "__main__":
    main()
