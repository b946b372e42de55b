"""The program that asks the registry, and that fetches and verifies a version; `registry` runs it.

    python -m huebands.serving.following.registry_process find models:/NAME@ALIAS
    python -m huebands.serving.following.registry_process fetch models:/NAME/VERSION FOLDER

It is a process of its own. So a registry that hangs is given up by ending it, MLflow's client takes no memory between
two looks, and a package that ends the process that loads it does not end the service. It has a low priority.

The answer is one line of JSON on standard output: of "find" the version, of "fetch" nothing, and of a failure its
reason, whether it is lasting, so that trying again soon gives the same, and whether the registry did answer.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huebands.registry.connection import NoAnswerError, TrackingError
from huebands.registry.models import UnsoundVersionError, download_package, find_package, problem_of

_NICENESS = 5  # a third of the processor time of a worker process


class UnfitError(Exception):
    """A package is what was registered, but cannot be served."""


def find(address: str) -> dict[str, Any]:
    """Find the version that an address names now.

    Raises:
        TrackingError: when the registry does not answer, or has none.
    """
    found = find_package(address)
    return {"model": found.model_name, "version": found.version, "package_sha256": found.package_sha256}


def fetch(address: str, folder: str) -> dict[str, Any]:
    """Download a version, load it as a worker process does, colorize a photo with it, and write it to a folder.

    Raises:
        TrackingError: when the registry does not answer, or its files are not those that were registered.
        UnfitError: when the package is not sound, has no calibration, or does not keep what the service promises.
    """
    # Imported here, because torch takes seconds, and "find" needs none of it.
    from huebands.colorize.colorizer import Colorizer
    from huebands.files.manifest import write_folder
    from huebands.package.generator import read_files
    from huebands.package.read import read_package
    from huebands.package.schema import PackageError
    from huebands.serving.served_model import check_default
    from huebands.serving.workers import worker

    package_sha256 = find_package(address).package_sha256
    downloaded = download_package(address)
    try:
        colorizer = Colorizer(read_package(downloaded, package_sha256), address)
        check_default(colorizer)
        worker.prepare(colorizer)
        write_folder(Path(folder), read_files(downloaded, package_sha256))
    except PackageError as error:
        problem = problem_of(error, downloaded, address)
        raise UnfitError(f"{problem}; point the alias at another version") from error
    return {}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {"find": find, "fetch": fetch}


def answer(command: Callable[..., dict[str, Any]], arguments: list[str]) -> dict[str, Any]:
    """Run a command; a failure is an answer too."""
    try:
        return command(*arguments)
    except (TrackingError, UnfitError) as error:
        lasting = isinstance(error, UnsoundVersionError | UnfitError)
        return {"failure": str(error), "lasting": lasting, "answered": not isinstance(error, NoAnswerError)}
    except Exception as error:  # of any library; whether it comes again is unknown
        return {"failure": f"{type(error).__name__}: {error}", "lasting": False, "answered": False}


def _end_with_parent() -> None:
    """End this process when the service does, which holds the other end of standard input."""
    while os.read(0, 1):  # not `sys.stdin`, whose lock would be held when this process ends by itself
        pass
    os._exit(1)


if __name__ == "__main__":
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    print(json.dumps(answer(COMMANDS[sys.argv[1]], sys.argv[2:])), file=answers, flush=True)
