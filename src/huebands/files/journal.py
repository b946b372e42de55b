"""Files that grow by whole lines: each is on the disk before the next, and one that was cut spoils no other."""

import os
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def append_line(path: Path, line: str) -> None:
    """Add a line at the end of a file, which is made if need be, and bring it to the disk.

    Args:
        path: of the file; a link is not followed.
        line: without its end.

    Raises:
        OSError: naming the file; a part of the line may be in it.
    """
    content = f"{line}\n".encode()
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a line that was cut
            content = b"\n" + content
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(descriptor)
