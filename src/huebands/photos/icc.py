"""Converts 8-bit pixels from their ICC profile to sRGB, with LittleCMS."""

import io

import numpy as np
from PIL import Image, ImageCms

from huebands.photos.errors import ImageError


def to_srgb(
    image: Image.Image, alpha: Image.Image | None, profile: bytes | None, name: str
) -> tuple[Image.Image, Image.Image | None]:
    """Convert 8-bit colour (L, RGB or CMYK) from its profile to sRGB; without one it counts as sRGB."""
    if profile is None:
        return as_mode(image, "RGB"), alpha
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if image.mode == "L" or (space == "GRAY" and _is_neutral(image)):
            # Each level is converted by itself, since the engine interpolates coarsely over pixels of one channel.
            ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
            levels = _convert(ramp.convert("RGB") if space == "RGB" else ramp, source, name, exactly=True)
            return image.convert("L").point(list(levels.convert("L").tobytes())).convert("RGB"), alpha
        return _convert(image, source, name, exactly=False), alpha
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(
            name, f"has an ICC profile that cannot be used: {error}; save it without the profile"
        ) from error


def _convert(image: Image.Image, source: ImageCms.ImageCmsProfile, name: str, exactly: bool) -> Image.Image:
    """Convert pixels of the profile's own colour space to sRGB; `exactly` takes ten times as long."""
    space = source.profile.xcolor_space.strip()
    if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != image.mode:
        raise ImageError(name, f"has {image.mode} pixels but an ICC profile for {space}; save it without the profile")
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


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to a mode; an image that has it already is not copied."""
    return image if image.mode == mode else image.convert(mode)
