"""Whether params.yaml was composed from what conf/data says now.

`dvc exp run` and `make params` compose conf/ into params.yaml, while `dvc repro` reads params.yaml as it is. So each
composition records a digest of the data set's file in `data.composed_from`, and the stage ingest, which depends on that
file, refuses to run when the file says something else by then. The file is that of `data.name`. A composition does not
tell which file it has taken, so each file states its own name as `name`, and takes nothing from others.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huebands.data.params import DataParams

CONF = Path("conf/data")
_DIGITS = 16


class CompositionError(ValueError):
    """params.yaml is not what conf/data says now."""


def digest_of(name: str, conf: Path = CONF) -> str:
    """Identify what conf/data/NAME.yaml says, by 16 hexadecimal digits; comments do not count.

    Raises:
        CompositionError: when there is no such file, it is not YAML, it takes values from other files, or another file
            than it gives this name.
    """
    path = conf / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in conf.glob("*.yaml"))) or "there is none"
        raise CompositionError(f"data.name (={name!r}) must be the name of a file in {conf}: {names}")
    values = _read(path)
    if "defaults" in values:
        raise CompositionError(
            f"{path}: `defaults` must be left out: a change of the files that it names would not be seen; copy their"
            " values"
        )
    _check_names(name, conf)
    try:
        text = json.dumps(values, sort_keys=True, default=str)
    except TypeError as error:
        raise CompositionError(f"{path}: its keys must be texts ({error})") from error
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _check_names(name: str, conf: Path) -> None:
    """Check that the file of this name, and no other one, can have given it."""
    for path in sorted(conf.rglob("*.yaml")):
        own = path.relative_to(conf).with_suffix("").as_posix()
        try:
            values = _read(path)
        except CompositionError:
            continue  # Hydra cannot compose it either
        section = values.get("data")
        section = section if isinstance(section, Mapping) else values  # `@package _global_`, or not
        named = section.get("name", name if "defaults" in values else None)
        if (named == name) != (own == name):
            raise CompositionError(
                f"{path}: data.name (={named!r}) must be {own!r}, as the file is called: parameters of files with one"
                " name cannot be told apart"
            )


def _read(path: Path) -> Mapping[str, Any]:
    import yaml  # a machine that only trains may lack it

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise CompositionError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, Mapping):
        raise CompositionError(f"{path}: must be a mapping, such as `name: {path.stem}`")
    return values


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
