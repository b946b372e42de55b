"""The mark that files of results carry: the software that wrote them and, in pictures, the hash of their pixels.

By it a command tells its own results, which it may write anew, from all other files. A picture that someone has
retouched is no longer a result.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huebands import __version__

_NAME = "Huebands"
SOFTWARE = f"{_NAME} {__version__}"
VERSION_KEY = "huebands"  # of a report in JSON
# Keywords of texts in a PNG; the specification knows the first one.
_SOFTWARE, _PIXELS = "Software", "Pixels"
_PAGE = f'<meta name="generator" content="{_NAME} '.encode()


def mark_of(levels: NDArray[np.uint8]) -> dict[str, str]:
    """The texts that mark a PNG.

    Args:
        levels: (H, W, 3), or (H, W): grey or the indices of a palette.
    """
    return {_SOFTWARE: SOFTWARE, _PIXELS: _hash(levels)}


def is_result(path: Path) -> bool:
    """Whether a file is a page or a report, or a picture or an archive as written; False where that cannot be read."""
    try:
        if path.suffix == ".json":
            return isinstance(json.loads(path.read_bytes())[VERSION_KEY], str)
        if path.suffix == ".html":
            with path.open("rb") as file:
                return _PAGE in file.read(1000)
        return _is_written_archive(path) if zipfile.is_zipfile(path) else _is_written_picture(path)
    except Exception:  # Pillow and zipfile raise almost any exception on damaged bytes
        return False


def _is_written_archive(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.comment.startswith(_NAME.encode())


def _is_written_picture(path: Path) -> bool:
    with Image.open(path, formats=["PNG"]) as picture:
        if not picture.info.get(_SOFTWARE, "").startswith(_NAME):
            return False
        return picture.info.get(_PIXELS) == _hash(np.asarray(picture))


def _hash(levels: NDArray[np.uint8]) -> str:
    shape = "x".join(map(str, levels.shape))
    return f"{shape} sha256:{hashlib.sha256(np.ascontiguousarray(levels).data).hexdigest()}"
