"""What a colorized picture states of itself, read back from its XMP."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huebands.colorize import xmp
from huebands.colorize.credentials import describe_credentials
from huebands.colorize.mark import PIXELS, hash_of_file, stated_hash
from huebands.photos.encode import format_of
from huebands.photos.formats import open_image
from huebands.photos.metadata import Metadata


class StatementError(ValueError):
    """A file states nothing; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a picture states.

    Attributes:
        facts: of the result, by name.
        is_as_written: whether its pixels have the hash that it states.
        credentials: who signed it, and whether the signature holds, in words; None: it is not signed, or the library is
            missing.
    """

    facts: Mapping[str, str]
    is_as_written: bool
    credentials: str | None = None

    @property
    def in_words(self) -> str:
        """One sentence."""
        state = "are as they were written" if self.is_as_written else "were changed since they were written"
        return f"a guess of Huebands; its pixels {state}"


def read_statement(path: Path) -> Statement:
    """Read what a picture states.

    Raises:
        StatementError: when it cannot be read as a picture, or states nothing of Huebands.
        OSError: when there is no such file.
    """
    with path.open("rb") as file:
        try:
            image = open_image(file)
            stated = stated_hash(image)
            facts = xmp.properties_of(Metadata.of(image).xmp)
        except Exception as error:  # Pillow raises almost any exception on damaged bytes
            raise StatementError(f"{path}: cannot be read as a picture") from error
    if stated is None:
        raise StatementError(f"{path}: states nothing of Huebands: it is no result, or its metadata were removed")
    facts.pop(PIXELS, None)
    try:
        is_as_written = hash_of_file(path) == stated
    except Exception:  # likewise: pixels that cannot be read are not those that were written
        is_as_written = False
    credentials = describe_credentials(path.read_bytes(), format_of(image.format or ""))
    return Statement(facts=facts, is_as_written=is_as_written, credentials=credentials)
