"""The formats of photos, which are told by content, and their headers and pages."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from pillow_heif import HeifImageFile

from huebands.photos.structure import check_structure

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "JPEG2000", "BMP", "GIF", "PPM")
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"))
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".heic", ".heif", ".hif", ".avif"}
SUFFIXES |= {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}
# Of ISO 23008-12: pictures and sequences that are coded by HEVC.
_HEVC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_ICC_PROFILE = 34675
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
# How files of these formats begin.
_SIGNATURES = re.compile(
    rb"\xff\xd8|\x89PNG|II\*\0|MM\0\*|II\+\0|MM\0\+|RIFF....WEBP|BM|GIF8|P[1-7f][\s#]"
    rb"|....ftyp(?:hei[cxms]|hev[cxms]|m[is]f1|avi[fs])|\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    re.DOTALL,
)
_opening = threading.Lock()


class OtherTiff(TiffImageFile):
    """The header of a TIFF whose kind of samples Pillow does not read, such as 16-bit CIELAB."""

    def _setup(self) -> None:
        try:
            super()._setup()
        except SyntaxError:
            self._mode = "RGB"
            self.info["icc_profile"] = self.tag_v2.get(_ICC_PROFILE)


def open_image(file: IO[bytes]) -> Image.Image:
    """Read the header of an image file; the pixels are read by `load`.

    Raises:
        StructureError: when it is made of too many blocks.
        UnidentifiedImageError: when it is of no known format.
        Exception: Pillow raises almost any exception on hostile bytes.
    """
    check_structure(file)
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    with without_warnings():
        if _is_heif(head):
            return HeifImageFile(file)
        try:
            return Image.open(file, formats=[name for name in FORMATS if name != "HEIF"])
        except UnidentifiedImageError:
            if not head.startswith((b"II", b"MM")):
                raise
            file.seek(0)
            return OtherTiff(file)


def is_of_known_format(content: bytes) -> bool:
    """Whether a file begins as those of these formats do, sound or not."""
    return _SIGNATURES.match(content) is not None


def pages(image: Image.Image) -> list[int]:
    """The frames of a file that are photos of their own, from 0.

    In a TIFF they are its pages, but for smaller copies and masks of them. A phone's photo has one, whatever helper
    pictures follow; so has a HEIF file, its primary picture.
    """
    if image.format == "MPO":
        return [0]
    if image.format == "HEIF":
        return [image.tell()]
    with without_warnings():
        frames = range(getattr(image, "n_frames", 1))
        if image.format != "TIFF" or len(frames) == 1:
            return list(frames)
        return [frame for frame in frames if _is_page(image, frame)] or [0]


def go_to(image: Image.Image, frame: int) -> None:
    """Go to a frame of a file."""
    with without_warnings():
        if frame != image.tell():
            image.seek(frame)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of the pixels, 1 to 8; 1 where there is none."""
    with without_warnings():
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow warns of odd headers and refuses large ones, both of which readers check.

    Its warning filters and its limit are global, hence the lock.
    """
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _is_page(image: Image.Image, frame: int) -> bool:
    image.seek(frame)
    tags = getattr(image, "tag_v2", {})
    return not tags.get(_NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK) and tags.get(_SUBFILE_TYPE) != _OLD_REDUCED


def _is_heif(head: bytes) -> bool:
    """Whether a file begins with a box that names a brand of HEVC."""
    if head[4:8] != b"ftyp":
        return False
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, min(size, len(head)), 4))}
    return bool(brands & _HEVC_BRANDS) and head[8:12] not in (b"avif", b"avis")
