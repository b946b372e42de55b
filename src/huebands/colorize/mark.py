"""The mark that files of results carry: the software that wrote them and, in pictures, the hash of their pixels.

By it a command tells its own results, which it may write anew, from all other files. A picture that someone has
retouched is no longer a result.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image

from huebands import __version__
from huebands.colorize import xmp
from huebands.photos.formats import open_image
from huebands.photos.metadata import Metadata
from huebands.photos.picture import Levels
from huebands.photos.strips import strips

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
    channels = levels.shape[2:] if alpha_HW is None else (levels.shape[2] + 1,)
    parts = (
        levels[rows] if alpha_HW is None else np.dstack((levels[rows], alpha_HW[rows]))
        for rows in strips(*levels.shape[:2])
    )
    return _hash((*levels.shape[:2], *channels), levels.dtype, parts)


def hash_of_file(file: Path | bytes) -> str:
    """Likewise, of a file's picture.

    Raises:
        Exception: Pillow raises almost any exception on damaged bytes.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
        return _hash_of_opened(open_image(opened), opened)


def is_of_ours(texts: Mapping[Any, Any]) -> bool:
    """Whether texts of a PNG say that this software wrote it."""
    return str(texts.get(_SOFTWARE, "")).startswith(_NAME)


def stated_hash(image: Image.Image) -> str | None:
    """The hash that a file of ours states; None for another file."""
    if is_of_ours(image.info):
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
    file.seek(0)
    if image.mode == "P":
        indices_HW = np.asarray(image)
        return hash_of(indices_HW)
    samples = pyvips.Image.new_from_source(pyvips.Source.new_from_memory(file.read()), "", access="sequential")
    dtype = np.dtype(np.uint16 if samples.format == "ushort" else np.uint8)
    region = pyvips.Region.new(samples)  # whose parts are read in order, one after the other
    parts = (
        np.frombuffer(region.fetch(0, rows.start, samples.width, rows.stop - rows.start), dtype)
        for rows in strips(samples.height, samples.width)
    )
    return _hash((samples.height, samples.width, samples.bands), dtype, parts)


def _hash(shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]) -> str:
    """The size and the hash of samples that come in parts, of some rows each."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    depth = "" if dtype == np.uint8 else f" {dtype}"
    return f"{'x'.join(map(str, shape))}{depth} sha256:{digest.hexdigest()}"
