"""An ASGI middleware that refuses request bodies above a limit, announced or streamed."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATIENCE = 4  # times the limit that is read and thrown away, so that most senders get to see the answer


class BodyLimit:
    """Raises HTTPException 413 while the body is read, once it is or says it is larger than `max_body`.

    Args:
        app: what stands behind.
        max_body: bytes.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `receive` that counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        too_large = length.isdecimal() and int(length) > self.max_body
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if too_large or received > self.max_body:
                while message.get("more_body", False) and received <= _PATIENCE * self.max_body:
                    message = await receive()
                    received += len(message.get("body", b""))
                raise HTTPException(413, f"the body is larger than {self.max_body:,} bytes", {"Connection": "close"})
            return message

        await self.app(scope, receive_counted, send)
