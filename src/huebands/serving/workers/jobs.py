"""What travels between the process that speaks HTTP and those that colorize: a job, and what came of it."""

from dataclasses import dataclass, field
from typing import Literal

from huebands.conformal.guarantee import Guarantee

Kind = Literal["colorize", "bands", "explore"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photo to work on.

    Attributes:
        kind: "colorize" for a PNG, "bands" for an archive, "explore" for what the page draws from.
        content: the bytes of the upload, not decoded yet.
        name: of the file, as the client gave it.
        guarantee: that its bands are to keep; the calibration supports it.
    """

    kind: Kind
    content: bytes
    name: str
    guarantee: Guarantee


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is told of an answered photo in headers, metrics and logs: numbers alone, never content.

    Attributes:
        width: pixels.
        height: pixels.
        band_width: mean over pixels and channels, 8-bit levels.
        likeness: conformal p-value of the photo's likeness to the calibration photos.
        outside: of a photo that came in colour, the share of its channel values (per_channel) or pixels (joint) whose
            true value left its band; None for a grey photo.
        seconds: that each part of the work took: decode, colorize, encode.
    """

    width: int
    height: int
    band_width: float
    likeness: float
    outside: float | None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A finished job."""

    body: bytes
    media_type: str
    headers: dict[str, str]
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A job that cannot be done, through its sender's fault.

    Attributes:
        status: of the HTTP answer.
        reason: one line for the sender.
        cause: short and of few values, to count by: "format", "image", ...
    """

    status: int
    reason: str
    cause: str


Outcome = Answer | Refusal
