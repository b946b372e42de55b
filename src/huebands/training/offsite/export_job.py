"""Exports a training to a machine that only trains: `make bundle` writes bundle.tar.

It holds the code, the parameters as JSON, the training and validation shards, the pinned weights that the parameters
ask for, and train.sh with the command. The box needs Python with torch, torchvision and numpy; it needs no network,
unless the parameters ask for weights that torchvision downloads.
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
from huebands.models.registry import network_class, objective_class
from huebands.package.lineage import git_commit
from huebands.params import ModelParams

PREPARED, BUNDLE, CODE = Path("data/prepared"), Path("bundle.tar"), Path(__file__).parents[2]
_SCRIPT = """\
#!/bin/sh
# Trains here; started again it goes on. LAUNCH="torchrun --nproc-per-node 8" takes 8 processes. Bring out/ home.
cd "$(dirname "$0")"
PYTHONPATH=src exec ${{LAUNCH:-python3}} -m huebands.training --params params.json --data data/prepared --out out \\
    --data-sha256 {data_sha256} --git-commit {git_commit} "$@"
"""


def main() -> None:
    """Write the archive for params.yaml and data/prepared."""
    try:
        write_bundle(BUNDLE, params.load())
    except (params.ParamsError, shards.ShardError, FetchError) as error:
        raise SystemExit(f"bundle: {error}") from error
    print(f"bundle: {BUNDLE}, {BUNDLE.stat().st_size / 1e6:.0f} MB; unpack it there and run ./train.sh")


def write_bundle(path: Path, settings: params.Params) -> None:
    """Write the archive.

    Raises:
        ShardError: when the dataset is not prepared.
        FetchError: when pinned weights cannot be fetched.
    """
    script = _SCRIPT.format(data_sha256=shards.data_sha256(PREPARED), git_commit=git_commit())
    archives = list(archives_of(settings.model))
    with atomic.writing(path) as file, tarfile.open(fileobj=file, mode="w") as bundle:
        for source in sorted(CODE.rglob("*.py")):
            bundle.add(source, Path("src/huebands") / source.relative_to(CODE))
        for split in ("train", "val"):
            bundle.add(PREPARED / f"{split}.npy", f"data/prepared/{split}.npy")
        for archive in archives:
            bundle.add(archive, CACHE / archive.parent.name / archive.name)
        _add_text(bundle, "params.json", json.dumps(asdict(settings), indent=2), 0o644)
        _add_text(bundle, "train.sh", script, 0o755)


def archives_of(model: ModelParams) -> Iterator[Path]:
    """The package archives that hold weights which these parameters ask for, each once."""
    yield from dict.fromkeys(
        (
            *network_class(model.network.name).assets(model.network),
            *objective_class(model.objective.name).assets(model.objective),
        )
    )


def _add_text(bundle: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    bundle.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main()
