"""Which models saw a photo or a near-duplicate of it, in which split, and what must be made again if it has to go."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from huebands.data.assignments import FOLDER, Assignments
from huebands.data.params import SPLITS
from huebands.data.preparation import perceptual_hash
from huebands.photos.read import read_photo
from huebands.registry.models import RegisteredPackage
from huebands.registry.training_photos import list_versions, read_photos

_ID = 16  # hexadecimal digits of a sha256 that name a photo
# What a photo of a split does to a model, and the stages that undo it.
EFFECTS = {
    "train": ("weights and density learned from it", "train, fit-density and calibrate"),
    "val": ("the density's epoch and the bands' shape were chosen with it", "fit-density and calibrate"),
    "calibration": ("bands were calibrated with it", "calibrate"),
    "test": ("figures were measured with it", "evaluate, and calibrate for its certificate"),
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
        split: split that it is in.
        bits: Hamming distance of the perceptual hashes; None for the photo itself.
        source: where it came from; empty where the list does not say.
    """

    id: str
    split: str
    bits: int | None
    source: str = ""

    def __str__(self) -> str:
        what = "the photo itself" if self.bits is None else f"its near-duplicate {self.id} ({self.bits} bits away)"
        return f"{self.split}: {what}" + (f", from {self.source}" if self.source else "")


@dataclass(frozen=True)
class SeenBy:
    """What is known of one version.

    Attributes:
        version: version in the registry.
        aliases: aliases that point at it.
        photos: photos that it has seen; None where it keeps no list.
    """

    version: RegisteredPackage
    aliases: Sequence[str]
    photos: pd.DataFrame | None


def trace(photo: str, distance: int) -> list[str]:
    """Say in lines where a photo is remembered, which versions saw it and what undoes that.

    Args:
        photo: path of a file, or 16 to 64 hexadecimal digits of its sha256.
        distance: perceptual hashes (64 bits) this near or nearer are one scene.

    Raises:
        ValueError: when `photo` is neither, or the file is no photo; ImageError is one.
        AssignmentError, TrackingError: when a list cannot be read, or the store does not answer.
    """
    remembered = {path: _table_of(Assignments.read(path)) for path in sorted(FOLDER.glob("*.csv"))}
    versions = [SeenBy(version, aliases, read_photos(version)) for version, aliases in list_versions()]
    lists = [*remembered.values(), *(seen.photos for seen in versions if seen.photos is not None)]
    subject = find_subject(photo, lists)
    return [
        f"photo {subject.id}" + ("" if subject.phash is None else f", perceptual hash {subject.phash:016x}"),
        *_about_unknown_hash(subject),
        *(f"{path}: {line}" for path, table in remembered.items() for line in _in_file(table, subject, distance)),
        *report(versions, subject, distance),
        *_about_releases(),
    ]


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
        photos: columns sha256, phash, split and, if known, source.
        subject: photo that is looked for.
        distance: like that of `trace`.
    """
    same = photos["sha256"].str.startswith(subject.id).to_numpy(dtype=bool)
    bits = np.full(len(photos), 64)
    if subject.phash is not None:
        hashes = np.array([int(phash, 16) for phash in photos["phash"]], dtype=np.uint64)
        bits = np.bitwise_count(hashes ^ np.uint64(subject.phash)).astype(int)
    rows = np.flatnonzero(same | ((bits <= distance) & (subject.phash is not None)))
    sources = photos["source"] if "source" in photos else pd.Series("", index=photos.index)
    found = [
        Sighting(
            photos["sha256"].iloc[row][:_ID],
            photos["split"].iloc[row],
            None if same[row] else int(bits[row]),
            sources.iloc[row],
        )
        for row in rows
    ]
    return sorted(found, key=lambda sighting: (-1 if sighting.bits is None else sighting.bits, sighting.id))


def report(versions: Sequence[SeenBy], subject: Subject, distance: int) -> Iterator[str]:
    """Say for each version whether it saw the subject, and for all together what has to be made again."""
    again = defaultdict[str, list[str]](list)
    for seen in versions:
        name = seen.version.uri + (f" ({', '.join(seen.aliases)})" if seen.aliases else "")
        if seen.photos is None:
            yield f"{name}: unknown: it keeps no list of its photos"
            again["unknown"].append(name)
            continue
        found = sightings(seen.photos, subject, distance)
        for sighting in found:
            yield f"{name}: {sighting}: {EFFECTS[sighting.split][0]}"
        if not found:
            yield f"{name}: never saw it"
        for split in SPLITS:
            if any(sighting.split == split for sighting in found):
                again[split].append(name)
                break  # what the first split needs covers the others
    if not versions:
        yield "the registry holds no version"
    if any(split in again for split in SPLITS):
        yield "if it has to go: remove it and its near-duplicates from their sources, run `dvc repro`, and retire:"
    for split in SPLITS:
        if split in again:
            yield f"  {', '.join(again[split])}: replaced by a run of {EFFECTS[split][1]}"
    if again["unknown"]:
        yield f"  {', '.join(again['unknown'])}: may have seen it too, since no list says so or denies it"


def _in_file(table: pd.DataFrame, subject: Subject, distance: int) -> Iterator[str]:
    for sighting in sightings(table, subject, distance):
        yield f"remembered in {sighting}"


def _table_of(assignments: Assignments) -> pd.DataFrame:
    rows = [(photo.id, f"{photo.phash:016x}", photo.split) for photo in assignments.photos]
    return pd.DataFrame(rows, columns=["sha256", "phash", "split"], dtype=str)


def _about_unknown_hash(subject: Subject) -> Iterator[str]:
    if subject.phash is None:
        yield "no list holds this hash, so its near-duplicates cannot be looked for; name the photo's file"


def _about_releases() -> Iterator[str]:
    for folder in sorted(path for path in Path("models/release").glob("*") if path.is_dir()):
        yield f"{folder}: unknown: packages outside the registry keep no list of their photos"
