"""Converts pixels to sRGB from their ICC profile, with LittleCMS, or from the gamma that a PNG states."""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyvips
from PIL import Image, ImageCms

from huebands.photos.errors import ImageError
from huebands.photos.picture import Levels

_HEADER = 128  # bytes of a profile, before its table of tags
_CONNECTION_SPACE = slice(20, 24)  # in the header
_SRGB_GAMMA = 1 / 2.2
_SAME_GAMMA = 0.05  # of it: within this share a PNG's gamma counts as sRGB's, as in libpng


def to_srgb(image: Image.Image, profile: bytes | None, name: str) -> Image.Image:
    """Convert 8-bit colour (L, RGB or CMYK) from its profile to sRGB; without one it counts as sRGB."""
    if profile is None:
        return as_mode(image, "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if image.mode == "L" or (space == "GRAY" and _is_neutral(image)):
            # Each level is converted by itself, since the engine interpolates coarsely over pixels of one channel.
            ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
            levels = _convert(ramp.convert("RGB") if space == "RGB" else ramp, source, name, exactly=True)
            return image.convert("L").point(list(levels.convert("L").tobytes())).convert("RGB")
        return _convert(image, source, name, exactly=False)
    except (ImageCms.PyCMSError, OSError) as error:
        raise _unusable(name, error) from error


def deep_to_srgb(levels: Levels, profile: bytes, name: str) -> Levels:
    """Convert 16-bit grey (H, W) or RGB (H, W, 3) from its profile to sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError) as error:
        raise _unusable(name, error) from error
    space, is_grey = source.profile.xcolor_space.strip(), levels.ndim == 2
    if not is_grey and space == "GRAY" and (levels == levels[..., :1]).all():
        levels, is_grey = levels[..., 0], True
    if space not in (("GRAY", "RGB") if is_grey else ("RGB",)):
        raise _of_another_space(name, "L" if is_grey else "RGB", space)
    if not is_grey:
        return levels if _is_srgb(profile, name) else _convert_deep(levels, profile, name)
    # The engine is exact to a level for RGB, but interpolates coarsely over pixels of one channel.
    ramp_1N3 = np.repeat(np.arange(65536, dtype=np.uint16)[None, :, None], 3, axis=2)
    converted = _convert_deep(ramp_1N3, _as_rgb(profile, name) if space == "GRAY" else profile, name)
    return np.asarray(converted[0, :, 1][levels])


def from_gamma(levels: Levels, info: Mapping[Any, Any]) -> Levels:
    """Convert levels to sRGB's transfer curve from the gamma that a PNG states, unless it states a profile or sRGB.

    Args:
        levels: of any shape.
        info: Pillow's, of the file.
    """
    gamma = info.get("gamma")
    if not isinstance(gamma, int | float) or gamma <= 0 or "srgb" in info or info.get("icc_profile"):
        return levels
    if abs(gamma / _SRGB_GAMMA - 1) <= _SAME_GAMMA:
        return levels
    full = np.iinfo(levels.dtype).max
    linear = (np.arange(full + 1) / full) ** (1 / gamma)
    srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.asarray(np.rint(srgb * full).astype(levels.dtype)[levels])


def _convert(image: Image.Image, source: ImageCms.ImageCmsProfile, name: str, exactly: bool) -> Image.Image:
    """Convert pixels of the profile's own colour space to sRGB; `exactly` takes ten times as long."""
    space = source.profile.xcolor_space.strip()
    if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != image.mode:
        raise _of_another_space(name, image.mode, space)
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


def _convert_deep(levels: Levels, profile: bytes, name: str) -> Levels:
    image = pyvips.Image.new_from_array(levels, interpretation="rgb16" if levels.ndim == 3 else "grey16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    try:
        return np.asarray(
            image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=16
            ).numpy(),
            np.uint16,
        )
    except pyvips.Error as error:
        raise _unusable(name, error) from error


def _is_srgb(profile: bytes, name: str) -> bool:
    """Whether colours of an RGB profile are those of sRGB, to less than a level of 8 bits."""
    steps = np.linspace(0, 65535, 9).astype(np.uint16)
    grid_1N3 = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return bool(np.abs(_convert_deep(grid_1N3, profile, name).astype(int) - grid_1N3).max() < 257)


def _as_rgb(profile: bytes, name: str) -> bytes:
    """An RGB profile whose three channels have the curve of a grey profile, and the primaries of sRGB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = _tags(profile).get(b"kTRC")
    if curve is None or profile[_CONNECTION_SPACE] != srgb[_CONNECTION_SPACE]:
        raise _unusable(name, ValueError("it has no curve from grey to luminance"))
    tags = _tags(srgb) | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    place = _HEADER + 4 + 12 * len(tags)
    table, contents = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, place + len(contents), len(content))
        contents += content + bytes(-len(content) % 4)
    return struct.pack(">I", place + len(contents)) + srgb[4:_HEADER] + table + contents


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    entries = (struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * index) for index in range(count))
    return {tag: profile[offset : offset + size] for tag, offset, size in entries}


def _unusable(name: str, error: Exception) -> ImageError:
    reason = " ".join(str(error).split())
    return ImageError(name, f"has an ICC profile that cannot be used: {reason}; save it without the profile")


def _of_another_space(name: str, mode: str, space: str) -> ImageError:
    return ImageError(name, f"has {mode} pixels but an ICC profile for {space}; save it without the profile")


def _is_neutral(image: Image.Image) -> bool:
    """Tell whether RGB pixels are all grey: Pillow opens 16-bit grey with alpha that way."""
    if image.mode != "RGB":
        return False
    red, green, blue = (np.asarray(channel) for channel in image.split())
    return bool((red == green).all() and (green == blue).all())


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to a mode; an image that has it already is not copied."""
    return image if image.mode == mode else image.convert(mode)
