"""SHA-256 of what decides a photo's results."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huebands.colorize.hints import HintRequest


def file_sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def levels_sha256(levels: NDArray[np.uint8]) -> str:
    """Of a picture's size and pixels."""
    return hashlib.sha256(str(levels.shape).encode() + levels.tobytes()).hexdigest()


def hints_sha256(hints: HintRequest) -> str:
    """Of the points, and the file of the picture."""
    picture = hints.picture.read_bytes() if isinstance(hints.picture, Path) else hints.picture or b""
    return hashlib.sha256(repr(hints.points).encode() + picture).hexdigest()
