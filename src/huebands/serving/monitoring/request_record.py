"""The record of one request, for the access log and the metrics: numbers and closed lists, no text of the client."""

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from huebands.colorize.exemplar import ExemplarError
from huebands.colorize.hints import HintsError
from huebands.colorize.sampling import SamplesError
from huebands.conformal.guarantee import AlphaError, ModeError
from huebands.serving.workers.jobs import Job, Measurements
from huebands.statistics.losses import RiskError

CAUSES = frozenset(
    (
        *("format", "image", "alpha", "delta", "mode", "samples", "hints", "like", "field", "form"),  # in what was sent
        *("too_large", "stalled"),  # in its size, or the time that it took
        *("not_found", "method", "disconnected", "other"),  # in how it was sent
        *("busy", "starting", "stopping", "timeout", "died", "failed"),  # in the service
    )
)
CLIENT_CLOSED = 499  # status of a request whose client hung up: no client reads it, but logs and metrics have it
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
_CAUSE_OF_STATUS = {
    400: "form",
    404: "not_found",
    405: "method",
    408: "stalled",
    413: "too_large",
    415: "form",
    422: "field",
}
_CAUSE_OF_ERROR = (
    (AlphaError, "alpha"),
    (RiskError, "delta"),
    (ModeError, "mode"),
    (SamplesError, "samples"),
    (HintsError, "hints"),
    (ExemplarError, "like"),
    (ClientDisconnect, "disconnected"),
)


@dataclass
class RequestRecord:
    """A request and its answer, in numbers.

    Attributes:
        method: HTTP method, or "other".
        path: path of a route, or "other".
        id: the request ID, made here; one that a client sends is ignored.
        status: status of the answer; 0 until it starts.
        bytes_in: bytes of the body, as far as it was read.
        bytes_out: bytes of the answer's body.
        seconds: until the answer started.
        cause: why the request was not answered as asked; None: it was.
        version: of the model that has answered a photo.
        guarantee: requested guarantee of an answered photo.
        measurements: those of an answered photo.
        part_seconds: time of each part of the work on an answered photo; "queue" is the wait for a worker.
    """

    method: str
    path: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    cause: str | None = None
    version: str = ""
    guarantee: dict[str, Any] = field(default_factory=dict)
    measurements: Measurements | None = None
    part_seconds: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    @classmethod
    def begin(cls, scope: Scope, paths: Collection[str]) -> Self:
        """Make the record of a request, and keep it in the request's state.

        Args:
            scope: ASGI scope of the request.
            paths: paths of the routes.
        """
        path, method = scope["path"], scope["method"]
        record = cls(method if method in _METHODS else "other", path if path in paths else "other")
        scope.setdefault("state", {})["record"] = record
        return record

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._start

    def record_photo(self, job: Job, measurements: Measurements, version: str, seconds: float) -> None:
        """Add an answered photo, its model's version, and the seconds from its arrival in the queue to its answer."""
        # The job itself would keep its content in memory until the answer is sent.
        self.guarantee = {name: getattr(job.guarantee, name) for name in ("mode", "alpha", "delta", "grouped")}
        self.measurements, self.version = measurements, version
        self.part_seconds = {"queue": max(seconds - sum(measurements.seconds.values()), 0.0), **measurements.seconds}

    def record_refusal(self, cause: str) -> None:
        """Add why the request was not answered as asked."""
        self.cause = cause if cause in CAUSES else "other"

    def describe(self) -> dict[str, Any]:
        """The keys of the access log's line."""
        line: dict[str, Any] = {
            "request": self.id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": round(self.elapsed, 4),
        }
        if self.cause is not None:
            line["cause"] = self.cause
        if self.measurements is not None:
            line["photo"] = {
                "width": self.measurements.width,
                "height": self.measurements.height,
                "version": self.version,
                **self.guarantee,
                "band_width": round(self.measurements.band_width, 2),
                "likeness": round(self.measurements.likeness, 4),
                "outside": None if self.measurements.outside is None else round(self.measurements.outside, 4),
                "unwatched": self.measurements.unwatched,
                "seconds": {part: round(seconds, 4) for part, seconds in self.part_seconds.items()},
            }
        return line


def cause_of(error: HTTPException) -> str:
    """The cause of a refusal, by what raised the error, else by its status."""
    for error_type, cause in _CAUSE_OF_ERROR:
        if isinstance(error.__cause__, error_type):
            return cause
    return _CAUSE_OF_STATUS.get(error.status_code, "other")


def record_of(request: Request) -> RequestRecord:
    """The record that belongs to a request."""
    record: RequestRecord = request.state.record
    return record
