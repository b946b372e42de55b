"""The ASGI middleware of admission control: it admits a request, holds its upload, and sends its answer in pieces."""

from contextlib import suppress

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.serving.admission.control import AdmissionControl, Reservation
from huebands.serving.workers.jobs import UnservedError

_PIECE = 2**18  # bytes of an answer that are sent at a time
_DISCARD_TIME = 2.0  # seconds that the body of a refused request is read: most clients look for an answer only then


class AdmissionMiddleware:
    """Hands on a request when `state.admission` of the application has room for it, else raises UnservedError.

    It sends answers in pieces, so that a slow reader holds back few bytes. `scope["state"]["reservation"]` is the
    request's reservation.

    Args:
        app: the next ASGI application.
        max_stall: seconds within which a piece of an answer must be taken.
    """

    def __init__(self, app: ASGIApp, max_stall: float) -> None:
        self.app = app
        self.max_stall = max_stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request, and hand it on."""
        control: AdmissionControl = scope["app"].state.admission
        try:
            with control.admit() as reservation:
                scope.setdefault("state", {})["reservation"] = reservation
                send_pieces = self._in_pieces(reservation, receive, send)
                await self.app(scope, _reserving(reservation, receive), send_pieces)
        except UnservedError:
            if Headers(scope=scope).get("expect", "").lower() != "100-continue":
                await _discard_body(receive)
            raise

    def _in_pieces(self, reservation: Reservation, receive: Receive, send: Send) -> Send:
        continues = True

        async def send_pieces(message: Message) -> None:
            nonlocal continues
            if message["type"] == "http.response.start" and reservation.evicted:
                MutableHeaders(scope=message)["Connection"] = "close"
                await _discard_body(receive)
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or not body:
                await send(message)
                return
            for first in range(0, len(body), _PIECE):
                piece = body[first : first + _PIECE]
                has_more = first + _PIECE < len(body) or message.get("more_body", False)
                if continues:
                    piece_message = {**message, "body": piece, "more_body": has_more}
                    continues = await reservation.send(send, piece_message, self.max_stall)

        return send_pieces


def _reserving(reservation: Reservation, receive: Receive) -> Receive:
    """Hold the pieces of the body; the message after the last one says that the client has hung up."""
    more_body = True

    async def receive_held() -> Message:
        nonlocal more_body
        if not more_body:
            return await receive()
        message = await reservation.receive(receive)
        more_body = message.get("more_body", False)
        return message

    return receive_held


async def _discard_body(receive: Receive) -> None:
    """Read the rest of a body, so that the client looks for the answer."""
    with anyio.move_on_after(_DISCARD_TIME), suppress(HTTPException):
        while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
            pass
