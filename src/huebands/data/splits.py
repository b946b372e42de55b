"""Near-duplicate groups of photos, and the split that each group belongs to.

A photo that was placed before stays where it is. The decision about a new photo depends on that photo, on those placed
before and on new ones before it in the index alone.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from huebands.data.assignments import Assignment
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
    remembered: Collection[Assignment] = (),
) -> list[Placement]:
    """Give each photo its near-duplicate group and split, or set it aside.

    A remembered photo keeps its group and split. Leader clustering places the others, in index order: a photo joins the
    group of the first grouped photo within `group_distance` bits, else it leads a group of its own. A photo near
    grouped photos of different splits is set aside: it can join neither without putting one scene in two splits, and
    moving them would move old photos. Remembered photos that are no longer there count as grouped photos too: a model
    may have seen them.

    Args:
        candidates: in index order.
        min_chroma: photos with a lower mean chroma are near-grey and set aside, CIELAB units.
        min_tone_spread: photos with a lower tone spread are tinted and set aside, CIELAB units.
        group_distance: Hamming distance of 64-bit perceptual hashes.
        salt: of the split's hash.
        fractions: share of each split.
        remembered: assignments of earlier runs.

    Returns:
        One placement a candidate, in the same order.
    """
    known = {photo.id: photo for photo in remembered}
    members = [Placement(id=photo.id, group=photo.group, split=photo.split) for photo in remembered]
    hashes = np.zeros(len(members) + len(candidates), dtype=np.uint64)
    hashes[: len(members)] = [photo.phash for photo in remembered]

    def near(phash: int) -> list[Placement]:
        distances = np.bitwise_count(hashes[: len(members)] ^ np.uint64(phash))
        return [members[index] for index in np.flatnonzero(distances <= group_distance)]

    placements = []
    for candidate in candidates:
        if reason := _colourless(candidate, min_chroma, min_tone_spread):
            placements.append(Placement(id=candidate.id, reason=reason))
        elif old := known.get(candidate.id):
            placements.append(_keep(old, near(old.phash)))
        else:
            placement = _join(candidate.id, near(candidate.phash), salt, fractions)
            if not placement.reason:
                hashes[len(members)] = candidate.phash
                members.append(placement)
            placements.append(placement)
    return placements


def _join(identity: str, neighbours: Sequence[Placement], salt: str, fractions: Mapping[str, float]) -> Placement:
    """Place a new photo beside its near-duplicates, or in a group of its own."""
    first_of_split = {photo.split: photo for photo in reversed(neighbours)}
    if len(first_of_split) > 1:
        photos = ", ".join(f"{photo.id} ({split})" for split, photo in sorted(first_of_split.items()))
        return Placement(id=identity, reason=f"bridges splits: near-duplicate of {photos}")
    group = neighbours[0].group if neighbours else identity
    split = neighbours[0].split if neighbours else split_of(group, salt, fractions)
    return Placement(id=identity, group=group, split=split)


def _keep(old: Assignment, neighbours: Sequence[Placement]) -> Placement:
    """Leave a remembered photo in its place, unless a near-duplicate of it is in an earlier split.

    Two branches that are merged may each have remembered one of two near-duplicates. Training photos stay: models have
    learned them.
    """
    for other in neighbours:
        if SPLITS.index(other.split) < SPLITS.index(old.split):
            reason = f"in two splits: remembered in {old.split}, near-duplicate of {other.id} ({other.split})"
            return Placement(id=old.id, reason=reason)
    return Placement(id=old.id, group=old.group, split=old.split)


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
