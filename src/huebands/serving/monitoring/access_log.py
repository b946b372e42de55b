"""One request from its first byte to its last: what metrics and logs are told, and nothing that strangers write."""

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.conformal.guarantee import AlphaError, ModeError
from huebands.serving import json_log
from huebands.serving.workers.jobs import Facts, Job
from huebands.statistics.risk_bounds import RiskError

CAUSES = frozenset(
    (
        *("format", "image", "alpha", "delta", "mode", "field", "form", "too_large", "stalled"),  # what was sent
        *("not_found", "method", "disconnected", "other"),  # how it was sent
        *("busy", "starting", "stopping", "timeout", "died", "failed"),  # no fault of the sender's
    )
)
HUNG_UP = 499  # nobody reads it, but it is told apart in logs and metrics
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
_OF_STATUS = {
    400: "form",
    404: "not_found",
    405: "method",
    408: "stalled",
    413: "too_large",
    415: "form",
    422: "field",
}
_OF_ERROR = ((AlphaError, "alpha"), (RiskError, "delta"), (ModeError, "mode"), (ClientDisconnect, "disconnected"))


@dataclass
class Visit:
    """A request and its answer.

    Attributes:
        method: "other" for what HTTP does not know.
        path: one of those that are told apart, or "other".
        id: made here; what a client sends is not trusted.
        status: of the answer; 0 until it starts.
        bytes_in: of the body, as far as it was read.
        bytes_out: of the answer's body.
        seconds: until the answer started.
        cause: why the request was not answered as asked.
        asked: of an answered photo, what its form asked for.
        facts: likewise.
        parts: seconds of each part of the work, waiting for it ("queue") among them.
    """

    method: str
    path: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    cause: str | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    facts: Facts | None = None
    parts: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, scope: Scope, paths: Collection[str]) -> Self:
        """Begin a visit, and leave it in the request's state."""
        path, method = scope["path"], scope["method"]
        visit = cls(method if method in _METHODS else "other", path if path in paths else "other")
        scope.setdefault("state", {})["visit"] = visit
        return visit

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._start

    def answered(self, job: Job, facts: Facts, seconds: float) -> None:
        """Note a photo, and the seconds that passed between handing it to the queue and getting it back."""
        # Not the job itself: its content would be kept until the answer is sent.
        guarantee = job.guarantee
        self.asked = {name: getattr(guarantee, name) for name in ("mode", "alpha", "delta", "grouped")}
        self.facts = facts
        self.parts = {"queue": max(seconds - sum(facts.seconds.values()), 0.0), **facts.seconds}

    def refused(self, cause: str) -> None:
        """Note why it was not answered as asked."""
        self.cause = cause if cause in CAUSES else "other"

    def describe(self) -> dict[str, Any]:
        """What the log says."""
        described: dict[str, Any] = {
            "request": self.id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": round(self.elapsed, 4),
        }
        if self.cause is not None:
            described["cause"] = self.cause
        if self.facts is not None:
            described["photo"] = {
                "width": self.facts.width,
                "height": self.facts.height,
                **self.asked,
                "band_width": round(self.facts.band_width, 2),
                "likeness": round(self.facts.likeness, 4),
                "outside": None if self.facts.outside is None else round(self.facts.outside, 4),
                "seconds": {part: round(seconds, 4) for part, seconds in self.parts.items()},
            }
        return described


def cause_of(error: HTTPException) -> str:
    """Why a request was refused, as far as the error, what raised it and its status tell."""
    for kind, cause in _OF_ERROR:
        if isinstance(error.__cause__, kind):
            return cause
    return _OF_STATUS.get(error.status_code, "other")


class Witness:
    """An ASGI middleware that follows each visit; it names it in X-Request-Id, and answers 500 where the rest fails.

    Args:
        app: what stands behind.
        paths: that are told apart.
        note: is told of a visit when its answer starts.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], note: Callable[[Visit], None]) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `receive` and a `send` that count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = Visit.of(scope, self.paths)

        async def receive_counted() -> Message:
            message = await receive()
            visit.bytes_in += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status, visit.seconds = message["status"], visit.elapsed
                MutableHeaders(scope=message)["X-Request-Id"] = visit.id
                self.note(visit)
            visit.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive_counted, send_counted)
        except ClientDisconnect:
            visit.refused("disconnected")
        except Exception as error:
            visit.refused("failed")
            json_log.failure(visit.id, error)
            if not visit.status:
                told = JSONResponse({"error": f"internal error, request ID {visit.id}; see the server's log"}, 500)
                await told(scope, receive_counted, send_counted)
        finally:
            json_log.access(visit.describe())
