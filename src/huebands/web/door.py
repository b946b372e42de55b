"""An ASGI middleware that lets requests in only while there is room for them, before their bodies are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.web.pool import Pool, UnservedError

_PIECE = 2**18  # bytes of an answer that are sent at a time
_THROW_AWAY_FOR = 2.0  # seconds that the body of a refused request is read: most senders look for an answer only then


@dataclass
class House:
    """What the requests inside hold.

    Attributes:
        pool: whose queue must have room for whoever comes in.
        max_bytes: of bodies and answers together.
        max_requests: that read, wait, work or send.
        held_bytes: now.
        requests: now.
    """

    pool: Pool
    max_bytes: int
    max_requests: int
    held_bytes: int = 0
    requests: int = 0

    @contextmanager
    def room(self, size: int) -> Iterator["Room"]:
        """Keep room for bytes until the end of the block.

        Raises:
            UnservedError: when there is none.
        """
        self.pool.check()
        if self.requests >= self.max_requests or self.held_bytes + size > self.max_bytes:
            raise self.pool.refusal("busy", "too many photos are being sent already")
        room = Room(self)
        self.requests += 1
        room.resize(size)
        try:
            yield room
        finally:
            self.requests -= 1
            room.resize(0)


@dataclass
class Room:
    """What one request holds."""

    house: House
    size: int = 0

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on."""
        self.house.held_bytes += size - self.size
        self.size = size


class Door:
    """Raises UnservedError where there is no room; sends answers in pieces, so that a slow reader holds back few bytes.

    The application's `state.house` has the bounds; `scope["state"]["room"]` is the request's own.

    Args:
        app: what stands behind.
        max_body: bytes to expect of a body that does not announce its length, and at most.
        max_stall: seconds until a piece of an answer must be taken.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_stall: float) -> None:
        self.app = app
        self.max_body = max_body
        self.max_stall = max_stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request when there is room."""
        house: House = scope["app"].state.house
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        size = min(int(length), self.max_body) if length.isdecimal() else self.max_body
        try:
            with house.room(size) as room:
                scope.setdefault("state", {})["room"] = room
                await self.app(scope, receive, self._in_pieces(send))
        except UnservedError:
            if headers.get("expect", "").lower() != "100-continue":
                await _throw_away(receive)
            raise

    def _in_pieces(self, send: Send) -> Send:
        stalled = False

        async def send_pieces(message: Message) -> None:
            nonlocal stalled
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or not body:
                await send(message)
                return
            for first in range(0, len(body), _PIECE):
                piece = body[first : first + _PIECE]
                more = first + _PIECE < len(body) or message.get("more_body", False)
                with anyio.move_on_after(self.max_stall) as patience:
                    if not stalled:
                        await send({**message, "body": piece, "more_body": more})
                stalled = stalled or patience.cancelled_caught

        return send_pieces


async def _throw_away(receive: Receive) -> None:
    """Read what is left of a body."""
    with anyio.move_on_after(_THROW_AWAY_FOR):
        while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
            pass
