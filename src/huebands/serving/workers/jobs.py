"""The jobs that the HTTP process gives to the worker pool, and their outcomes."""

from dataclasses import dataclass, field
from typing import Literal

from huebands.colorize.hints import HintRequest
from huebands.colorize.sampling import Sampling
from huebands.conformal.error_map import MapName
from huebands.conformal.guarantee import Guarantee

Kind = Literal["colorize", "bands", "explore"]
Unwatched = Literal["grey", "tinted", "guided"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photo to colorize.

    Attributes:
        kind: "colorize" for a PNG, "bands" for an archive, "explore" for what the page draws from.
        content: the bytes of the upload, not decoded yet.
        name: name of the file, as the client gave it.
        guarantee: guarantee that its bands are to keep; the calibration supports it.
        map_name: map of uncertainty that the archive shows; None: the model's usual one.
        sampling: further colourings that the archive is to hold; None: none.
        hints: colours that someone has painted on the photo; None: none.
        like: the file of a reference photo, whose colours it is to take; None: none.
        crop_border: whether the border around its picture, where it has one, is cut off first.
        request_id: ID of the HTTP request, for the log.
    """

    kind: Kind
    content: bytes
    name: str
    guarantee: Guarantee
    map_name: MapName | None = None
    sampling: Sampling | None = None
    hints: HintRequest | None = None
    like: bytes | None = None
    crop_border: bool = False
    request_id: str = ""

    @property
    def bytes(self) -> int:
        """The size of the photo's file, of the picture of its hints, and of its reference."""
        picture = self.hints.picture if self.hints is not None else None
        return sum(len(file) for file in (self.content, picture, self.like) if isinstance(file, bytes))


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The numbers of a colorized photo that headers, metrics and the log report; none of its content.

    Attributes:
        width: pixels.
        height: pixels.
        band_width: mean over pixels and channels, 8-bit levels.
        likeness: conformal p-value of the photo's likeness to the calibration photos.
        outside: share of the channel values (per_channel) or pixels (joint) of a photo in colour whose true value is
            outside its band; None: it is not watched.
        unwatched: why not: the photo is grey or tinted, which are no true colours, or the colours follow hints or a
            reference, and the guarantee that is watched is that of photos without; None: it is watched.
        seconds: time that each part of the work took: decode, colorize, encode.
    """

    width: int
    height: int
    band_width: float
    likeness: float
    outside: float | None
    unwatched: Unwatched | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a job: the body and the headers of the HTTP answer, and the photo's measurements."""

    body: bytes
    media_type: str
    headers: dict[str, str]
    measurements: Measurements


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A photo that cannot be colorized: the upload is not a sound image.

    Attributes:
        status: status of the HTTP answer.
        reason: one line for the client.
        cause: label of the metrics, of a short closed list: "format", "image", "samples", "hints" or "like".
    """

    status: int
    reason: str
    cause: str


Outcome = Answer | Refusal


class UnservedError(Exception):
    """A job that the service did not do, though nothing is wrong with the request.

    Attributes:
        status: status of the HTTP answer.
        reason: one line for the client.
        cause: label of the metrics: "busy", "starting", "stopping", "timeout", "died" or "failed".
        retry_after: seconds after which there may be room; None: trying again does not help.
    """

    def __init__(self, status: int, reason: str, cause: str, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.cause = cause
        self.retry_after = retry_after
