"""The splits that photos were given, remembered in a small text file of git: one line a photo.

The stage prepare reads and extends data/splits/NAME.csv, where NAME is data.name. A line stays when its photo is
removed, so that a near-duplicate that comes later joins the split in which models have seen the scene. Lines are
sorted by hash: additions of two branches seldom meet, and git keeps both where they do (`.gitattributes`).
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huebands.data.params import SPLITS, PrepareParams
from huebands.files import atomic

FOLDER = Path("data/splits")
_COLUMNS = "id,phash,group,split"
_RULE = "# split by "


class AssignmentError(ValueError):
    """The remembered splits cannot be read, or were made by another rule."""


@dataclass(frozen=True)
class Assignment:
    """The group and the split that a photo was given once.

    Attributes:
        id: first 16 hexadecimal digits of the sha256 of its bytes.
        phash: perceptual hash of the photo, 64 bits.
        group: ID of the photo that led its near-duplicate group.
        split: one of `SPLITS`.
    """

    id: str
    phash: int
    group: str
    split: str


@dataclass(frozen=True)
class Assignments:
    """The remembered photos of a data set.

    Attributes:
        path: file that keeps them; it need not exist.
        rule: parameters that decided the splits, as JSON; empty while nothing is remembered.
        photos: in the order of their IDs.
    """

    path: Path
    rule: str = ""
    photos: Sequence[Assignment] = ()

    @classmethod
    def read(cls, path: Path) -> "Assignments":
        """Read a file; one that is missing remembers nothing.

        Raises:
            AssignmentError: naming the line, when it cannot be read, or contradicts another one.
        """
        if not path.is_file():
            return cls(path)
        rules, photos = set[str](), dict[str, Assignment]()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise AssignmentError(f"{path}: not UTF-8 ({error}); restore the file from git") from error
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith(_RULE):
                rules.add(_check_json(line.removeprefix(_RULE), f"{path}:{number}"))
            elif line != _COLUMNS:
                photo = _parse(line, f"{path}:{number}")
                if photos.setdefault(photo.id, photo) != photo:
                    raise AssignmentError(
                        f"{path}:{number}: photo {photo.id} has another line, with split {photos[photo.id].split!r} and"
                        f" group {photos[photo.id].group}; keep the one that models were trained with"
                    )
        if len(rules) != 1:
            raise AssignmentError(
                f"{path}: {len(rules)} lines begin with {_RULE.strip()!r}, and one must; restore the file from git"
            )
        return cls(path, rules.pop(), [photos[identity] for identity in sorted(photos)])

    def check_rule(self, settings: PrepareParams) -> None:
        """Refuse parameters that would split new photos by another rule than the remembered ones.

        Raises:
            AssignmentError: naming the parameter, both values and the remedy.
        """
        if not self.rule:
            return
        old, new = json.loads(self.rule), json.loads(rule_of(settings))
        for key, value in new.items():
            if old.get(key) != value:
                raise AssignmentError(
                    f"prepare.{key} (={value!r}) must be that of {self.path} (={old.get(key)!r}), by which its"
                    f" {len(self.photos)} photos were split; set it back, or remove {self.path} to split every photo"
                    " anew: then test photos of today may have been trained on by models of before"
                )

    def extended(self, photos: Iterable[Assignment], settings: PrepareParams) -> "Assignments":
        """Add assignments; those that are remembered stay as they are."""
        known = {photo.id: photo for photo in self.photos}
        for photo in photos:
            known.setdefault(photo.id, photo)
        return replace(self, rule=rule_of(settings), photos=[known[identity] for identity in sorted(known)])

    def write(self) -> None:
        """Replace the file, unless it has this content already."""
        rows = [f"{photo.id},{photo.phash:016x},{photo.group},{photo.split}" for photo in self.photos]
        text = "\n".join((_RULE + self.rule, _COLUMNS, *rows)) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.is_file() or self.path.read_text(encoding="utf-8") != text:
            atomic.write_text(self.path, text)


def path_of(name: str) -> Path:
    """The file of a data set, by data.name."""
    return FOLDER / f"{name}.csv"


def rule_of(settings: PrepareParams) -> str:
    """The parameters that decide the splits, as JSON with sorted keys."""
    rule = {"salt": settings.salt, "group_distance": settings.group_distance, "fractions": settings.fractions}
    return json.dumps(rule, sort_keys=True)


def _check_json(rule: str, place: str) -> str:
    try:
        is_mapping = isinstance(json.loads(rule), dict)
    except json.JSONDecodeError:
        is_mapping = False
    if not is_mapping:
        raise AssignmentError(
            f"{place}: {rule!r} must be a JSON object, the parameters of the splits; restore the file from git"
        )
    return rule


def _parse(line: str, place: str) -> Assignment:
    match = re.fullmatch(rf"([0-9a-f]{{16}}),([0-9a-f]{{16}}),([0-9a-f]{{16}}),({'|'.join(SPLITS)})", line)
    if match is None:
        raise AssignmentError(
            f"{place}: {line!r} must be {_COLUMNS}: three times 16 hexadecimal digits, and one of {', '.join(SPLITS)};"
            " restore the file from git, or, after a merge, keep the lines of both sides"
        )
    identity, phash, group, split = match.groups()
    return Assignment(identity, int(phash, 16), group, split)
