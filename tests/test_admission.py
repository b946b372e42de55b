"""Admission control: memory is bounded, and whoever drips bytes keeps nobody out."""

from dataclasses import dataclass, field

import anyio
import pytest

from huebands.web.admission import AdmissionControl
from huebands.web.body_limit import BodyLimit
from huebands.web.pool import UnservedError


class AlwaysRoom:
    """Stands in for a pool with an empty queue."""

    def check(self):
        """There is always room."""

    def refusal(self, cause, reason):
        return UnservedError(503, reason, cause, 1)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class Body:
    """A body that comes in pieces, as the test says."""

    pieces: list = field(default_factory=list)

    async def receive(self):
        if not self.pieces:
            await anyio.sleep_forever()
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def control(clock):
    return AdmissionControl(AlwaysRoom(), max_bytes=100, max_requests=2, clock=clock)


def refused(control, announced=0):
    with pytest.raises(UnservedError) as error:
        control.admit(announced).__enter__()
    assert (error.value.status, error.value.cause, error.value.retry_after) == (503, "busy", 1)


def come(reservation, *pieces):
    """Let pieces of a body come; None ends it."""
    body = Body(list(pieces))

    async def read():
        for _ in pieces:
            await reservation.receive(body.receive)

    anyio.run(read)


def test_memory_is_reserved_as_bytes_come_and_freed_at_the_end(control):
    with control.admit(announced=90) as reservation:
        assert control.held_bytes == 0
        come(reservation, b"x" * 30, b"x" * 30)
        assert control.held_bytes == 60
        refused(control, announced=50)
        with control.admit(announced=40):
            refused(control)  # two requests are admitted already
        reservation.resize(200)  # an answer may be larger than its upload: it is held all the same
        refused(control, announced=1)
    assert (control.held_bytes, control.requests) == (0, 0)


def test_an_upload_beyond_the_memory_is_refused_while_it_comes(control):
    with control.admit(0) as first, control.admit(0) as second:
        come(first, b"x" * 60, None)
        come(second, b"x" * 30)
        with pytest.raises(UnservedError, match="too many photos"):
            come(second, b"x" * 20)
        assert control.held_bytes == 90


def test_the_slowest_upload_makes_place_for_a_newcomer(control, clock):
    with control.admit(0) as slow, control.admit(0) as slower:
        come(slow, b"x" * 40)
        come(slower, b"x")
        clock.now = 1.5
        with control.admit(60) as newcomer:
            assert (slow.evicted, slower.evicted, newcomer.evicted) == (False, True, False)
            assert control.held_bytes == 40
            with pytest.raises(UnservedError, match="slower than others"):
                come(slower, b"x")
            come(newcomer, b"x" * 60, None)
            assert control.held_bytes == 100
    assert (control.held_bytes, control.requests) == (0, 0)


def test_whoever_waits_for_a_piece_is_told_at_once_that_the_place_is_gone(control, clock):
    async def drip():
        with control.admit(0) as reservation, pytest.raises(UnservedError, match="slower than others"):
            await reservation.receive(Body().receive)

    async def both():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drip)
            tasks.start_soon(drip)
            await anyio.sleep(0.01)
            clock.now = 3.0
            with control.admit(0), anyio.fail_after(5):
                while len(control._admitted) > 2:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(both)


def test_uploads_at_an_ordinary_pace_and_whole_ones_are_never_turned_out(clock):
    control = AdmissionControl(AlwaysRoom(), max_bytes=2**30, max_requests=2, clock=clock)
    with control.admit(0) as fast, control.admit(0) as whole:
        come(whole, b"x", None)
        for second in range(20):
            clock.now = second
            come(fast, b"x" * 2**16)
            refused(control)
        clock.now += 1.9
        refused(control)
        clock.now += 0.2  # it stands still
        with control.admit(0):
            assert fast.evicted and not whole.evicted


def test_an_upload_that_began_just_now_is_spared(control, clock):
    with control.admit(0), control.admit(0):
        clock.now = 0.9
        refused(control)


def read_body(pieces, **limits):
    """Read a body of (seconds before it, piece) through the limit; gives what came."""

    async def read(scope, receive, send):
        while (message := await receive()).get("more_body"):
            came.append(message["body"])

    async def receive():
        seconds, piece = rest.pop(0) if rest else (0, None)
        await anyio.sleep(seconds)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    came, rest = [], list(pieces)
    anyio.run(BodyLimit(read, **limits), {"type": "http", "headers": []}, receive, None)
    return came


def test_a_body_that_comes_too_slowly_is_given_up():
    limits = {"max_body": 10_000, "max_stall": 0.5, "least_rate": 200}  # 100 bytes in half a second
    drops = [(0.1, b"x")] * 20
    with pytest.raises(Exception, match=r"4 bytes in 0\.5 seconds, at least 100 are asked for") as error:
        read_body(drops, **limits)
    assert error.value.status_code == 408 and error.value.headers == {"Connection": "close"}
    assert len(read_body([(0.1, b"x" * 40)] * 12, **limits)) == 12, "longer than a window, and fast enough"
    assert len(read_body(drops[:3], **limits)) == 3, "whole before the window ends"
