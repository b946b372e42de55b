"""Builds a bento of the service with the model package that HUEBANDS_MODEL names inside: `make bento`.

With `--follow` the bento has the registry's client too, with which the service can follow an alias. BentoML is called
by its command line, on a copy of what goes into the bento.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from huebands.files import atomic
from huebands.package.choose import GENERATOR
from huebands.package.read import ModelPackage
from huebands.package.schema import PackageError
from huebands.serving import served_model
from huebands.serving.served_model import ServedModel

_BUILD = Path("build")  # BentoML takes nothing from outside the current folder
_SERVING, _FOLLOWING = "requirements-serve.lock", "requirements-follow.lock"
_FILES = ("bentofile.yaml", _SERVING, "docker/Dockerfile.template")


def main() -> None:
    """Build the bento from the current folder, a checkout; exits with one line when the package is not sound."""
    try:
        chosen = served_model.choose(os.environ.get("HUEBANDS_MODEL") or None)
        package = chosen.load().package
    except PackageError as error:
        sys.exit(f"huebands: {error}")
    chosen = replace(chosen, package_sha256=package.package_sha256)
    labels = _labels(chosen, package)
    environment = {name: value for name, value in os.environ.items() if name != "HUEBANDS_MODEL"}
    _BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_BUILD, prefix="bento-") as context:
        stage(chosen, Path(), Path(context), follows="--follow" in sys.argv[1:])
        build = [sys.executable, "-m", "bentoml", "build", context]
        label = [f"--label={key}={value}" for key, value in labels.items()]
        code = subprocess.call([*build, *label], env=environment | {"BENTOML_DO_NOT_TRACK": "true"})
    sys.exit(code)


def stage(chosen: ServedModel, checkout: Path, context: Path, follows: bool = False) -> None:
    """Copy what goes into the bento.

    Args:
        chosen: the package, and where it came from.
        checkout: checkout of the project.
        context: an empty folder.
        follows: whether the registry's client goes into it.
    """
    for name in _FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, context / name)
    if follows:
        pins = [(checkout / name).read_text(encoding="utf-8") for name in (_SERVING, _FOLLOWING)]
        atomic.write_text(context / _SERVING, "".join(pins))
    shutil.copytree(checkout / "src/huebands", context / "src/huebands", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(chosen.folder, context / GENERATOR)
    inside = replace(chosen, folder=GENERATOR.as_posix())
    atomic.write_text(context / served_model.CHOICE, inside.encode() + "\n")


def _labels(chosen: ServedModel, package: ModelPackage) -> dict[str, str]:
    """The labels of the bento: the version of the package, and its version in the registry."""
    labels = {"version": package.package_sha256[:12]}  # a label has at most 63 characters
    if chosen.version is not None:
        labels["registered"] = f"{chosen.model}.{chosen.version}"
    return labels


if __name__ == "__main__":
    main()
