"""The lists of photos that are kept: by the remembered splits, by registered versions and by suites."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from huebands.data.assignments import FOLDER, AssignmentError, Assignments
from huebands.promotion.stored_suite import list_photos
from huebands.promotion.suite import SuiteError
from huebands.registry.connection import TrackingError
from huebands.registry.suites import list_suites
from huebands.registry.training_photos import list_versions, read_photos

_COLUMNS = ["sha256", "phash", "split", "source"]


@dataclass(frozen=True)
class PhotoList:
    """The photos that something has seen or holds.

    Attributes:
        owner: a file of remembered splits, a version or a suite, in words.
        photos: columns sha256, phash, split and source, which may be empty; None where they are not known.
        problem: why a list that is kept cannot be read.
        removal: how a photo is removed from a suite; empty for others.
    """

    owner: str
    photos: pd.DataFrame | None
    problem: Exception | None = None
    removal: str = ""


def of_splits() -> Iterator[PhotoList]:
    """The photos of each file of remembered splits."""
    for path in sorted(FOLDER.glob("*.csv")):
        try:
            rows = [(photo.id, f"{photo.phash:016x}", photo.split, "") for photo in Assignments.read(path).photos]
        except (AssignmentError, OSError) as error:
            yield PhotoList(str(path), None, error)
        else:
            yield PhotoList(str(path), _table(rows))


def of_versions() -> Iterator[PhotoList]:
    """The photos that each registered version has seen."""
    try:
        versions = list_versions()
    except TrackingError as error:
        yield PhotoList("versions of the registry", None, error)
        return
    for version, aliases in versions:
        owner = version.uri + (f" ({', '.join(aliases)})" if aliases else "")
        try:
            yield PhotoList(owner, read_photos(version))
        except TrackingError as error:
            yield PhotoList(owner, None, error)


def of_suites() -> Iterator[PhotoList]:
    """The photos of each suite in the registry; their split is empty."""
    try:
        suites = list_suites()
    except TrackingError as error:
        yield PhotoList("suites of the registry", None, error)
        return
    for model, suite, in_use in suites:
        owner = f"suite {suite.number} of {model}" + (" (in use)" if in_use else "")
        first = "take new photos with `huebands registry suite --new`, then " if in_use else ""
        removal = f"{first}delete run {suite.run_id}, which has its files"
        try:
            rows = [(photo.sha256, photo.phash, "", photo.source) for photo in list_photos(suite)]
        except (SuiteError, TrackingError) as error:
            yield PhotoList(owner, None, SuiteError(f"{owner}: {error}"), removal)
        else:
            yield PhotoList(owner, _table(rows), removal=removal)


def _table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=str)
