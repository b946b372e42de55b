"""Whether params.yaml was composed from what conf/data says now.

`dvc exp run` and `make params` compose conf/ into params.yaml, while `dvc repro` reads params.yaml as it is. So each
composition records a digest of the data set's file in `data.composed_from`, and the stage ingest, which depends on that
file, refuses to run when the file says something else by then.
"""

import hashlib
import json
from pathlib import Path

from huebands.data.params import DataParams

CONF = Path("conf/data")
_DIGITS = 16


class CompositionError(ValueError):
    """params.yaml is not what conf/data says now."""


def digest_of(name: str, conf: Path = CONF) -> str:
    """Identify what conf/data/NAME.yaml says, by 16 hexadecimal digits; comments do not count.

    Raises:
        CompositionError: when there is no such file, or it is not YAML.
    """
    import yaml  # a machine that only trains may lack it

    path = conf / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in conf.glob("*.yaml"))) or "there is none"
        raise CompositionError(f"data.name (={name!r}) must be the name of a file in {conf}: {names}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CompositionError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]


def check_composed(data: DataParams) -> None:
    """Check that params.yaml was composed from what the file of the data set says now.

    Parameters that somebody wrote by hand, for a set that has no file in conf/data, are taken as they are.

    Raises:
        CompositionError: naming the file and the commands that compose.
    """
    path = CONF / f"{data.name}.yaml"
    if not data.composed_from and not path.is_file():
        return
    if digest_of(data.name) != data.composed_from:
        raise CompositionError(
            f"{path} has changed since params.yaml was composed from it: run `dvc exp run -S data={data.name}` with the"
            f" other choices of your experiment, or `make params CHOICES=data={data.name}` and `dvc repro`"
        )
