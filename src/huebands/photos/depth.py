"""Converts pixels of any mode and bit depth to 8 bits, and splits off transparency and ICC profile."""

import numpy as np
from PIL import Image

from huebands.photos.errors import ImageError
from huebands.photos.icc import as_mode

_TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2


def to_eight_bits(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None, bytes | None]:
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
        with_alpha = image.convert("LA" if grey else "RGBA")
        *_, alpha = with_alpha.split()
        return with_alpha.convert("L" if grey else "RGB"), alpha, profile
    if image.mode in ("1", "L"):
        return as_mode(image, "L"), None, profile
    if image.mode in ("P", "RGB", "RGBX", "YCbCr"):
        return as_mode(image, "RGB"), None, profile
    raise ImageError(name, f"has colour mode {image.mode}, which is not supported")


def _scale_deep_grey(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Scale 16-bit, 32-bit and float grey to 8 bits, with the alpha of a transparent level or None."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):
            value_range = f"{values.min():g} to {values.max():g}"
            raise ImageError(name, f"has float samples from {value_range}; they must lie in [0, 1]")
        full_scale = 1.0
    elif image.mode != "I" or image.format != "TIFF":  # PNM keeps 16 bits in mode "I"
        full_scale = 65535.0
    elif _SIGNED in tags.get(_TIFF_SAMPLE_FORMAT, ()):
        full_scale = 2.0**31 - 1
    else:
        values, full_scale = values.view(np.uint32), 2.0**32 - 1
    scaled = values.astype(np.float32)  # exact enough for 8 bits, at half the memory
    np.clip(scaled, 0, full_scale, out=scaled)
    scaled *= 255 / full_scale
    levels = np.rint(scaled, out=scaled).astype(np.uint8)
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 255 - levels
    transparent_level = image.info.get("transparency")
    alpha = (
        None
        if transparent_level is None
        else Image.fromarray(np.where(values == transparent_level, 0, 255).astype(np.uint8))
    )
    return Image.fromarray(levels), alpha
