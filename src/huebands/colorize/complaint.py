"""How the commands report what was wrong: one line on stderr, and an exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path

BAD_INPUT = 2  # the exit code where any input was bad


def complain(error: Exception, photo: Path | None = None) -> int:
    """Say what was wrong in one line on stderr, and give the exit code.

    Args:
        error: a message, or an error of the operating system.
        photo: is named where the error names no file.
    """
    if isinstance(error, OSError):
        name = error.filename or photo
        text = f"{name}: {error.strerror}" if name else str(error)
    else:
        text = str(error)
    print(f"huebands: {' '.join(text.split())}", file=sys.stderr)
    return BAD_INPUT


def expand_photos(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """List the photos of folders and files, and give the exit code; paths without photos are named on stderr."""
    from huebands.colorize.batch import photos_below
    from huebands.photos.errors import ImageError

    photos, code = list[Path](), 0
    for path in paths:
        try:
            photos += photos_below(path)
        except (ImageError, OSError) as error:
            code = complain(error)
    return photos, code
