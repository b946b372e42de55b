"""Admission control: requests come in only while there is memory for them, and a slow upload keeps nobody out.

Memory is reserved as bytes come, never for what a client announces. Whoever comes when all places or bytes are taken
takes those of the slowest upload, provided that it is slower than `EVICTED_BELOW`: whoever drips bytes, however many
connections it opens, makes place for the next that comes, while uploads at an ordinary pace are never turned out, and
newcomers are refused instead.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.web.pool import Pool, UnservedError

EVICTED_BELOW = 32 * 2**10  # bytes a second; a photo of 3 MB then takes longer than a minute and a half
_WINDOW = 5.0  # seconds over which the rate of an upload is measured
_SPARED = 1.0  # seconds in which a new upload may show its rate
_IDLE = 2.0  # seconds without a piece after which an upload counts as standing still
_PIECE = 2**18  # bytes of an answer that are sent at a time
_DISCARD_FOR = 2.0  # seconds that the body of a refused request is read: most senders look for an answer only then


class AdmissionControl:
    """Bounds what all requests together hold.

    Args:
        pool: whose queue must take a job for whoever is admitted.
        max_bytes: of bodies and answers together.
        max_requests: that read, wait, work or send.
        clock: gives seconds.

    Attributes:
        held_bytes: now.
    """

    def __init__(
        self, pool: Pool, max_bytes: int, max_requests: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.pool, self.max_bytes, self.max_requests, self.clock = pool, max_bytes, max_requests, clock
        self.held_bytes = 0
        self._admitted: list[Reservation] = []

    @property
    def requests(self) -> int:
        """How many requests have a place now."""
        return sum(not reservation.evicted for reservation in self._admitted)

    @contextmanager
    def admit(self, announced: int) -> Iterator["Reservation"]:
        """Admit a request until the end of the block.

        Args:
            announced: bytes of its body, 0 where it does not say; they are not reserved, but must fit.

        Raises:
            UnservedError: when there is no place for it, now or while its body comes.
        """
        self.pool.check()
        now = self.clock()
        reservation = Reservation(self, now, now)
        if self.requests >= self.max_requests:
            self._evict_slowest(reservation)
        self._make_room(reservation, announced)
        self._admitted.append(reservation)
        try:
            yield reservation
        finally:
            self._admitted.remove(reservation)
            reservation.resize(0)

    def hold(self, reservation: "Reservation", more: int) -> None:
        """Reserve bytes that have come.

        Raises:
            UnservedError: when there is no memory for them.
        """
        self._make_room(reservation, more)
        reservation.resize(reservation.size + more)

    def _make_room(self, reservation: "Reservation", more: int) -> None:
        while self.held_bytes + more > self.max_bytes:
            self._evict_slowest(reservation)

    def _evict_slowest(self, newcomer: "Reservation") -> None:
        """Turn out the slowest upload for a request.

        Raises:
            UnservedError: when no upload is slow enough.
        """
        now = self.clock()
        slow = [
            (rate, index)
            for index, other in enumerate(self._admitted)
            if other is not newcomer and (rate := other.rate(now)) is not None and rate < EVICTED_BELOW
        ]
        if not slow:
            raise self.pool.refusal("busy", "too many photos are being sent already")
        self._admitted[min(slow)[1]].evict()


@dataclass(eq=False)
class Reservation:
    """What one request holds, and how fast its body comes.

    Attributes:
        control: that admitted it.
        since: when the window began over which its rate is measured.
        latest: when the latest piece came.
        size: bytes that it holds.
        reading: whether its body is still coming.
        evicted: whether it was turned out for another.
    """

    control: AdmissionControl
    since: float
    latest: float
    size: int = 0
    reading: bool = True
    evicted: bool = False
    _came: int = 0  # bytes in the window
    _rate: float | None = None  # of the window before
    _waiting: anyio.CancelScope | None = field(default=None, repr=False)

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on."""
        self.control.held_bytes += size - self.size
        self.size = size

    def rate(self, now: float) -> float | None:
        """Bytes a second of late; None for a body that has come whole, or began too short a while ago to tell."""
        elapsed = now - self.since
        if not self.reading or self.evicted or (self._rate is None and elapsed < _SPARED):
            return None
        if now - self.latest > _IDLE:
            return 0.0
        return self._came / elapsed if self._rate is None or elapsed >= _SPARED else self._rate

    def evict(self) -> None:
        """Give up what it holds; whoever reads the body is told at once."""
        self.evicted = True
        self.resize(0)
        if self._waiting is not None:
            self._waiting.cancel()

    async def receive(self, receive: Receive) -> Message:
        """Receive a piece of the body, and reserve its bytes.

        Raises:
            UnservedError: when there is no memory for them, or the place was given to another request.
        """
        if not self.reading:
            return await receive()
        message: Message = {}
        if not self.evicted:
            with anyio.CancelScope() as self._waiting:
                message = await receive()
            self._waiting = None
        if self.evicted:
            raise self.control.pool.refusal("busy", "the upload is slower than others that wait for its place")
        self._count(len(message.get("body", b"")))
        self.reading = message["type"] == "http.request" and message.get("more_body", False)
        return message

    def _count(self, came: int) -> None:
        self.latest = now = self.control.clock()
        if now - self.since > _WINDOW:
            self._rate, self.since, self._came = self._came / (now - self.since), now, 0
        self._came += came
        self.control.hold(self, came)


class Admission:
    """An ASGI middleware that admits requests, or raises UnservedError.

    It sends answers in pieces, so that a slow reader holds back few bytes. The application's `state.admission` has the
    bounds; `scope["state"]["reservation"]` is the request's own.

    Args:
        app: what stands behind.
        max_body: bytes that a body may have; whoever announces more is refused elsewhere.
        max_stall: seconds until a piece of an answer must be taken.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_stall: float) -> None:
        self.app = app
        self.max_body = max_body
        self.max_stall = max_stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request when there is a place for it."""
        control: AdmissionControl = scope["app"].state.admission
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        try:
            with control.admit(min(int(length), self.max_body) if length.isdecimal() else 0) as reservation:

                async def receive_reserved() -> Message:
                    return await reservation.receive(receive)

                scope.setdefault("state", {})["reservation"] = reservation
                await self.app(scope, receive_reserved, self._in_pieces(send))
        except UnservedError:
            if headers.get("expect", "").lower() != "100-continue":
                await _discard(receive)
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


async def _discard(receive: Receive) -> None:
    """Read what is left of a body."""
    with anyio.move_on_after(_DISCARD_FOR):
        while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
            pass
