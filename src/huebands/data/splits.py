"""Near-duplicate groups of photos, and the split that each group belongs to.

Every decision about a photo depends on that photo and on photos before it in the index alone, so appending
photos never moves an old one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from huebands.data.params import SPLITS


@dataclass(frozen=True)
class Candidate:
    """What the grouping needs to know of a photo."""

    id: str
    phash: int
    chroma_mean: float
    tone_spread: float


@dataclass(frozen=True)
class Placement:
    """Where a photo goes: a group and its split, or, with a reason, nowhere."""

    id: str
    group: str = ""
    split: str = ""
    reason: str = ""


def place(
    candidates: Sequence[Candidate],
    min_chroma: float,
    min_tone_spread: float,
    group_distance: int,
    salt: str,
    fractions: Mapping[str, float],
) -> list[Placement]:
    """Give each photo, in index order, its near-duplicate group and split, or set it aside.

    Leader clustering: a photo joins the group of the first grouped photo within `group_distance` bits, else it
    leads a group of its own. A photo near grouped photos of different splits is set aside: it can join neither
    without putting one scene in two splits, and moving them would move old photos.

    Args:
        candidates: in index order.
        min_chroma: photos with a lower mean chroma are near-grey and set aside, CIELAB units.
        min_tone_spread: photos with a lower tone spread are tinted and set aside, CIELAB units.
        group_distance: Hamming distance of 64-bit perceptual hashes.
        salt: of the split's hash.
        fractions: share of each split.

    Returns:
        One placement a candidate, in the same order.
    """
    hashes = np.empty(len(candidates), dtype=np.uint64)
    members: list[Placement] = []
    placements = []
    for candidate in candidates:
        if reason := _colourless(candidate, min_chroma, min_tone_spread):
            placements.append(Placement(id=candidate.id, reason=reason))
            continue
        distances = np.bitwise_count(hashes[: len(members)] ^ np.uint64(candidate.phash))
        neighbours = [members[index] for index in np.flatnonzero(distances <= group_distance)]
        first_of_split = {photo.split: photo for photo in reversed(neighbours)}
        if len(first_of_split) > 1:
            photos = ", ".join(f"{photo.id} ({split})" for split, photo in sorted(first_of_split.items()))
            placements.append(Placement(id=candidate.id, reason=f"bridges splits: near-duplicate of {photos}"))
            continue
        group = neighbours[0].group if neighbours else candidate.id
        placement = Placement(id=candidate.id, group=group, split=split_of(group, salt, fractions))
        hashes[len(members)] = candidate.phash
        members.append(placement)
        placements.append(placement)
    return placements


def _colourless(candidate: Candidate, min_chroma: float, min_tone_spread: float) -> str:
    """Say why a photo's colours are no true ones; empty when they may be."""
    if candidate.chroma_mean < min_chroma:
        return f"near-grey: mean chroma {candidate.chroma_mean:.4f} is below {min_chroma:g}"
    if candidate.tone_spread < min_tone_spread:
        return f"tinted: tone spread {candidate.tone_spread:.4f} is below {min_tone_spread:g}"
    return ""


def split_of(group: str, salt: str, fractions: Mapping[str, float]) -> str:
    """Choose a group's split: the salted sha256 as a number in [0, 1), against the cumulative fractions."""
    digest = hashlib.sha256(f"{salt}:{group}".encode()).digest()
    number = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    splits = [split for split in SPLITS if fractions[split] > 0]
    for split, bound in zip(splits, accumulate(fractions[split] for split in splits), strict=True):
        if number < bound:
            return split
    # The fractions' sum may fall short of 1 by a rounding error.
    return splits[-1]
