"""Reads colour of more than 8 bits a sample, and CIELAB, which Pillow reads at 8 bits or not at all: by libvips."""

from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image
from pillow_heif import open_heif

from huebands.photos.depth import to_sixteen_bits
from huebands.photos.errors import ImageError
from huebands.photos.formats import OtherTiff

_PNG_DEPTH, _PNG_GREY = 24, 0  # where the depth stands in the file, followed by the type of colour
_BITS, _PHOTOMETRIC, _EXTRA_SAMPLES = 258, 262, 338
_CMYK = 5
_PREMULTIPLIED = 1
_MOST_SAMPLES = 4  # of a pixel


def is_deep(image: Image.Image, file: IO[bytes]) -> bool:
    """Whether a file holds colour, or grey with alpha, of more than 8 bits a sample, or CIELAB.

    Args:
        image: its header.
        file: the same file.
    """
    if image.format == "PNG":
        file.seek(_PNG_DEPTH)
        depth, colour_type = file.read(2)
        return depth > 8 and colour_type != _PNG_GREY
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(_BITS, (1,))
        photometric = tags.get(_PHOTOMETRIC)
        return isinstance(image, OtherTiff) or (len(bits) > 1 and max(bits) > 8 and photometric != _CMYK)
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8)) > 8
    if image.format == "AVIF":
        return int(_load(image, file).get("bits-per-sample")) > 8
    return False


def read_deep(image: Image.Image, file: IO[bytes], name: str) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Read such a file at 16 bits, as it lies in the file: its orientation is not applied, its profile neither.

    Args:
        image: its header, at the frame to read.
        file: the same file.
        name: of the photo, in errors.

    Returns:
        uint16 levels, (H, W) of grey or (H, W, 3) of RGB, and alpha (H, W) or None.

    Raises:
        ImageError: when its samples are outside the range that they must lie in.
        pyvips.Error: when it is damaged.
    """
    if image.format == "HEIF":
        file.seek(0)
        opened = open_heif(file, convert_hdr_to_8bit=False)
        samples = to_sixteen_bits(np.asarray(opened[image.tell()]), name)
        return _split(_stretched(samples, int(image.info["bit_depth"])))
    loaded = _load(image, file)
    if loaded.bands > _MOST_SAMPLES:  # before they are decoded
        raise ImageError(name, f"has {loaded.bands} samples a pixel; at most {_MOST_SAMPLES} are supported")
    if loaded.interpretation in ("lab", "labs", "labq"):
        return _split(loaded.extract_band(0, n=3).colourspace("rgb16").numpy())
    samples = to_sixteen_bits(loaded.numpy(), name)
    if image.format == "AVIF":
        samples = _stretched(samples, int(loaded.get("bits-per-sample")))
    levels, alpha = _split(samples)
    if alpha is not None and _PREMULTIPLIED in getattr(image, "tag_v2", {}).get(_EXTRA_SAMPLES, ()):
        opacity = np.maximum(alpha, 1).astype(np.float32) / 65535
        opacity = opacity if levels.ndim == 2 else opacity[..., None]
        levels = np.rint(np.minimum(levels / opacity, 65535)).astype(np.uint16)
    return levels, alpha


def read_lab(image: Image.Image) -> NDArray[np.uint16]:
    """Convert 8-bit CIELAB, of Pillow's mode, to 16-bit sRGB (H, W, 3); neutral colours stay neutral."""
    L_ab_HW3 = np.asarray(image).astype(np.float32) * (100 / 255, 1, 1) - (0, 128, 128)
    loaded = pyvips.Image.new_from_array(L_ab_HW3.astype(np.float32)).copy(interpretation="lab")
    return np.asarray(loaded.colourspace("rgb16").numpy())


def _load(image: Image.Image, file: IO[bytes]) -> Any:
    """Open the frame of the file that Pillow is at; the pixels come when they are asked for."""
    file.seek(0)
    source = pyvips.Source.new_from_memory(file.read())
    options = {"access": "sequential", "fail_on": "error"}
    if image.format == "TIFF":
        return pyvips.Image.tiffload_source(source, page=image.tell(), **options)
    if image.format == "AVIF":
        return pyvips.Image.heifload_source(source, **options)
    return pyvips.Image.pngload_source(source, **options)


def _stretched(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Fill the range of 16 bits with samples whose 10 or 12 bits are the upper ones."""
    filled: NDArray[np.uint16] = samples | (samples >> np.uint16(bits))
    return filled


def _split(samples: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Split samples (H, W) or (H, W, C) into levels and alpha."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if channels == 1:
        return samples.reshape(samples.shape[:2]), None
    alpha = samples[..., -1] if channels in (2, 4) else None
    return samples[..., 0] if channels == 2 else samples[..., :3], alpha
