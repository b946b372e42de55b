"""Decodes image files to uint8 sRGB (H, W, 3), upright and opaque, or raises an `ImageError` that says why not."""

import io
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from huebands.photos.depth import to_eight_bits
from huebands.photos.errors import ImageError as ImageError
from huebands.photos.icc import to_srgb
from huebands.photos.structure import StructureError, check_structure

MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"))
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SLICE = 1 << 20  # pixels
_opening = threading.Lock()


def read_photo(source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode one photo to upright, opaque sRGB.

    EXIF orientation is applied, an embedded ICC profile is converted to sRGB, transparency is laid on white,
    and grey becomes R = G = B. The format is recognised by content, never by name. 16 bits scale by 1/257; 32-bit
    integers by their type's range; floats must lie in [0, 1].

    Args:
        source: the file's path or its bytes.
        name: name of the photo in errors; the path when left out.
        max_pixels: a header that announces more is refused before decoding.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageError: when the file is missing, empty, no image, of another format, truncated, corrupt, too
            large or has more than one frame; names the photo and the reason.
    """
    if name is None:
        name = "<bytes>" if isinstance(source, bytes) else str(source)
    try:
        if isinstance(source, bytes):
            return _decode(io.BytesIO(source), name, max_pixels)
        if not source.is_file():
            raise ImageError(name, "is not a file" if source.exists() else "no such file")
        with source.open("rb") as file:
            return _decode(file, name, max_pixels)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(name, f"is not an image of a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise ImageError(name, f"has more than {max_pixels:,} pixels") from error
    except StructureError as error:
        raise ImageError(name, str(error)) from error
    except MemoryError as error:
        raise ImageError(name, "needs more memory than there is") from error
    except Exception as error:
        # Pillow raises almost any exception on hostile bytes (OSError, SyntaxError, struct.error, ...).
        reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
        raise ImageError(name, f"cannot be read: {reason}") from error


def announced_pixels(content: bytes) -> int:
    """How many pixels the header of an image file announces, without decoding; 0 when it cannot be read."""
    try:
        file = io.BytesIO(content)
        check_structure(file)
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(file, formats=FORMATS).size
        return width * height
    except Exception:  # Pillow raises almost any exception on hostile bytes; `read_photo` gives the reason
        return 0


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """Expand folders to the image files below them, sorted; a file stays as it is, whatever its suffix.

    Raises:
        ImageError: on a path that does not exist.
    """
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES)
            photos.extend(sorted(item for item in below if item.is_file()))
        elif path.exists():
            photos.append(path)
        else:
            raise ImageError(str(path), "no such file or folder")
    return photos


def _decode(file: IO[bytes], name: str, max_pixels: int) -> NDArray[np.uint8]:
    if not file.read(1):
        raise ImageError(name, "is empty")
    check_structure(file)
    # Pillow warns of large or odd headers, which are checked below. Its warning filters are global, hence the lock.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image: Image.Image = Image.open(file, formats=FORMATS)
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageError(name, f"has no pixels ({width} x {height})")
        if width * height > max_pixels:
            raise ImageError(name, f"has {width} x {height} pixels, more than {max_pixels:,}")
        # Many phones and cameras write MPO: one photo, followed by helper pictures.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise ImageError(name, "has more than one frame; give a single picture")
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    image.load()
    if image.format == "TIFF":
        orientation = 1  # Pillow has turned it while loading
    photo = _on_white(to_srgb(*to_eight_bits(image, name), name))
    del image  # a photo of 50 megapixels takes 200 MB in each of its forms
    if orientation in _TRANSPOSE:
        photo = photo.transpose(_TRANSPOSE[orientation])
    return _to_array(photo)


def _to_array(photo: Image.Image) -> NDArray[np.uint8]:
    """Copy RGB pixels slice by slice: Pillow makes an intermediate copy of all that is converted at once."""
    rgb_HW3 = np.empty((photo.height, photo.width, 3), np.uint8)
    rows = max(_SLICE // photo.width, 1)
    for top in range(0, photo.height, rows):
        bottom = min(top + rows, photo.height)
        rgb_HW3[top:bottom] = np.asarray(photo.crop((0, top, photo.width, bottom)))
    return rgb_HW3


def _on_white(layers: tuple[Image.Image, Image.Image | None]) -> Image.Image:
    image, alpha = layers
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
