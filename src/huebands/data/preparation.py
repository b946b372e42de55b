"""From a photo to its Lab square: the prepared format, with what the manifest says of it."""

from dataclasses import dataclass

import imagehash
import numpy as np
import torch
from PIL import Image

from huebands import color
from huebands.data.tone import tone_spread


@dataclass(frozen=True)
class LabSquare:
    """A photo in the prepared format, with what the manifest says of it.

    Attributes:
        lab: int16 hundredths of CIELAB, (3, S, S).
        statistics: L_mean, L_std, chroma_mean, chroma_p95 and tone_spread of those pixels, CIELAB units, 4 decimals.
        phash: perceptual hash of the whole photo, 64 bits.
    """

    lab: np.ndarray
    statistics: dict[str, float]
    phash: int


def prepare_photo(rgb: np.ndarray, image_size: int) -> LabSquare:
    """Squash a photo to a square, convert it to Lab, hash it and measure it.

    Args:
        rgb: uint8 sRGB (H, W, 3).
        image_size: side S of the square, pixels.
    """
    lab = encode_square(squash(rgb, image_size))
    return LabSquare(lab=lab, statistics=measure(lab), phash=perceptual_hash(Image.fromarray(rgb)))


def squash(rgb: np.ndarray, image_size: int) -> np.ndarray:
    """Squash a photo to a square by Lanczos' filter: uint8 sRGB (H, W, 3) to (S, S, 3)."""
    return np.asarray(Image.fromarray(rgb).resize((image_size, image_size), Image.Resampling.LANCZOS))


def encode_square(rgb: np.ndarray) -> np.ndarray:
    """Convert uint8 sRGB (H, W, 3) to int16 hundredths of CIELAB (3, H, W), without loss."""
    channels = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
    return color.encode_lab(color.srgb_to_lab(channels.double() / 255)).numpy()


def measure(lab: np.ndarray) -> dict[str, float]:
    """Summarise lightness and chroma of int16 hundredths (3, S, S), in CIELAB units with 4 decimals."""
    L, a, b = lab.astype(np.float64) / 100
    chroma = np.hypot(a, b)
    figures = {
        "L_mean": L.mean(),
        "L_std": L.std(),
        "chroma_mean": chroma.mean(),
        "chroma_p95": np.quantile(chroma, 0.95),
        "tone_spread": tone_spread(lab),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def perceptual_hash(photo: Image.Image) -> int:
    """Hash what a photo shows to 64 bits (DCT hash); photos of one scene differ in few of them."""
    return int(str(imagehash.phash(photo)), 16)
