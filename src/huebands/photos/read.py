"""Decodes image files to sRGB at their own depth, upright, or raises an `ImageError` that says why not."""

import io
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from huebands.photos.deep import is_deep, read_deep, read_lab
from huebands.photos.depth import deep_grey, is_deep_grey, to_eight_bits
from huebands.photos.errors import ImageError as ImageError
from huebands.photos.formats import FORMATS, go_to, open_image, orientation, pages
from huebands.photos.icc import deep_to_srgb, from_gamma, to_srgb
from huebands.photos.limits import pixel_limit, refusal
from huebands.photos.picture import Levels, Picture
from huebands.photos.strips import strips
from huebands.photos.structure import StructureError


def read_photo(source: Path | bytes, name: str | None = None, max_pixels: int | None = None) -> NDArray[np.uint8]:
    """Decode one photo to upright, opaque sRGB, uint8 (H, W, 3); see `read_picture`.

    Transparency is laid on white, and grey becomes R = G = B. 16 bits scale by 1/257.

    Raises:
        ImageError: see `read_picture`; so does PixelLimitError.
    """
    return read_picture(source, name, max_pixels).on_white()


def read_picture(
    source: Path | bytes, name: str | None = None, max_pixels: int | None = None, page: int | None = None
) -> Picture:
    """Decode one photo at the depth of its file.

    EXIF orientation is applied, and an embedded ICC profile or a PNG's gamma is converted to sRGB. The format is
    recognised by content, never by name. 32-bit integers scale by their type's range; floats must lie in [0, 1].

    Args:
        source: the file's path or its bytes.
        name: name of the photo in errors; the path when left out.
        max_pixels: a header that announces more is refused before decoding. None: see `limits.pixel_limit`.
        page: of a TIFF, from 1; None: the only one. Smaller copies that it holds do not count.

    Raises:
        ImageError: when the file is missing, empty, no image, of another format, truncated, corrupt, too large, has
            several pages of which none is chosen, has no such page, or is animated; names the photo and the reason.
        PixelLimitError: when the environment's limit is no number.
    """
    if name is None:
        name = "<bytes>" if isinstance(source, bytes) else str(source)
    max_pixels = pixel_limit() if max_pixels is None else max_pixels
    try:
        if isinstance(source, bytes):
            return _decode(io.BytesIO(source), name, max_pixels, page)
        if not source.is_file():
            raise ImageError(name, "is not a file" if source.exists() else "no such file")
        with source.open("rb") as file:
            return _decode(file, name, max_pixels, page)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(name, f"is not an image of a known format ({', '.join(FORMATS)})") from error
    except StructureError as error:
        raise ImageError(name, str(error)) from error
    except MemoryError as error:
        raise ImageError(name, "needs more memory than there is") from error
    except Exception as error:
        # Pillow raises almost any exception on hostile bytes (OSError, SyntaxError, struct.error, ...).
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise ImageError(name, f"cannot be read: {reason}") from error


def announced_pixels(content: bytes) -> int:
    """How many pixels the header of an image file announces, without decoding; 0 when it cannot be read."""
    try:
        width, height = open_image(io.BytesIO(content)).size
        return width * height
    except Exception:  # Pillow raises almost any exception on hostile bytes; `read_photo` gives the reason
        return 0


def _decode(file: IO[bytes], name: str, max_pixels: int, page: int | None) -> Picture:
    if not file.read(1):
        raise ImageError(name, "is empty")
    image = open_image(file)
    _choose_page(image, name, page)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(name, f"has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageError(name, refusal(width, height, max_pixels))
    turn, file_format = orientation(image), image.format or ""
    levels: Levels
    alpha: Levels | None
    profile = image.info.get("icc_profile") or None
    if is_deep(image, file):
        levels, alpha = read_deep(image, file, name)
    else:
        file.seek(0)
        image.load()
        if file_format == "TIFF":
            turn = 1  # Pillow has turned it while loading
        if is_deep_grey(image):
            levels, alpha = deep_grey(image, name)
        elif image.mode == "LAB":
            levels, alpha = read_lab(image), None
        else:
            photo, opacity = to_eight_bits(image, name)
            photo = to_srgb(photo, profile, name)
            levels, alpha = _to_array(photo), None if opacity is None else np.array(opacity)
            profile = None
            del photo
    if profile is not None:
        levels = deep_to_srgb(levels, profile, name)
    levels = from_gamma(levels, image.info)
    del image  # a photo of 50 megapixels takes 200 MB in each of its forms
    return Picture(_upright(levels, turn), None if alpha is None else _upright(alpha, turn), file_format)


def _choose_page(image: Image.Image, name: str, page: int | None) -> None:
    """Go to the frame of a page."""
    frames = pages(image)
    if image.format != "TIFF" and len(frames) > 1:
        raise ImageError(name, "has more than one frame; give a single picture")
    if page is None and len(frames) > 1:
        raise ImageError(name, f"has {len(frames)} pages; choose one by --page of `huebands colorize`, or give one")
    if page is not None and page > len(frames):
        raise ImageError(name, f"has no page {page}: the last one is {len(frames)}")
    go_to(image, frames[(page or 1) - 1])


def _to_array(photo: Image.Image) -> NDArray[np.uint8]:
    """Copy RGB pixels slice by slice: Pillow makes an intermediate copy of all that is converted at once."""
    rgb_HW3 = np.empty((photo.height, photo.width, 3), np.uint8)
    for rows in strips(photo.height, photo.width):
        rgb_HW3[rows] = np.asarray(photo.crop((0, rows.start, photo.width, rows.stop)))
    return rgb_HW3


def _upright(levels: Levels, orientation: int) -> Levels:
    """Turn pixels (H, W) or (H, W, 3) as EXIF's orientation says; unknown ones turn nothing."""
    if orientation in (5, 6, 7, 8):
        levels = levels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        levels = levels[::-1]
    if orientation in (2, 3, 6, 7):
        levels = levels[:, ::-1]
    return np.ascontiguousarray(levels)
