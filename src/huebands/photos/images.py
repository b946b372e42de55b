"""The one door through which image bytes come in and go out.

Whatever comes in leaves as uint8 sRGB (H, W, 3), upright and opaque, or as an `ImageError` that says why not.
"""

import io
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from huebands.files import atomic
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
_TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
_SLICE = 1 << 20  # pixels
_opening = threading.Lock()


class ImageError(ValueError):
    """An image cannot be read; says which one and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def read_photo(source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode one photo to upright, opaque sRGB.

    EXIF orientation is applied, an embedded ICC profile is converted to sRGB, transparency is laid on white,
    and grey becomes R = G = B. The format is known by content, never by name. 16 bits scale by 1/257; 32-bit
    integers by their type's range; floats must lie in [0, 1].

    Args:
        source: the file's path or its bytes.
        name: what an error calls the photo; the path when left out.
        max_pixels: a header that announces more is refused before decoding.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageError: when the file is missing, empty, no image, of another format, truncated, corrupt, too
            large or has more than one frame, naming the photo and the reason.
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
        # Pillow answers hostile bytes with nearly any exception (OSError, SyntaxError, struct.error, ...).
        words = str(getattr(error, "strerror", None) or error) or type(error).__name__
        raise ImageError(name, f"cannot be read: {words}") from error


def announced_pixels(content: bytes) -> int:
    """How many pixels the header of an image file announces, without decoding; 0 when it cannot be read."""
    try:
        file = io.BytesIO(content)
        check_structure(file)
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(file, formats=FORMATS).size
        return width * height
    except Exception:  # Pillow answers hostile bytes with nearly any; why, `read_photo` says
        return 0


def encode_png(levels: NDArray[np.uint8], compress_level: int = 1, palette: NDArray[np.uint8] | None = None) -> bytes:
    """Encode uint8 (H, W, 3) or grey (H, W) as PNG; the default level is the fast one.

    Args:
        levels: with a palette the indices of its colours, (H, W).
        compress_level: zlib's.
        palette: uint8 (256, 3), sRGB.
    """
    return _encode(levels, palette, format="PNG", compress_level=compress_level)


def encode_webp(rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Encode uint8 (H, W, 3) or grey (H, W) as WebP, with loss: for pages, a tenth of a PNG's bytes."""
    return _encode(rgb, format="WEBP", quality=quality)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W, 3) or grey (H, W) as a PNG file."""
    atomic.write_bytes(path, encode_png(rgb, compress_level=6))


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """Expand folders to the image files below them, sorted; a file stays as it is, whatever its suffix.

    Raises:
        ImageError: on a path that does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES)
            found.extend(sorted(item for item in below if item.is_file()))
        elif path.exists():
            found.append(path)
        else:
            raise ImageError(str(path), "no such file or folder")
    return found


def _encode(rgb: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, **options: Any) -> bytes:
    shape_fits = rgb.ndim == 2 or (rgb.ndim == 3 and rgb.shape[2] == 3)
    if rgb.dtype != np.uint8 or not shape_fits or rgb.size == 0:
        raise ValueError(f"an image (={rgb.dtype} {rgb.shape}) must be uint8 (H, W) or (H, W, 3), not empty")
    image = Image.fromarray(rgb)
    if palette is not None:
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def _decode(file: IO[bytes], name: str, max_pixels: int) -> NDArray[np.uint8]:
    if not file.read(1):
        raise ImageError(name, "is empty")
    check_structure(file)
    # Pillow warns of large or odd headers, which are judged here; the filters it warns through are global.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image: Image.Image = Image.open(file, formats=FORMATS)
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageError(name, f"has no pixels ({width} x {height})")
        if width * height > max_pixels:
            raise ImageError(name, f"has {width} x {height} pixels, more than {max_pixels:,}")
        # MPO is what many phones and cameras write: one photo in front, helper pictures behind it.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise ImageError(name, "has more than one frame; give a single picture")
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    image.load()
    if image.format == "TIFF":
        orientation = 1  # Pillow has turned it while loading
    photo = _on_white(_to_srgb(*_to_eight_bits(image, name), name))
    del image  # a photo of 50 megapixels takes 200 MB in each of its forms
    if orientation in _TRANSPOSE:
        photo = photo.transpose(_TRANSPOSE[orientation])
    return _to_array(photo)


def _to_array(photo: Image.Image) -> NDArray[np.uint8]:
    """Copy RGB pixels slice by slice: at once, Pillow makes bytes of them all in between."""
    rgb_HW3 = np.empty((photo.height, photo.width, 3), np.uint8)
    rows = max(_SLICE // photo.width, 1)
    for top in range(0, photo.height, rows):
        bottom = min(top + rows, photo.height)
        rgb_HW3[top:bottom] = np.asarray(photo.crop((0, top, photo.width, bottom)))
    return rgb_HW3


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert, without the copy that Pillow makes of what has the mode already."""
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None, bytes | None]:
    """Split any mode into 8-bit colour (L, RGB or CMYK), alpha (L) or None, and the ICC profile or None."""
    if image.mode == "P" and image.palette is None:
        raise ImageError(name, "has palette indices but no palette")
    profile = image.info.get("icc_profile") or None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return (*_scale_deep_grey(image, name), profile)
    if image.mode == "CMYK":
        return image, None, profile
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        plain = image.convert("LA" if grey else "RGBA")
        *_, alpha = plain.split()
        return plain.convert("L" if grey else "RGB"), alpha, profile
    if image.mode in ("1", "L"):
        return _as_mode(image, "L"), None, profile
    if image.mode in ("P", "RGB", "RGBX", "YCbCr"):
        return _as_mode(image, "RGB"), None, profile
    raise ImageError(name, f"has colour mode {image.mode}, which is not supported")


def _scale_deep_grey(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Scale 16-bit, 32-bit and float grey to 8 bits, with the alpha of a transparent level or None."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):
            found = f"{values.min():g} to {values.max():g}"
            raise ImageError(name, f"has float samples from {found}; they must lie in [0, 1]")
        full = 1.0
    elif image.mode != "I" or image.format != "TIFF":  # PNM keeps 16 bits in mode "I"
        full = 65535.0
    elif _SIGNED in tags.get(_TIFF_SAMPLE_FORMAT, ()):
        full = 2.0**31 - 1
    else:
        values, full = values.view(np.uint32), 2.0**32 - 1
    scaled = values.astype(np.float32)  # exact enough for 8 bits, at half the memory
    np.clip(scaled, 0, full, out=scaled)
    scaled *= 255 / full
    levels = np.rint(scaled, out=scaled).astype(np.uint8)
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 255 - levels
    clear = image.info.get("transparency")
    alpha = None if clear is None else Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    return Image.fromarray(levels), alpha


def _to_srgb(
    image: Image.Image, alpha: Image.Image | None, profile: bytes | None, name: str
) -> tuple[Image.Image, Image.Image | None]:
    """Convert 8-bit colour (L, RGB or CMYK) from its profile to sRGB; without one it counts as sRGB."""
    if profile is None:
        return _as_mode(image, "RGB"), alpha
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if image.mode == "L" or (space == "GRAY" and _is_neutral(image)):
            # Level by level, since the engine interpolates coarsely over the pixels of one channel.
            ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
            levels = _convert(ramp.convert("RGB") if space == "RGB" else ramp, source, name, exactly=True)
            return image.convert("L").point(list(levels.convert("L").tobytes())).convert("RGB"), alpha
        return _convert(image, source, name, exactly=False), alpha
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(name, f"has an ICC profile that cannot be used: {error}; save it without") from error


def _convert(image: Image.Image, source: ImageCms.ImageCmsProfile, name: str, exactly: bool) -> Image.Image:
    """Convert pixels of the profile's own colour space to sRGB; exactly takes ten times as long."""
    space = source.profile.xcolor_space.strip()
    if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != image.mode:
        raise ImageError(name, f"has {image.mode} pixels but an ICC profile for {space}; save it without")
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if exactly else 0),
    )
    assert converted is not None  # only in-place conversion gives None
    return converted


def _is_neutral(image: Image.Image) -> bool:
    """Tell whether RGB pixels are all grey: Pillow opens 16-bit grey with alpha that way."""
    if image.mode != "RGB":
        return False
    red, green, blue = (np.asarray(channel) for channel in image.split())
    return bool((red == green).all() and (green == blue).all())


def _on_white(layers: tuple[Image.Image, Image.Image | None]) -> Image.Image:
    image, alpha = layers
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
