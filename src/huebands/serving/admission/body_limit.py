"""An ASGI middleware that refuses request bodies that are, or announce to be, too large, or that arrive too slowly."""

from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.serving.admission.limits import MIN_RATE

_DISCARDED = 4  # times the limit that is read and discarded, because most clients read the answer only then


class BodyLimit:
    """Raises HTTPException while the body is read: 413 if it has or announces too many bytes, 408 if it is too slow.

    Args:
        app: the next ASGI application.
        max_body: bytes.
        max_stall: seconds; in each such window a body that is not complete must bring `min_rate` times as many bytes.
        min_rate: bytes/s.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_stall: float, min_rate: float = MIN_RATE) -> None:
        self.app = app
        self.max_body = max_body
        self.max_stall = max_stall
        self.min_rate = min_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `receive` that counts bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        too_large = length.isdecimal() and int(length) > self.max_body
        waits_for_continue = headers.get("expect", "").lower() == "100-continue"
        received, more_body = 0, True
        window = _Window(self.max_stall, self.max_stall * self.min_rate)

        async def receive_piece() -> Message:
            nonlocal received, more_body
            if not more_body:
                return await receive()
            try:
                with anyio.fail_after(window.remaining_seconds()):
                    message = await receive()
            except TimeoutError as error:
                reason = (
                    f"the body came too slowly: {window.received:,} bytes in {self.max_stall:g} seconds, at least"
                    f" {window.required:,.0f} are required"
                )
                raise HTTPException(408, reason, {"Connection": "close"}) from error
            size = len(message.get("body", b""))
            received += size
            window.add(size)
            more_body = message.get("more_body", False)
            return message

        async def receive_counted() -> Message:
            refusal = HTTPException(413, f"the body is larger than {self.max_body:,} bytes", {"Connection": "close"})
            if too_large and waits_for_continue:
                raise refusal  # before the client sends the body
            message = await receive_piece()
            if too_large or received > self.max_body:
                while more_body and received <= _DISCARDED * self.max_body:
                    await receive_piece()
                raise refusal
            return message

        await self.app(scope, receive_counted, send)


@dataclass
class _Window:
    """A period in which a number of bytes must arrive; once they have, the next window begins."""

    seconds: float
    required: float
    received: int = 0
    end: float | None = None  # by the event loop's clock; None: the window has not begun

    def remaining_seconds(self) -> float:
        """Seconds until the end of the window."""
        if self.end is None:
            self.end = anyio.current_time() + self.seconds
        return self.end - anyio.current_time()

    def add(self, size: int) -> None:
        """Count bytes."""
        self.received += size
        if self.received >= self.required:
            self.received, self.end = 0, None
