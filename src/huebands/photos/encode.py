"""Encodes sRGB pixels of 8 or 16 bits as PNG, TIFF, JPEG or WebP, with metadata and an sRGB profile."""

import io
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
import pyvips
import tifffile
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from huebands.photos.metadata import COMMENT, Metadata, Text
from huebands.photos.picture import Levels, round_to_eight_bits

Format = Literal["png", "tiff", "jpeg", "webp"]
SUFFIX: Mapping[Format, str] = {"png": ".png", "tiff": ".tif", "jpeg": ".jpg", "webp": ".webp"}
_OF_PILLOW: Mapping[str, Format] = {"PNG": "png", "TIFF": "tiff", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp"}
_JPEG_QUALITY = 95
_JPEG_SEGMENT = 65_533  # bytes of a segment's content
_IPTC = 33723  # a tag of TIFF
_BYTE, _ASCII, _SHORT = 1, 2, 3  # types of TIFF's tags
_JFIF, _JFIF_DENSITY = 4, 13  # where in a JPEG the length of its first segment stands, and the unit of its density
_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_SMALL_TIFF = 2**32 - 2**25  # bytes: room for the directories


class EncodingError(ValueError):
    """A picture cannot be written in a format; the message says why, and the remedy."""


def format_of(pillow_format: str) -> Format:
    """The format for a result of a photo, by the format of its file: the same, or PNG where that is none of these."""
    return _OF_PILLOW.get(pillow_format, "png")


def encode(
    rgb_HW3: Levels,
    kind: Format,
    alpha_HW: Levels | None = None,
    metadata: Metadata | None = None,
    xmp: bytes | None = None,
    texts: Mapping[str, str] | None = None,
    software: str = "",
) -> bytes:
    """Encode a picture.

    PNG, TIFF and WebP are without loss. JPEG has quality 95 and full colour resolution.

    Args:
        rgb_HW3: uint8, or uint16, which JPEG and WebP hold at 8 bits.
        kind: of the file.
        alpha_HW: opacity, of the same type; None: opaque.
        metadata: to keep.
        xmp: packet in place of the metadata's.
        texts: of a PNG, by keyword.
        software: that made the picture.

    Raises:
        EncodingError: when the format cannot hold transparency, or so many pixels.
    """
    metadata = metadata or Metadata.none()
    xmp = metadata.xmp if xmp is None else xmp
    rgb_HW3, alpha_HW = at_depth_of(kind, rgb_HW3, alpha_HW)
    if kind == "jpeg" and alpha_HW is not None:
        raise EncodingError("is transparent, which a JPEG cannot be; choose --format png, tiff or webp")
    size = (rgb_HW3.shape[1], rgb_HW3.shape[0])
    exif = metadata.exif_of(size, software)
    if kind == "tiff":
        return _tiff(rgb_HW3, alpha_HW, metadata, exif, xmp, software)
    if kind == "png":
        return _png(rgb_HW3, alpha_HW, metadata, exif, xmp, texts or {})
    if kind == "jpeg":
        jpeg = _jpeg(rgb_HW3, metadata, exif)
        return jpeg if xmp is None else with_xmp(jpeg, xmp)
    image = Image.fromarray(rgb_HW3)
    if alpha_HW is not None:
        image.putalpha(Image.fromarray(alpha_HW))
    options = {"exif": exif, "icc_profile": srgb_profile(), "xmp": xmp or b""}
    return _save(image, format="WEBP", lossless=True, quality=25, method=2, exact=True, **options)


def at_depth_of(kind: Format, rgb_HW3: Levels, alpha_HW: Levels | None) -> tuple[Levels, Levels | None]:
    """Round colours and opacity to 8 bits where the format holds no more."""
    if kind not in ("jpeg", "webp") or rgb_HW3.dtype == np.uint8:
        return rgb_HW3, alpha_HW
    return round_to_eight_bits(rgb_HW3), None if alpha_HW is None else round_to_eight_bits(alpha_HW)


def with_xmp(jpeg: bytes, xmp: bytes) -> bytes:
    """Put XMP into a JPEG that has none, after its first segment; its pixels stay as they are."""
    (length,) = struct.unpack_from(">H", jpeg, _JFIF)
    content, segment = memoryview(jpeg), _jpeg_segment(0xE1, _XMP_OF_JPEG + xmp)
    return b"".join([content[: _JFIF + length], segment, content[_JFIF + length :]])


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, by LittleCMS; its date is fixed."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _png(
    rgb_HW3: Levels,
    alpha_HW: Levels | None,
    metadata: Metadata,
    exif: Image.Exif,
    xmp: bytes | None,
    texts: Mapping[str, str],
) -> bytes:
    information = PngInfo()
    for keyword, words in {**metadata.texts, **texts}.items():
        information.add_text(keyword, words) if words.isascii() else information.add_itxt(keyword, words)
    if xmp is not None:
        information.add_itxt("XML:com.adobe.xmp", xmp.decode())
    if metadata.iptc is not None:
        digits = metadata.iptc.hex()
        rows = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
        information.add_text("Raw profile type iptc", f"\niptc\n{len(metadata.iptc):8d}\n{rows}\n", zip=True)
    options: dict[str, Any] = {"pnginfo": information, "exif": exif, "icc_profile": srgb_profile()}
    if metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    # The chunks that describe a small picture are those of the large one, whose pixels libvips writes faster, smaller
    # and, at 16 bits, at all.
    small = _save(Image.new("RGB", (1, 1)), format="PNG", **options)
    describing = [chunk for kind, chunk in _chunks(small) if kind not in (b"IHDR", b"IDAT", b"IEND")]
    bits = 8 * rgb_HW3.itemsize
    content = _save_by_vips(_joined(rgb_HW3, alpha_HW), "png", compression=2, filter="up", bitdepth=bits)
    (_, header), *others = _chunks(content)
    pixels = [chunk for kind, chunk in others if kind in (b"IDAT", b"IEND")]
    return b"".join([bytes(content[:8]), header, *describing, *pixels])


def _chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG, by their kinds."""
    content, place = memoryview(png), 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        yield kind, content[place : place + 12 + length]
        place += 12 + length


def _jpeg(rgb_HW3: Levels, metadata: Metadata, exif: Image.Exif) -> bytes:
    jpeg = _save_by_vips(rgb_HW3, "jpeg", Q=_JPEG_QUALITY, subsample_mode="off")
    (length,) = struct.unpack_from(">H", jpeg, _JFIF)
    head = bytearray(jpeg[: _JFIF + length])
    if metadata.dpi is not None:
        density = (min(max(round(value), 1), 65535) for value in metadata.dpi)
        struct.pack_into(">BHH", head, _JFIF_DENSITY, 1, *density)
    segments = [_jpeg_segment(0xE1, exif.tobytes())]
    segments.append(_jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + srgb_profile()))
    if metadata.iptc is not None:
        segments.append(_jpeg_segment(0xED, b"Photoshop 3.0\0" + _photoshop(metadata.iptc)))
    if COMMENT in metadata.texts:
        segments.append(_jpeg_segment(0xFE, metadata.texts[COMMENT].encode()))
    return b"".join([head, *segments, memoryview(jpeg)[_JFIF + length :]])


def _save_by_vips(samples: Levels, kind: Format, **options: Any) -> bytes:
    """Encode samples (H, W, C) without metadata; libvips does not copy them."""
    samples = np.ascontiguousarray(samples)
    height, width, channels = samples.shape
    is_deep = samples.dtype == np.uint16
    image = pyvips.Image.new_from_memory(samples.data, width, height, channels, "ushort" if is_deep else "uchar")
    image = image.copy(interpretation="rgb16" if is_deep else "srgb")
    try:
        return bytes(image.write_to_buffer(SUFFIX[kind], keep="none", **options))
    except pyvips.Error as error:
        raise EncodingError(f"cannot be written as {kind.upper()}: {' '.join(str(error).split())}") from error


def _tiff(
    rgb_HW3: Levels,
    alpha_HW: Levels | None,
    metadata: Metadata,
    exif: Image.Exif,
    xmp: bytes | None,
    software: str,
) -> bytes:
    samples = _joined(rgb_HW3, alpha_HW)
    if samples.nbytes > _SMALL_TIFF:
        raise EncodingError(f"has {samples.nbytes:,} bytes of samples, too many for a TIFF; choose --format png")
    tags = [_tiff_tag(int(tag), value) for tag, value in metadata.exif.items()]
    if xmp is not None:
        tags.append((700, 1, len(xmp), xmp, True))
    if metadata.iptc is not None:
        tags.append((_IPTC, 7, len(metadata.iptc), metadata.iptc, True))
    further = {tag: exif.get_ifd(tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if exif.get_ifd(tag)}
    # tifffile keeps the tags of directories to itself: they are named by the codes before, which no other tag has.
    tags += [(int(tag) - 1, 4, 1, 0, True) for tag in further]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples,
        byteorder="<",
        photometric="rgb",
        compression="adobe_deflate",
        compressionargs={"level": 1},
        predictor=True,
        extrasamples=None if alpha_HW is None else ["unassalpha"],
        resolution=metadata.dpi or (72, 72),
        resolutionunit="inch",
        iccprofile=srgb_profile(),
        software=software or None,
        metadata=None,
        extratags=tags,
    )
    return _with_directories(buffer, further)


def _tiff_tag(tag: int, value: Any) -> tuple[int, Any, int, Any, bool]:
    """A tag as tifffile takes it: its code, type, count and value, and that it is of the first page alone."""
    if isinstance(value, str):
        return tag, _ASCII, 0, Text(value).encode(), True
    if isinstance(value, bytes):
        return tag, _BYTE, len(value), value, True
    return tag, _SHORT, 1, int(value), True


def _with_directories(buffer: io.BytesIO, directories: Mapping[Any, Mapping[int, Any]]) -> bytes:
    """Put directories, such as EXIF's, at the end of a TIFF, whose tags for them have the codes before theirs."""
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        found = {tag: file.pages.first.tags[int(tag) - 1] for tag in directories}
        places = {tag: (place.offset, place.valueoffset) for tag, place in found.items()}
    content = bytearray(buffer.getvalue())
    for tag, values in directories.items():
        content += bytes(len(content) % 2)
        directory = ImageFileDirectory_v2(prefix=b"II")
        for key, value in values.items():
            directory[key] = value
        entry, value_place = places[tag]
        struct.pack_into("<H", content, entry, int(tag))
        struct.pack_into("<I", content, value_place, len(content))
        content += bytes(directory.tobytes(len(content)))
    return bytes(content)


def _joined(rgb_HW3: Levels, alpha_HW: Levels | None) -> Levels:
    return rgb_HW3 if alpha_HW is None else np.dstack((rgb_HW3, alpha_HW))


def _photoshop(iptc: bytes) -> bytes:
    """A block of Photoshop's resources that holds IPTC."""
    return b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


def _jpeg_segment(marker: int, content: bytes) -> bytes:
    if len(content) > _JPEG_SEGMENT:
        raise EncodingError(f"has {len(content):,} bytes of metadata, too many for a JPEG; choose --format png or tiff")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _save(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, **options)
    except ValueError as error:
        raise EncodingError(f"cannot be written as {options['format']}: {error}") from error
    return buffer.getvalue()
