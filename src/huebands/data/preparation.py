"""From photos to Lab squares, near-duplicate groups and splits.

Every decision about a photo depends on that photo and on photos before it in the index alone, so appending
photos never moves an old one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import imagehash
import numpy as np
import torch
from PIL import Image

from huebands import color
from huebands.params import SPLITS


@dataclass(frozen=True)
class LabSquare:
    """A photo in the prepared format, with what the manifest says of it.

    Attributes:
        lab: int16 hundredths of CIELAB, (3, S, S).
        statistics: L_mean, L_std, chroma_mean and chroma_p95 of those pixels, CIELAB units, 4 decimals.
        phash: perceptual hash of the whole photo, 64 bits.
    """

    lab: np.ndarray
    statistics: dict[str, float]
    phash: int


@dataclass(frozen=True)
class Candidate:
    """What the grouping needs to know of a photo."""

    id: str
    phash: int
    chroma_mean: float


@dataclass(frozen=True)
class Placement:
    """Where a photo goes: a group and its split, or, with a reason, nowhere."""

    id: str
    group: str = ""
    split: str = ""
    reason: str = ""


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
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def perceptual_hash(photo: Image.Image) -> int:
    """Hash what a photo shows to 64 bits (DCT hash); photos of one scene differ in few of them."""
    return int(str(imagehash.phash(photo)), 16)


def place(
    candidates: Sequence[Candidate],
    min_chroma: float,
    group_distance: int,
    salt: str,
    fractions: Mapping[str, float],
) -> list[Placement]:
    """Give each photo, in index order, its near-duplicate group and split, or set it aside.

    Leader clustering: a photo joins the group of the first kept photo within `group_distance` bits, else it
    leads a group of its own. A photo near kept photos of different splits is set aside: it can join neither
    without putting one scene in two splits, and moving them would move old photos.

    Args:
        candidates: in index order.
        min_chroma: photos with a lower mean chroma are near-grey and set aside, CIELAB units.
        group_distance: Hamming distance of 64-bit perceptual hashes.
        salt: of the split's hash.
        fractions: share of each split.

    Returns:
        One placement a candidate, in the same order.
    """
    hashes = np.empty(len(candidates), dtype=np.uint64)
    kept: list[Placement] = []
    placements = []
    for candidate in candidates:
        if candidate.chroma_mean < min_chroma:
            reason = f"near-grey: mean chroma {candidate.chroma_mean:.4f} is below {min_chroma:g}"
            placements.append(Placement(id=candidate.id, reason=reason))
            continue
        distances = np.bitwise_count(hashes[: len(kept)] ^ np.uint64(candidate.phash))
        near = [kept[index] for index in np.flatnonzero(distances <= group_distance)]
        first_of_split = {photo.split: photo for photo in reversed(near)}
        if len(first_of_split) > 1:
            photos = ", ".join(f"{photo.id} ({split})" for split, photo in sorted(first_of_split.items()))
            placements.append(Placement(id=candidate.id, reason=f"bridges splits: near-duplicate of {photos}"))
            continue
        group = near[0].group if near else candidate.id
        placement = Placement(id=candidate.id, group=group, split=split_of(group, salt, fractions))
        hashes[len(kept)] = candidate.phash
        kept.append(placement)
        placements.append(placement)
    return placements


def split_of(group: str, salt: str, fractions: Mapping[str, float]) -> str:
    """Choose a group's split: the salted sha256 as a number in [0, 1), against the cumulative fractions."""
    digest = hashlib.sha256(f"{salt}:{group}".encode()).digest()
    number = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    wanted = [split for split in SPLITS if fractions[split] > 0]
    for split, bound in zip(wanted, accumulate(fractions[split] for split in wanted), strict=True):
        if number < bound:
            return split
    # The fractions' sum may fall short of 1 by a rounding error.
    return wanted[-1]
