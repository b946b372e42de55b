"""How the commands report what was wrong: one line on stderr, and an exit code."""

import sys
from pathlib import Path

BAD_INPUT = 2  # the exit code where any input was bad
INTERRUPTED = 130  # the exit code after Ctrl-C, as shells give it


def complain(error: Exception, photo: Path | None = None, addition: str = "") -> int:
    """Say what was wrong in one line on stderr, and give the exit code.

    Args:
        error: a message, or an error of the operating system.
        photo: is named where the error names no file.
        addition: follows at the end of the line.
    """
    if isinstance(error, OSError):
        name = error.filename or photo
        text = f"{name}: {error.strerror}" if name else str(error)
    else:
        text = str(error)
    print(f"huebands: {printable(' '.join(text.split()))}{addition}", file=sys.stderr)
    return BAD_INPUT


def printable(text: object) -> str:
    """Text for a terminal: characters that control it, such as those of a file's name, are written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )
