"""Splits pixels of any mode and bit depth into colour, transparency and ICC profile; grey keeps its depth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huebands.photos.errors import ImageError
from huebands.photos.icc import as_mode

FULL = 65535.0  # the largest 16-bit level
_DARK = 256  # 32-bit samples that use less than this part of their range would be black
_TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2


def is_deep_grey(image: Image.Image) -> bool:
    """Whether Pillow reads an image as one channel of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def to_eight_bits(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Split a mode of 8 bits or less into colour (L, RGB or CMYK) and alpha (L) or None."""
    if image.mode == "P" and image.palette is None:
        raise ImageError(name, "has palette indices but no palette")
    if image.mode == "CMYK":
        return image, None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        with_alpha = image.convert("LA" if grey else "RGBA")
        *_, alpha = with_alpha.split()
        return with_alpha.convert("L" if grey else "RGB"), alpha
    if image.mode in ("1", "L"):
        return as_mode(image, "L"), None
    if image.mode in ("P", "RGB", "RGBX", "YCbCr"):
        return as_mode(image, "RGB"), None
    raise ImageError(name, f"has colour mode {image.mode}, which is not supported")


def deep_grey(image: Image.Image, name: str) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Read 16-bit, 32-bit and float grey as 16 bits, with the alpha of a transparent level or None.

    Returns:
        Levels (H, W) and alpha (H, W) or None.
    """
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and image.format != "TIFF":  # PNM keeps 16 bits in mode "I"
        values = values.astype(np.uint16)
    elif image.mode == "I" and _SIGNED not in tags.get(_TIFF_SAMPLE_FORMAT, ()):
        values = values.view(np.uint32)
    levels = to_sixteen_bits(values, name)
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 65535 - levels
    transparent_level = image.info.get("transparency")
    if transparent_level is None:
        return levels, None
    return levels, np.where(values == transparent_level, 0, 65535).astype(np.uint16)


def to_sixteen_bits(values: NDArray[Any], name: str) -> NDArray[np.uint16]:
    """Scale samples of 8 to 64 bits by the range of their type, and floats in [0, 1], to 16 bits.

    Raises:
        ImageError: naming the range of the samples, when it does not fit that of the type.
    """
    if values.dtype == np.uint16:
        return values
    is_float = values.dtype.kind == "f"
    full_scale = 1.0 if is_float else float(np.iinfo(values.dtype).max)
    low, high = float(values.min()), float(values.max())
    kind = "float" if is_float else f"{8 * values.dtype.itemsize}-bit"
    if not (low >= 0 and high <= full_scale):
        raise ImageError(
            name, f"has {kind} samples from {low:g} to {high:g}; they must lie in [0, {full_scale:g}]: scale them"
        )
    if values.dtype.itemsize >= 4 and not is_float and 0 < high < full_scale / _DARK:
        raise ImageError(name, f"has {kind} samples up to {high:g} of {full_scale:g}, which are black: scale them")
    is_short = is_float and values.dtype.itemsize <= 4
    scaled: NDArray[Any] = values.astype(np.float32 if is_short else np.float64)
    scaled *= FULL / full_scale
    levels: NDArray[np.uint16] = np.rint(scaled, out=scaled).astype(np.uint16)
    return levels
