"""An ASGI middleware that refuses request bodies that are too large, announced or streamed, or that stall."""

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATIENCE = 4  # times the limit that is read and thrown away, so that most senders get to see the answer


class BodyLimit:
    """Raises HTTPException while the body is read: 413 once it is or says it is too large, 408 once it stalls.

    Args:
        app: what stands behind.
        max_body: bytes.
        max_stall: seconds between two pieces of the body; whoever stalls takes a place from the others.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_stall: float) -> None:
        self.app = app
        self.max_body = max_body
        self.max_stall = max_stall

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

        async def receive_piece() -> Message:
            nonlocal received, more
            try:
                with anyio.fail_after(self.max_stall if more else None):
                    message = await receive()
            except TimeoutError as error:
                reason = f"no piece of the body came for {self.max_stall:g} seconds"
                raise HTTPException(408, reason, {"Connection": "close"}) from error
            received += len(message.get("body", b""))
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
