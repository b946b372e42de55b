"""Admission control: how many requests the service holds at one time, and how many bytes of them.

Bytes are reserved as they arrive. A Content-Length reserves nothing, since a client can announce any number.

When there is no room, the slowest transfer is evicted, an upload or an answer. So idle clients do not block others, and
slow clients are evicted only for others. A new request counts as a transfer at `NEW_REQUEST_RATE` until its own rate is
measured. It replaces only a slower transfer, so that uploads at ordinary rates finish under overload. Photos that wait
or are processed are never evicted.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio
from starlette.types import Message, Receive, Send

from huebands.serving.workers.jobs import UnservedError
from huebands.serving.workers.pool import WorkerPool

# Bytes/s. To hold the 72 places of a machine with two cores against new requests takes 1.2 MB/s; transfers on lines
# below 131 kbit/s are the ones that may be evicted.
NEW_REQUEST_RATE = 16_384.0
_TIME_CONSTANT = 5.0  # seconds, of the running mean of a rate


@dataclass
class AdmissionControl:
    """Counts the admitted requests and their bytes, and decides which one is evicted.

    Attributes:
        pool: its queue must have room for whatever is admitted; its `counts` include the "evicted" requests.
        max_bytes: limit of uploads and answers together. Uploads never exceed it. A finished answer may, since it is in
            memory already.
        max_requests: limit of requests that upload, wait, are processed or receive their answer.
        clock: gives seconds.
        held_bytes: now.
    """

    pool: WorkerPool
    max_bytes: int
    max_requests: int
    clock: Callable[[], float] = time.monotonic
    held_bytes: int = 0
    _reservations: set["Reservation"] = field(default_factory=set)

    @property
    def requests(self) -> int:
        """How many requests are admitted now."""
        return len(self._reservations)

    @contextmanager
    def admit(self) -> Iterator["Reservation"]:
        """Count a request until the end of the block.

        Raises:
            UnservedError: when there is no room, and no transfer is slower than a new request.
        """
        self.pool.check()
        while self.requests >= self.max_requests:
            self._evict_slowest(NEW_REQUEST_RATE)
        while self.held_bytes >= self.max_bytes:
            self._evict_slowest(NEW_REQUEST_RATE, min_size=1)
        reservation = Reservation(self)
        self._reservations.add(reservation)
        try:
            yield reservation
        finally:
            self.release(reservation)

    def make_room(self, size: int, rate: float) -> None:
        """Evict transfers that are slower than a rate until there is room for so many bytes.

        Raises:
            UnservedError: when there is not enough room, and no such transfer is left.
        """
        while self.held_bytes + size > self.max_bytes:
            self._evict_slowest(rate, min_size=1)

    def release(self, reservation: "Reservation") -> None:
        """Stop counting a request; a second call does nothing."""
        reservation.resize(0)
        self._reservations.discard(reservation)

    def refusal(self) -> UnservedError:
        """The error for a client that finds no room or is evicted."""
        return self.pool.refusal("busy", "too many photos are being uploaded already")

    def _evict_slowest(self, rate: float, min_size: int = 0) -> None:
        """Evict the slowest transfer that holds at least so many bytes, if it is slower than a rate."""
        transfers = [item for item in self._reservations if item.in_transfer and item.size >= min_size]
        slowest = min(transfers, key=lambda item: item.rate, default=None)
        if slowest is None or slowest.rate >= rate:
            raise self.refusal()
        slowest.evict()


class Reservation:
    """The bytes that one admitted request holds.

    Args:
        control: admission control that admitted the request.

    Attributes:
        size: bytes.
        evicted: whether it was evicted; then it holds nothing, and its transfer has ended.
    """

    def __init__(self, control: AdmissionControl) -> None:
        self.control = control
        self.size = 0
        self.evicted = False
        self._transfer: anyio.CancelScope | None = None
        self._begin_transfer()

    @property
    def in_transfer(self) -> bool:
        """Whether the service waits for the client to send or to take bytes."""
        return self._transfer is not None

    @property
    def rate(self) -> float:
        """Bytes/s, a running mean over the last seconds."""
        return self._rate * math.exp((self._measured - self.control.clock()) / _TIME_CONSTANT)

    def resize(self, size: int) -> None:
        """Hold so many bytes from now on."""
        if not self.evicted:
            self.control.held_bytes += size - self.size
            self.size = size

    def hold_answer(self, size: int) -> None:
        """Hold an answer in place of its upload; transfers that are slower than a new request are evicted for it."""
        self.resize(0)
        self._begin_transfer()
        with suppress(UnservedError):
            self.control.make_room(size, self.rate)
        self.resize(size)

    def evict(self) -> None:
        """Hold nothing any more, and stop waiting for the client."""
        self.control.pool.counts["evicted"] += 1
        self.control.release(self)
        self.evicted = True
        if self._transfer is not None:
            self._transfer.cancel()
            self._transfer = None

    async def receive(self, receive: Receive) -> Message:
        """Receive a piece of the upload, and hold it.

        Raises:
            UnservedError: when the upload is evicted.
        """
        with self._waiting():
            message = await receive()
        if self.evicted:
            raise self.control.refusal()
        size = len(message.get("body", b""))
        self._count_bytes(size)
        try:
            self.control.make_room(size, self.rate)
        except UnservedError:
            self.evict()
            raise
        self.resize(self.size + size)
        return message

    async def send(self, send: Send, message: Message, max_stall: float) -> bool:
        """Send a piece of the answer; False when the client did not take it within some seconds or was evicted."""
        with anyio.move_on_after(max_stall) as timeout, self._waiting():
            await send(message)
        self._count_bytes(len(message["body"]))
        return not (self.evicted or timeout.cancelled_caught)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let the block end early when the request is evicted."""
        with anyio.CancelScope() as self._transfer:
            try:
                yield
            finally:
                self._transfer = None

    def _begin_transfer(self) -> None:
        self._rate, self._measured = NEW_REQUEST_RATE, self.control.clock()

    def _count_bytes(self, size: int) -> None:
        self._rate, self._measured = self.rate + size / _TIME_CONSTANT, self.control.clock()
