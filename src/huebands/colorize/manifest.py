"""The manifest of a folder of results, huebands.jsonl: what was done, so that a later run goes on from there.

Each photo that was colorized, or could not be, adds a line of JSON, which is on the disk before the next one. The last
line about a result counts. A line that was cut by a power failure counts as missing.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from huebands import __version__
from huebands.files.journal import append_line
from huebands.photos.encode import Format

NAME = "huebands.jsonl"
_WRITER = "huebands"  # the key that tells lines of ours


class ManifestError(ValueError):
    """A file that is no manifest stands in its place; the message names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was made of a photo.

    Attributes:
        photo: path of the photo, as it was given.
        result: path of its results below the folder, without their endings, with "/".
        settings: what was asked of it, and the hash of the model package.
        page: of the photo's file, from 1; None: its only one.
        format: of the pictures.
        lost: what of the photo's metadata the result does not keep, in words.
        error: why there is no result; None: there is one.
        sha256: of the photo's file.
        files: paths of the results below the folder.
        model: name of the package.
        width: of the photo, pixels.
        height: of the photo, pixels.
        likeness: conformal p-value of the photo among the calibration photos.
        looks_drawn: whether it is unlike them and may be a page of text or a drawing.
        mean_width: of the bands, 8-bit levels.
        expected_error: mean over the photo, CIEDE2000; None where the model gives none.
        samples_outside: share of each sample outside the bands.
        caveat: what holds in place of the guarantee; None: it holds.
        law: what the guarantee needs of the hints; None: nothing.
        unusual_hints: which hints are unusual, in words; "": none.
        own_colour: of the photo, which was not used: "none", "tinted" or "colour".
        border: around the picture, in words; None: none.
        seconds: that the photo took, in its process.
    """

    photo: str
    result: str
    settings: Mapping[str, Any]
    page: int | None = None
    format: Format = "png"
    lost: tuple[str, ...] = ()
    error: str | None = None
    sha256: str | None = None
    files: tuple[str, ...] = ()
    model: str | None = None
    width: int | None = None
    height: int | None = None
    likeness: float | None = None
    looks_drawn: bool = False
    mean_width: float | None = None
    expected_error: float | None = None
    samples_outside: tuple[float, ...] = ()
    caveat: str | None = None
    law: str | None = None
    unusual_hints: str = ""
    own_colour: str | None = None
    border: str | None = None
    seconds: float | None = None


@dataclass
class Manifest:
    """The manifest of a folder, read once and added to.

    Attributes:
        path: of the file.
        lines: the last line about each result, by `Record.result`.
    """

    path: Path
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a folder; one that is missing has no lines.

        Raises:
            ManifestError: when another file stands in its place.
            OSError: when it cannot be read.
        """
        manifest = cls(folder / NAME)
        try:
            mode = manifest.path.lstat().st_mode
        except FileNotFoundError:
            return manifest
        content = manifest.path.read_bytes() if stat.S_ISREG(mode) else None
        lines = [] if content is None else [line for line in map(_parse, content.splitlines()) if line is not None]
        if content is None or (content.strip() and not lines):
            raise ManifestError(f"{manifest.path}: is not a manifest of huebands; move it, or choose another --output")
        for line in lines:
            manifest.lines[line["result"]] = line
        return manifest

    def is_done(self, record: Record) -> bool:
        """Whether the very same was asked of the very same photo before, and the results are there.

        Args:
            record: with photo, hash and settings.
        """
        line = self.lines.get(record.result)
        if line is None or line.get("error") is not None:
            return False
        asked = {"sha256": record.sha256, "settings": json.loads(json.dumps(dict(record.settings)))}
        if any(line.get(key) != value for key, value in asked.items()):
            return False
        files = [self.path.parent / file for file in line["files"]]
        return bool(files) and all(file.is_file() and not file.is_symlink() for file in files)

    def add(self, record: Record) -> None:
        """Add a line, and bring it to the disk.

        Raises:
            OSError: when it cannot be written.
        """
        line = json.dumps({_WRITER: __version__, **asdict(record)})
        append_line(self.path, line)
        self.lines[record.result] = json.loads(line)


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    is_ours = isinstance(line, dict) and _WRITER in line and isinstance(line.get("result"), str)
    return line if is_ours and isinstance(line.get("files"), list) else None
