"""The mark that files of results carry: the software that wrote them and, in pictures, the hash of their pixels.

By it a command tells its own results, which it may write anew, from all other files. A picture that someone has
retouched is no longer a result.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from huebands import __version__
from huebands.colorize import xmp
from huebands.photos.deep import is_deep, read_deep
from huebands.photos.formats import open_image
from huebands.photos.metadata import Metadata
from huebands.photos.picture import Levels

_NAME = "Huebands"
SOFTWARE = f"{_NAME} {__version__}"
VERSION_KEY = "huebands"  # of a report in JSON
# Keywords of texts in a PNG; the specification knows the first one. The second is a property of XMP too.
_SOFTWARE, PIXELS = "Software", "Pixels"
_PAGE = f'<meta name="generator" content="{_NAME} '.encode()


def mark_of(levels: Levels, alpha_HW: Levels | None = None) -> dict[str, str]:
    """The texts that mark a PNG.

    Args:
        levels: (H, W, 3), or (H, W): grey or the indices of a palette.
        alpha_HW: opacity; None: opaque.
    """
    return {_SOFTWARE: SOFTWARE, PIXELS: hash_of(levels, alpha_HW)}


def hash_of(levels: Levels, alpha_HW: Levels | None = None) -> str:
    """The size of a picture and the hash of its samples as they lie in its file."""
    samples = levels if alpha_HW is None else np.dstack((levels, alpha_HW))
    shape = "x".join(map(str, samples.shape))
    depth = "" if samples.dtype == np.uint8 else f" {samples.dtype}"
    return f"{shape}{depth} sha256:{hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()}"


def hash_of_file(file: Path | bytes) -> str:
    """Likewise, of a file's picture.

    Raises:
        Exception: Pillow raises almost any exception on damaged bytes.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
        return _hash_of_opened(open_image(opened), opened)


def stated_hash(image: Image.Image) -> str | None:
    """The hash that a file of ours states; None for another file."""
    if str(image.info.get(_SOFTWARE, "")).startswith(_NAME):
        stated = image.info.get(PIXELS)
        return None if stated is None else str(stated)
    properties: dict[str, str] = xmp.properties_of(Metadata.of(image).xmp)
    return properties.get(PIXELS)


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
    with path.open("rb") as file:
        image = open_image(file)
        stated = stated_hash(image)
        return stated is not None and stated == _hash_of_opened(image, file)


def _hash_of_opened(image: Image.Image, file: IO[bytes]) -> str:
    if is_deep(image, file):
        return hash_of(*read_deep(image, file, "picture"))
    file.seek(0)
    return hash_of(np.asarray(image))
