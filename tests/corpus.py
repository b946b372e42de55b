"""The seed corpus of the fuzz tests: small valid files of every kind that `read_photo` accepts or refuses."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pyvips
from PIL import Image, ImageCms
from pillow_heif import from_bytes, from_pillow

HEIGHT, WIDTH = 20, 24
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@cache
def corpus() -> dict[str, bytes]:
    """The files by name; those that start with "moving" have more than one frame, the others are photos."""
    return dict(_files())


def photo(mode: str = "RGB") -> Image.Image:
    """A smooth photo with some noise."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).integers(0, 30, (HEIGHT, WIDTH, 3))
    rgb = (np.stack((10 * down, 9 * right, 200 - 4 * down), axis=-1) + noise).astype(np.uint8)
    image = Image.fromarray(rgb)
    if mode == "F":
        return Image.fromarray((rgb[..., 0] / np.float32(255)).astype(np.float32))
    if mode == "I;16":
        return Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(rgb[..., 0].astype(np.int32) * 2**23)
    if mode == "LAB":
        return Image.fromarray(rgb, "LAB")
    if mode == "LA":
        return image.convert("L").convert("LA")
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode with Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, colour: int, packed: bytes, *extra: bytes, depth: int = 8, interlaced: int = 0
) -> bytes:
    """Write a PNG by hand.

    Args:
        width: pixels.
        height: pixels.
        colour: the type: 0 grey, 2 RGB, 6 RGBA.
        packed: the filtered rows, compressed.
        extra: chunks that stand before the pixels.
        depth: bits of a sample.
        interlaced: 1 for Adam7.
    """
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def interlaced_png(rgb: np.ndarray) -> bytes:
    """Write uint8 (H, W, 3) in the seven passes of Adam7."""
    passes = (rgb[top::down, left::right] for top, left, down, right in _ADAM7)
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    return png(rgb.shape[1], rgb.shape[0], 2, zlib.compress(rows), interlaced=1)


def _deep() -> pyvips.Image:
    """The photo at 16 bits."""
    return pyvips.Image.new_from_array(np.asarray(photo()).astype(np.uint16) * 257)


def _encode_frames(kind: str) -> bytes:
    frames = [photo().rotate(angle) for angle in (180, 90)]
    return encode(photo(), kind, save_all=True, append_images=frames)


def _files() -> Iterator[tuple[str, bytes]]:
    exif = Image.Exif()
    exif[274], exif[270] = 6, "described"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    yield "jpeg", encode(photo(), "JPEG")
    yield "jpeg progressive", encode(photo(), "JPEG", progressive=True)
    yield "jpeg 4:4:4 restarts", encode(photo(), "JPEG", subsampling=0, restart_marker_blocks=2)
    yield "jpeg grey", encode(photo("L"), "JPEG")
    yield "jpeg cmyk", encode(photo("CMYK"), "JPEG")
    yield "jpeg turned, with profile", encode(photo(), "JPEG", exif=exif, icc_profile=profile, comment=b"said")
    yield "mpo", _encode_frames("MPO")

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"png {mode}", encode(photo(mode), "PNG")
    yield "png palette, transparent", encode(photo("P"), "PNG", transparency=bytes(range(256)))
    yield "png key colour", encode(photo(), "PNG", transparency=(0, 0, 0))
    yield "png interlaced", interlaced_png(np.asarray(photo()))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.asarray(photo()).astype(np.uint16) * 257)
    yield "png 16 bits RGB", png(WIDTH, HEIGHT, 2, zlib.compress(rows), depth=16)
    yield "png turned, with profile", encode(photo(), "PNG", exif=exif, icc_profile=profile)
    yield "moving png", _encode_frames("PNG")

    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tiff {compression}", encode(photo(), "TIFF", compression=compression)
    for mode in ("L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"):
        yield f"tiff {mode}", encode(photo(mode), "TIFF")
    yield "tiff group 4", encode(photo("1"), "TIFF", compression="group4")
    yield "tiff predicted", encode(photo(), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "tiff big", encode(photo(), "TIFF", big_tiff=True)
    yield "tiff turned, with profile", encode(photo(), "TIFF", exif=exif, icc_profile=profile)
    yield "moving tiff", _encode_frames("TIFF")

    for compression in ("none", "lzw"):
        yield (
            f"tiff 16 bits RGB {compression}",
            _deep().copy(interpretation="rgb16").tiffsave_buffer(compression=compression),
        )
    yield "tiff 16 bits Lab", _deep().copy(interpretation="rgb16").colourspace("labs").tiffsave_buffer()
    yield "tiff float RGB", (_deep() / 65535).cast("float").copy(interpretation="scrgb").tiffsave_buffer()
    yield "tiff Lab", encode(photo("LAB"), "TIFF")

    heif = io.BytesIO()
    from_pillow(photo()).save(heif, quality=90, exif=exif.tobytes())
    yield "heic", heif.getvalue()
    heif = io.BytesIO()
    from_bytes("RGB;16", (WIDTH, HEIGHT), _deep().write_to_memory()).save(heif, quality=90)
    yield "heic 10 bits", heif.getvalue()
    yield "avif", encode(photo(), "AVIF", exif=exif)
    yield "avif 10 bits", _deep().copy(interpretation="rgb16").heifsave_buffer(compression="av1", bitdepth=10)
    for mode in ("L", "RGB", "RGBA", "I;16"):
        yield f"jpeg 2000 {mode}", encode(photo(mode), "JPEG2000")
    yield "jpeg 2000 code stream", encode(photo(), "JPEG2000", no_jp2=True, tile_size=(16, 16))

    yield "webp lossy", encode(photo(), "WEBP", exif=exif, icc_profile=profile)
    yield "webp lossless", encode(photo(), "WEBP", lossless=True)
    yield "webp transparent", encode(photo("RGBA"), "WEBP")
    yield "moving webp", _encode_frames("WEBP")

    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp {mode}", encode(photo(mode), "BMP")
    yield "gif", encode(photo("P"), "GIF", transparency=3, comment=b"said")
    yield "gif interlaced", encode(photo("L"), "GIF", interlace=1)
    yield "moving gif", _encode_frames("GIF")

    for mode in ("1", "L", "RGB", "I;16", "F"):
        yield f"pnm {mode}", encode(photo(mode), "PPM")
    levels = " ".join(str(value) for value in np.asarray(photo("L")).ravel())
    yield "pnm text grey", f"P2\n# said\n{WIDTH} {HEIGHT}\n255\n{levels}\n".encode()
    yield "pnm text RGB", f"P3 {WIDTH // 3} {HEIGHT} 255\n{levels}\n".encode()
    yield "pnm text bits", f"P1 {WIDTH} {HEIGHT}\n{'01' * (WIDTH * HEIGHT // 2)}\n".encode()
