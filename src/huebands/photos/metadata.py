"""What a photo's file tells beside its pixels, to be kept in files made of it: resolution, EXIF, XMP, IPTC, texts."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile

from huebands.photos.formats import go_to, open_image, pages, without_warnings

_DPI = 1e-3, 1e6  # sensible resolutions, dots per inch
_EXIF, _GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_IPTC_OF_TIFF, _IPTC_OF_PHOTOSHOP = 33723, 0x0404
_IPTC_OF_PNG = "Raw profile type iptc"
COMMENT = "Comment"
# Keywords of a PNG's texts that are read as something else: XMP, and profiles as ImageMagick writes them.
_NO_TEXTS = ("XML:com.adobe.xmp", "Raw profile type ")
# Tags that describe a photo; the others of a TIFF's directory describe how its pixels lie in the file.
_DESCRIBING = (
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
# What a new file has in its own way.
_OWN = frozenset((ExifTags.Base.ColorSpace, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight))
_SRGB = 1


class Text(str):
    """A text of EXIF: Pillow reads its bytes as Latin-1, whatever their encoding, and would write them as ASCII."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        """The bytes that it was read from, whatever is asked."""
        return super().encode("latin-1")


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file tells beside its pixels. The orientation is left out: pixels are upright.

    Attributes:
        dpi: dots per inch, horizontal and vertical; None: unknown.
        exif: tags of the first directory that describe the photo.
        camera: tags of EXIF's own directory, such as the date.
        place: tags of GPS.
        xmp: packet of XMP; None: there is none.
        iptc: records of IPTC-IIM; None: there are none.
        texts: of a PNG, by keyword; the comment of another file has the keyword `COMMENT`.
        lost: what could not be read, in words.
    """

    dpi: tuple[float, float] | None = None
    exif: Mapping[int, Any]
    camera: Mapping[int, Any]
    place: Mapping[int, Any]
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    @classmethod
    def none(cls) -> Self:
        """Of a photo that is no file."""
        return cls(exif={}, camera={}, place={})

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """Read what an opened image file tells; what is damaged is named in `lost`."""
        metadata = cls.none()
        readers: Mapping[str, Any] = {
            "EXIF": _read_exif,
            "XMP": _read_xmp,
            "IPTC": _read_iptc,
            "resolution": _read_dpi,
            "text": _read_texts,
        }
        for name, read in readers.items():
            try:
                metadata = replace(metadata, **read(image))
            except Exception:  # Pillow raises almost any exception on damaged metadata
                metadata = replace(metadata, lost=(*metadata.lost, f"its {name} is damaged and was left out"))
        return metadata

    def exif_of(self, size: tuple[int, int], software: str) -> Image.Exif:
        """EXIF for an upright sRGB picture.

        Args:
            size: width and height in pixels.
            software: that made it.
        """
        exif = Image.Exif()
        exif.update(_as_read(self.exif))
        exif[ExifTags.Base.Software] = software
        if self.dpi is not None:
            exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = self.dpi
            exif[ExifTags.Base.ResolutionUnit] = 2
        camera = exif.get_ifd(_EXIF)
        camera.update(_as_read(self.camera))
        camera[ExifTags.Base.ColorSpace] = _SRGB
        camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight] = size
        if self.place:
            exif.get_ifd(_GPS).update(_as_read(self.place))
        return exif


def _as_read(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Tags whose texts are written by the bytes that they were read from."""
    return {tag: Text(value) if isinstance(value, str) else value for tag, value in tags.items()}


def read_metadata(source: Path | bytes, page: int | None = None) -> Metadata:
    """Read what an image file tells beside its pixels; nothing of a file that cannot be opened.

    Args:
        source: the file's path or its bytes.
        page: of a TIFF, from 1; None: the first.
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        with file, open_image(file) as image:
            go_to(image, pages(image)[(page or 1) - 1])
            if image.format == "PNG":
                image.load()  # its texts may stand behind its pixels
            with without_warnings():
                return Metadata.of(image)
    except Exception:  # whoever reads the pixels says why
        return Metadata.none()


def _read_exif(image: Image.Image) -> dict[str, Any]:
    exif = image.getexif()
    described = {int(tag): exif[tag] for tag in _DESCRIBING if tag in exif}
    described = {tag: bytes(value) if isinstance(value, tuple) else value for tag, value in described.items()}
    camera = exif.get_ifd(_EXIF)
    kept = {tag: value for tag, value in camera.items() if tag not in _OWN and not isinstance(value, dict)}
    place = dict(exif.get_ifd(_GPS))
    return {"exif": described, "camera": kept, "place": place}


def _read_xmp(image: Image.Image) -> dict[str, Any]:
    xmp = image.info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return {"xmp": xmp.rstrip(b"\0") or None} if xmp else {}


def _read_iptc(image: Image.Image) -> dict[str, Any]:
    iptc = image.info.get("photoshop", {}).get(_IPTC_OF_PHOTOSHOP)
    if iptc is None and image.format == "TIFF":
        iptc = getattr(image, "tag_v2", {}).get(_IPTC_OF_TIFF)
        if isinstance(iptc, tuple):  # written as numbers of 32 bits, in the file's order
            order = "big" if image.tag_v2.prefix == b"MM" else "little"  # type: ignore[attr-defined]
            iptc = b"".join(number.to_bytes(4, order) for number in iptc)
    if iptc is None and image.format == "PNG" and _IPTC_OF_PNG in image.info:
        iptc = _of_hex(str(image.info[_IPTC_OF_PNG]))
    return {"iptc": bytes(iptc) or None} if iptc else {}


def _of_hex(text: str) -> bytes:
    """The records in a text of ImageMagick: a name, a length, and hexadecimal digits."""
    _, length, *digits = text.split()
    content = bytes.fromhex("".join(digits))
    if len(content) != int(length):
        raise ValueError(f"IPTC of {len(content)} bytes, announced as {length}")
    return content


def _read_dpi(image: Image.Image) -> dict[str, Any]:
    dpi = image.info.get("dpi")
    if not dpi or (image.format == "TIFF" and ExifTags.Base.XResolution not in getattr(image, "tag_v2", {})):
        return {}
    horizontal, vertical = (float(value) for value in dpi)
    is_sensible = all(_DPI[0] <= value <= _DPI[1] for value in (horizontal, vertical))
    return {"dpi": (horizontal, vertical)} if is_sensible else {}


def _read_texts(image: Image.Image) -> dict[str, Any]:
    if isinstance(image, PngImageFile):
        return {"texts": {key: str(words) for key, words in image.text.items() if not key.startswith(_NO_TEXTS)}}
    comment = image.info.get("comment", b"")
    if isinstance(comment, bytes):
        try:
            comment = comment.decode()
        except UnicodeDecodeError:
            comment = comment.decode("latin-1")
    comment = comment.strip("\0")
    return {"texts": {COMMENT: comment}} if comment else {}
