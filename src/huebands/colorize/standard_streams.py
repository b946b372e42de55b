"""A photo from standard input, and a picture to standard output. Heavy modules are imported when they are needed."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path

SIGN = "-"  # that stands for them on the command line
STDIN = Path("<stdin>")  # in place of the path of a photo, by identity; its name in messages
STDOUT = Path("<stdout>")  # in place of the folder of the results


class StreamError(ValueError):
    """Standard input or output cannot be used as asked; the message says why and what to do."""


def photo_path(text: str) -> Path:
    """Read the path of a photo, or the sign of standard input; `./-` is a file of that name."""
    return STDIN if text == SIGN else Path(text)


def output_path(text: str) -> Path:
    """Read the path of a folder, or the sign of standard output."""
    return STDOUT if text == SIGN else Path(text)


@contextmanager
def standard_input(photos: Sequence[Path]) -> Iterator[Path | None]:
    """Keep a photo from standard input in a temporary file while the block runs; None where it is not asked for.

    Raises:
        StreamError: when it is asked for twice, or closed, or there is no room for it.
    """
    count = sum(photo is STDIN for photo in photos)
    if count > 1:
        raise StreamError(f"{SIGN}: standard input holds one photo, and is given {count} times")
    if not count:
        yield None
        return
    if sys.stdin is None:
        raise StreamError(f"{SIGN}: standard input is closed; send a photo to it")
    with ExitStack() as stack:
        try:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="huebands-")), "stdin")
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        except OSError as error:
            raise StreamError(f"{SIGN}: standard input cannot be kept in a temporary file: {error}") from error
        yield path


def picture_to_standard_output(options: argparse.Namespace, run: Callable[[Path], int]) -> int:
    """Write the picture of one photo to standard output, and what is told to standard error; gives the exit code.

    Args:
        options: of the command.
        run: the command itself, with the folder of the results; its lines name no file there.

    Raises:
        StreamError: when other files are asked for too, or standard output is a terminal or closed.
        OSError: without a file's name, when the picture cannot be written.
    """
    from huebands.colorize.manifest import Manifest

    for name in ("samples", "show-uncertainty", "report"):
        if getattr(options, name.replace("-", "_")):
            raise StreamError(f"--output {SIGN}: gives one picture, and --{name} needs a folder; name one by --output")
    if sys.stdout is None or sys.stdout.isatty():
        kind = "closed" if sys.stdout is None else "a terminal"
        raise StreamError(f"--output {SIGN}: standard output is {kind}; send it into a file or to a program")
    with tempfile.TemporaryDirectory(prefix="huebands-") as folder:
        with redirect_stdout(sys.stderr):
            code = run(Path(folder))
        lines = Manifest.read(Path(folder)).lines.values()
        pictures = [Path(folder, line["files"][0]).read_bytes() for line in lines if line["files"]]
    for picture in pictures:
        sys.stdout.buffer.write(picture)
    return code
