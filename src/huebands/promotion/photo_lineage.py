"""Which models and suites saw a photo or a near-duplicate of it, and what must be done if it has to go."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from huebands.data.preparation import perceptual_hash
from huebands.photos.read import read_photo
from huebands.promotion import photo_lists
from huebands.promotion.photo_lists import PhotoList

_ID = 16  # hexadecimal digits of a sha256 that name a photo
# What a photo of a split does to a model.
EFFECTS = {
    "train": "weights and density learned from it",
    "val": "the density's epoch and the bands' shape were chosen with it",
    "calibration": "bands were calibrated with it",
    "test": "figures were measured with it",
}


@dataclass(frozen=True)
class Subject:
    """The photo that is looked for.

    Attributes:
        id: first 16 hexadecimal digits of the sha256 of its bytes.
        phash: perceptual hash; None where only the sha256 is known.
    """

    id: str
    phash: int | None


@dataclass(frozen=True)
class Sighting:
    """A photo of a list that is the subject or a near-duplicate.

    Attributes:
        id: like that of the subject.
        split: split that it is in; empty in a suite.
        bits: Hamming distance of the perceptual hashes; None for the photo itself.
        source: where it came from; empty where the list does not say.
    """

    id: str
    split: str
    bits: int | None
    source: str = ""

    def __str__(self) -> str:
        split = f"{self.split}: " if self.split else ""
        what = "the photo itself" if self.bits is None else f"its near-duplicate {self.id} ({self.bits} bits away)"
        return split + what + (f", from {self.source}" if self.source else "")


def trace(photo: str, distance: int) -> tuple[list[str], list[Exception]]:
    """Say in lines where a photo is remembered, which versions and suites saw it and what undoes that.

    Args:
        photo: path of a file, or 16 to 64 hexadecimal digits of its sha256.
        distance: perceptual hashes (64 bits) this near or nearer are one scene.

    Returns:
        The lines, and the errors of lists that cannot be read; of several for the same reason, one.

    Raises:
        ValueError: when `photo` is neither, or the file is no photo; ImageError is one.
        OSError: when the file cannot be read.
    """
    splits, versions = list(photo_lists.of_splits()), list(photo_lists.of_versions())
    suites = list(photo_lists.of_suites())
    every = [*splits, *versions, *suites]
    subject = find_subject(photo, [each.photos for each in every if each.photos is not None])
    lines = [
        f"photo {subject.id}" + ("" if subject.phash is None else f", perceptual hash {subject.phash:016x}"),
        *_about_unknown_hash(subject),
        *_about_splits(splits, subject, distance),
        *report(versions, suites, subject, distance),
        *_about_releases(),
    ]
    problems = {str(each.problem): each.problem for each in every if each.problem is not None}
    return lines, list(problems.values())


def find_subject(photo: str, lists: Iterable[pd.DataFrame]) -> Subject:
    """Identify a photo by its file, or by its hash; the lists give the perceptual hash of the latter.

    Raises:
        ValueError: like `trace`.
    """
    path = Path(photo)
    if path.is_file():
        content = path.read_bytes()
        pixels = read_photo(content, photo)
        return Subject(sha256(content).hexdigest()[:_ID], perceptual_hash(Image.fromarray(pixels)))
    if not re.fullmatch(r"[0-9a-f]{16,64}", photo):
        raise ValueError(f"{photo}: neither a file nor 16 to 64 hexadecimal digits of a photo's sha256")
    identity = photo[:_ID]
    for table in lists:
        matches = table[table["sha256"].str.startswith(identity)]
        if not matches.empty:
            return Subject(identity, int(matches["phash"].iloc[0], 16))
    return Subject(identity, None)


def sightings(photos: pd.DataFrame, subject: Subject, distance: int) -> list[Sighting]:
    """Find the subject and its near-duplicates in a list, the nearest first.

    Args:
        photos: columns sha256, phash, split and source.
        subject: photo that is looked for.
        distance: like that of `trace`.
    """
    same = photos["sha256"].str.startswith(subject.id).to_numpy(dtype=bool)
    bits = np.full(len(photos), 64)
    if subject.phash is not None:
        hashes = np.array([int(phash, 16) for phash in photos["phash"]], dtype=np.uint64)
        bits = np.bitwise_count(hashes ^ np.uint64(subject.phash)).astype(int)
    rows = np.flatnonzero(same | ((bits <= distance) & (subject.phash is not None)))
    found = [
        Sighting(
            photos["sha256"].iloc[row][:_ID],
            photos["split"].iloc[row],
            None if same[row] else int(bits[row]),
            photos["source"].iloc[row],
        )
        for row in rows
    ]
    return sorted(found, key=lambda sighting: (-1 if sighting.bits is None else sighting.bits, sighting.id))


def report(
    versions: Sequence[PhotoList], suites: Sequence[PhotoList], subject: Subject, distance: int
) -> Iterator[str]:
    """Say for each version and suite whether it saw the subject, and for all together what has to be done."""
    steps, retired, unknown = list[str](), list[str](), list[str]()
    for seen in (*versions, *suites):
        if seen.photos is None:
            yield _about_unknown_photos(seen)
            unknown.append(seen.owner)
            continue
        found = sightings(seen.photos, subject, distance)
        for sighting in found:
            yield f"{seen.owner}: {sighting}: {EFFECTS.get(sighting.split, 'versions were judged on it')}"
        if not found:
            yield f"{seen.owner}: {'does not hold it' if seen.removal else 'never saw it'}"
        elif seen.removal:
            steps.append(f"  {seen.owner}: {seen.removal}")
        else:
            retired.append(seen.owner)
    if not versions:
        yield "the registry holds no version"
    if retired:
        steps.insert(0, f"  retire {', '.join(retired)}")
    if steps:
        yield (
            "if it has to go: remove it and its near-duplicates from their sources, run `dvc repro`, which trains,"
            " evaluates and calibrates without them, and"
        )
    yield from steps
    if unknown:
        yield f"  {', '.join(unknown)}: may have seen it too, since no list says so or denies it"


def _about_splits(splits: Iterable[PhotoList], subject: Subject, distance: int) -> Iterator[str]:
    for seen in splits:
        if seen.photos is None:
            yield _about_unknown_photos(seen)
        else:
            yield from (f"{seen.owner}: remembered in {found}" for found in sightings(seen.photos, subject, distance))


def _about_unknown_photos(seen: PhotoList) -> str:
    return f"{seen.owner}: unknown: " + ("it keeps no list of its photos" if seen.problem is None else "cannot be read")


def _about_unknown_hash(subject: Subject) -> Iterator[str]:
    if subject.phash is None:
        yield "no list holds this hash, so its near-duplicates cannot be looked for; name the photo's file"


def _about_releases() -> Iterator[str]:
    for folder in sorted(path for path in Path("models/release").glob("*") if path.is_dir()):
        yield f"{folder}: unknown: packages outside the registry keep no list of their photos"
