"""Exports a training job to another machine: `make bundle` writes bundle.tar.

The archive holds the code, the parameters as JSON, the training and validation shards, the sources of the training
photos, the pinned weights that the parameters ask for, and train.sh with the command. The other machine needs Python
with torch, torchvision, numpy and safetensors. It needs no network, unless the parameters ask for weights that
torchvision downloads.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from huebands import params
from huebands.data import shards
from huebands.fetch.pypi import CACHE, FetchError
from huebands.files import atomic
from huebands.models.params import ModelParams
from huebands.models.registry import network_class, objective_class
from huebands.package.lineage import git_commit
from huebands.training.__main__ import SOURCES

PREPARED, ARCHIVE, CODE = Path("data/prepared"), Path("bundle.tar"), Path(__file__).parents[2]
_SCRIPT = """\
#!/bin/sh
# Trains on this machine; started again, it continues. LAUNCH="torchrun --nproc-per-node 8" starts 8 processes.
# Copy out/ to the checkout, and import it there: python -m huebands.training.offsite.import_job out
cd "$(dirname "$0")"
PYTHONPATH=src exec ${{LAUNCH:-python3}} -m huebands.training --params params.json --data data/prepared --out out \\
    --data-sha256 {data_sha256} --git-commit {git_commit} "$@"
"""


def main() -> None:
    """Export the training of params.yaml on data/prepared."""
    try:
        export_job(ARCHIVE, params.load())
    except (params.ParamsError, shards.ShardError, FetchError) as error:
        raise SystemExit(f"export: {error}") from error
    print(
        f"export: {ARCHIVE}, {ARCHIVE.stat().st_size / 1e6:.0f} MB; unpack it on the other machine, and run ./train.sh"
    )


def export_job(path: Path, settings: params.Params) -> None:
    """Write the archive.

    Raises:
        ShardError: when the dataset is not prepared.
        FetchError: when pinned weights cannot be fetched.
    """
    script = _SCRIPT.format(data_sha256=shards.data_sha256(PREPARED), git_commit=git_commit())
    weights = list(weight_archives(settings.model))
    sources = shards.read_split(PREPARED, "train")["source"].tolist()
    with atomic.writing(path) as file, tarfile.open(fileobj=file, mode="w") as job:
        for source in sorted(CODE.rglob("*.py")):
            job.add(source, Path("src/huebands") / source.relative_to(CODE))
        for split in ("train", "val"):
            job.add(PREPARED / f"{split}.npy", f"data/prepared/{split}.npy")
        _add_text(job, f"data/prepared/{SOURCES}", json.dumps(sources), 0o644)
        for archive in weights:
            job.add(archive, CACHE / archive.parent.name / archive.name)
        _add_text(job, "params.json", json.dumps(asdict(settings), indent=2), 0o644)
        _add_text(job, "train.sh", script, 0o755)


def weight_archives(model: ModelParams) -> Iterator[Path]:
    """The archives with the pinned weights that the parameters ask for, each once."""
    yield from dict.fromkeys(
        (
            *network_class(model.network.name).assets(model.network),
            *objective_class(model.objective.name).assets(model.objective),
        )
    )


def _add_text(job: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    job.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main()
