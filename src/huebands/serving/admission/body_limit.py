"""An ASGI middleware that refuses request bodies that are too large, announced or streamed, or that hardly come."""

from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_RATE = 4 * 2**10  # bytes a second: half of what a slow mobile uplink of 64 kbit/s carries
_PATIENCE = 4  # times the limit that is read and thrown away, so that most senders get to see the answer


class BodyLimit:
    """Raises HTTPException while the body is read: 413 once it is or says it is too large, 408 once it hardly comes.

    Args:
        app: what stands behind.
        max_body: bytes.
        max_stall: seconds in which a body that is not yet whole must have brought `least_rate` times as many bytes.
        least_rate: bytes a second; whoever sends fewer takes a place from the others.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_stall: float, least_rate: float = LEAST_RATE) -> None:
        self.app = app
        self.max_body = max_body
        self.max_stall = max_stall
        self.least_rate = least_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `receive` that counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        too_large = length.isdecimal() and int(length) > self.max_body
        asks_first = headers.get("expect", "").lower() == "100-continue"
        received, more = 0, True
        window = _Window(self.max_stall, self.max_stall * self.least_rate)

        async def receive_piece() -> Message:
            nonlocal received, more
            if not more:
                return await receive()
            try:
                with anyio.fail_after(window.left()):
                    message = await receive()
            except TimeoutError as error:
                reason = (
                    f"the body came too slowly: {window.came:,} bytes in {self.max_stall:g} seconds, at least"
                    f" {window.least:,.0f} are asked for"
                )
                raise HTTPException(408, reason, {"Connection": "close"}) from error
            size = len(message.get("body", b""))
            received += size
            window.add(size)
            more = message.get("more_body", False)
            return message

        async def receive_counted() -> Message:
            refusal = HTTPException(413, f"the body is larger than {self.max_body:,} bytes", {"Connection": "close"})
            if too_large and asks_first:
                raise refusal  # before the body is asked for
            message = await receive_piece()
            if too_large or received > self.max_body:
                while more and received <= _PATIENCE * self.max_body:
                    await receive_piece()
                raise refusal
            return message

        await self.app(scope, receive_counted, send)


@dataclass
class _Window:
    """Seconds in which at least some bytes must come; with the last of them the next window begins."""

    seconds: float
    least: float
    came: int = 0
    end: float | None = None  # by the event loop's clock; None: nothing was waited for yet

    def left(self) -> float:
        """Seconds that are left."""
        if self.end is None:
            self.end = anyio.current_time() + self.seconds
        return self.end - anyio.current_time()

    def add(self, size: int) -> None:
        """Count bytes."""
        self.came += size
        if self.came >= self.least:
            self.came, self.end = 0, None
