"""Admission control: how many requests the service holds at one time, and how many bytes of them.

Bytes are reserved as they come. A Content-Length reserves nothing, since announcing costs a client nothing.

When there is no room, the slowest transfer gives way, be it an upload or the sending of an answer. So clients that hold
a place without moving bytes keep nobody out, and slow clients keep theirs as long as nobody else needs it. A newcomer
counts as if it moved `NEWCOMER_RATE` until its own bytes tell: it takes the place of a slower transfer, never that of a
faster one, so that uploads on ordinary lines finish under overload. Photos that wait or are worked on never give way.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.serving.workers.pool import Pool, UnservedError

# Bytes/s. To hold the 72 places of a machine with two cores against newcomers takes 1.2 MB/s; lines below 131 kbit/s
# are the ones that may give way.
NEWCOMER_RATE = 16_384.0
_MEMORY = 5.0  # seconds: time constant of the running mean of a rate
_PIECE = 2**18  # bytes of an answer that are sent at a time
_THROW_AWAY_FOR = 2.0  # seconds that the body of a refused request is read: most senders look for an answer only then


@dataclass
class AdmissionControl:
    """Counts the requests inside and their bytes, and decides who gives way.

    Attributes:
        pool: whose queue must have room for whoever comes in; its `counts` have what gave way as "evicted".
        max_bytes: of uploads and answers together. Uploads never exceed it. A finished answer is held even if it does,
            since it lies in memory already.
        max_requests: that read, wait, work or send.
        clock: gives seconds.
        held_bytes: now.
    """

    pool: Pool
    max_bytes: int
    max_requests: int
    clock: Callable[[], float] = time.monotonic
    held_bytes: int = 0
    _reservations: set["Reservation"] = field(default_factory=set)

    @property
    def requests(self) -> int:
        """How many requests are inside."""
        return len(self._reservations)

    @contextmanager
    def admit(self) -> Iterator["Reservation"]:
        """Count a request until the end of the block.

        Raises:
            UnservedError: when there is no room, and no transfer is slower than a newcomer.
        """
        self.pool.check()
        while self.requests >= self.max_requests:
            self._evict_slowest(NEWCOMER_RATE)
        while self.held_bytes >= self.max_bytes:
            self._evict_slowest(NEWCOMER_RATE, least=1)
        reservation = Reservation(self)
        self._reservations.add(reservation)
        try:
            yield reservation
        finally:
            self.release(reservation)

    def make_room(self, size: int, rate: float) -> None:
        """Let transfers that are slower than a rate give way until there is room for so many bytes.

        Raises:
            UnservedError: when all that could give way have, and there is none.
        """
        while self.held_bytes + size > self.max_bytes:
            self._evict_slowest(rate, least=1)

    def release(self, reservation: "Reservation") -> None:
        """Count a request no more; a second time does nothing."""
        reservation.resize(0)
        self._reservations.discard(reservation)

    def refusal(self) -> UnservedError:
        """What a client is told that finds no room, or gives way."""
        return self.pool.refusal("busy", "too many photos are being sent already")

    def _evict_slowest(self, rate: float, least: int = 0) -> None:
        """Let the slowest transfer that holds at least so many bytes give way, if it is slower than a rate."""
        transfers = [one for one in self._reservations if one.in_transfer and one.size >= least]
        slowest = min(transfers, key=lambda one: one.rate, default=None)
        if slowest is None or slowest.rate >= rate:
            raise self.refusal()
        slowest.evict()


class Reservation:
    """What one request holds.

    Args:
        control: that admitted it.

    Attributes:
        size: bytes.
        evicted: whether it has given way; then it holds nothing, and its transfer has ended.
    """

    def __init__(self, control: AdmissionControl) -> None:
        self.control = control
        self.size = 0
        self.evicted = False
        self._transfer: anyio.CancelScope | None = None
        self._begin_transfer()

    @property
    def in_transfer(self) -> bool:
        """Whether the client is being waited for, to send or to take bytes."""
        return self._transfer is not None

    @property
    def rate(self) -> float:
        """Bytes/s, a running mean over the last seconds."""
        return self._rate * math.exp((self._measured - self.control.clock()) / _MEMORY)

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on."""
        if not self.evicted:
            self.control.held_bytes += size - self.size
            self.size = size

    def hold_answer(self, size: int) -> None:
        """Hold an answer in place of its upload; transfers that are slower than a newcomer give way to it."""
        self.resize(0)
        self._begin_transfer()
        with suppress(UnservedError):
            self.control.make_room(size, self.rate)
        self.resize(size)

    def evict(self) -> None:
        """Give way: hold nothing any more, and wait for the client no longer."""
        self.control.pool.counts["evicted"] += 1
        self.control.release(self)
        self.evicted = True
        if self._transfer is not None:
            self._transfer.cancel()
            self._transfer = None

    async def receive(self, receive: Receive) -> Message:
        """Receive a piece of the upload, and hold it.

        Raises:
            UnservedError: when the upload gives way.
        """
        with self._waiting():
            message = await receive()
        if self.evicted:
            raise self.control.refusal()
        size = len(message.get("body", b""))
        self._move(size)
        try:
            self.control.make_room(size, self.rate)
        except UnservedError:
            self.evict()
            raise
        self.resize(self.size + size)
        return message

    async def send(self, send: Send, message: Message, max_stall: float) -> bool:
        """Send a piece of the answer; whether the client took it within some seconds and the answer goes on."""
        with anyio.move_on_after(max_stall) as patience, self._waiting():
            await send(message)
        self._move(len(message["body"]))
        return not (self.evicted or patience.cancelled_caught)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let the block end early when the request is evicted."""
        with anyio.CancelScope() as self._transfer:
            try:
                yield
            finally:
                self._transfer = None

    def _begin_transfer(self) -> None:
        self._rate, self._measured = NEWCOMER_RATE, self.control.clock()

    def _move(self, size: int) -> None:
        self._rate, self._measured = self.rate + size / _MEMORY, self.control.clock()


class Admission:
    """An ASGI middleware that lets requests in while there is room for them, else raises UnservedError.

    It sends answers in pieces, so that a slow reader holds back few bytes. The application's `state.admission` has the
    bounds; `scope["state"]["reservation"]` is the request's own.

    Args:
        app: what stands behind.
        max_stall: seconds until a piece of an answer must be taken.
    """

    def __init__(self, app: ASGIApp, max_stall: float) -> None:
        self.app = app
        self.max_stall = max_stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request when there is room."""
        control: AdmissionControl = scope["app"].state.admission
        try:
            with control.admit() as reservation:
                scope.setdefault("state", {})["reservation"] = reservation
                sending = self._in_pieces(reservation, receive, send)
                await self.app(scope, _reserving(reservation, receive), sending)
        except UnservedError:
            if Headers(scope=scope).get("expect", "").lower() != "100-continue":
                await _throw_away(receive)
            raise

    def _in_pieces(self, reservation: Reservation, receive: Receive, send: Send) -> Send:
        going_on = True

        async def send_pieces(message: Message) -> None:
            nonlocal going_on
            if message["type"] == "http.response.start" and reservation.evicted:
                MutableHeaders(scope=message)["Connection"] = "close"
                await _throw_away(receive)
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or not body:
                await send(message)
                return
            for first in range(0, len(body), _PIECE):
                piece = body[first : first + _PIECE]
                more = first + _PIECE < len(body) or message.get("more_body", False)
                if going_on:
                    part = {**message, "body": piece, "more_body": more}
                    going_on = await reservation.send(send, part, self.max_stall)

        return send_pieces


def _reserving(reservation: Reservation, receive: Receive) -> Receive:
    """Hold what comes of the body; what comes after it is that the client has gone."""
    more = True

    async def receive_held() -> Message:
        nonlocal more
        if not more:
            return await receive()
        message = await reservation.receive(receive)
        more = message.get("more_body", False)
        return message

    return receive_held


async def _throw_away(receive: Receive) -> None:
    """Read what is left of a body."""
    with anyio.move_on_after(_THROW_AWAY_FOR), suppress(HTTPException):
        while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
            pass
