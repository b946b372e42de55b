"""Encodes sRGB pixels as PNG or WebP."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from huebands.files import atomic


def encode_png(
    levels: NDArray[np.uint8],
    compress_level: int = 1,
    palette: NDArray[np.uint8] | None = None,
    text: Mapping[str, str] | None = None,
) -> bytes:
    """Encode uint8 (H, W, 3) or grey (H, W) as PNG; the default level is the fast one.

    Args:
        levels: with a palette the indices of its colours, (H, W).
        compress_level: zlib's.
        palette: uint8 (256, 3), sRGB.
        text: written into the file, by the keywords of the PNG specification.
    """
    information = PngInfo()
    for keyword, words in (text or {}).items():
        information.add_text(keyword, words)
    return _encode(levels, palette, format="PNG", compress_level=compress_level, pnginfo=information)


def encode_webp(rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Encode uint8 (H, W, 3) or grey (H, W) as WebP, with loss: for pages, a tenth of a PNG's bytes."""
    return _encode(rgb, format="WEBP", quality=quality)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W, 3) or grey (H, W) as a PNG file."""
    atomic.write_bytes(path, encode_png(rgb, compress_level=6))


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
