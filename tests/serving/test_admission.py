"""Admission control: memory is limited, and slow clients do not block others."""

import functools
import inspect
from dataclasses import dataclass

import anyio
import pytest
from starlette.exceptions import HTTPException

from huebands.serving.admission.body_limit import BodyLimit
from huebands.serving.admission.control import NEW_REQUEST_RATE, AdmissionControl
from huebands.serving.workers.jobs import UnservedError
from huebands.serving.workers.pool import WorkerPool


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def control(clock, monkeypatch):
    pool = WorkerPool(lambda: None, processes=1, queue=4, timeout=1)
    monkeypatch.setattr(pool, "check", lambda: None)
    return AdmissionControl(pool, max_bytes=100_000, max_requests=2, clock=clock)


def refused(control):
    with pytest.raises(UnservedError) as error:
        control.admit().__enter__()
    assert (error.value.status, error.value.cause) == (503, "busy") and error.value.retry_after >= 1


def upload(reservation, *pieces):
    """Let pieces of a body arrive."""
    remaining = list(pieces)

    async def receive():
        if not remaining:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": remaining.pop(0), "more_body": True}

    async def read():
        for _ in pieces:
            await reservation.receive(receive)

    anyio.run(read)


def test_memory_is_reserved_as_bytes_arrive_and_freed_at_the_end(control):
    with control.admit() as reservation:
        assert control.held_bytes == 0
        upload(reservation, b"x" * 30_000, b"x" * 30_000)
        assert control.held_bytes == 60_000
        with control.admit():
            refused(control)
        reservation.hold_answer(200_000)
        assert control.held_bytes == 200_000, "a finished answer is in memory already"
        refused(control)
    assert (control.held_bytes, control.requests) == (0, 0)


def test_an_upload_beyond_the_memory_is_refused_while_it_arrives(control):
    with control.admit() as first, control.admit() as second:
        upload(first, b"x" * 60_000)
        with pytest.raises(UnservedError, match="too many photos"):
            upload(second, b"x" * 30_000, b"x" * 20_000)
        assert second.evicted and control.held_bytes == 60_000


class Upload:
    """An upload whose pieces the test sends; `refused` is true after it was evicted."""

    def __init__(self, control, tasks):
        self.refused = False
        self._control, self._arrived = control, []
        self._more = anyio.Event()
        tasks.start_soon(self._read)

    async def send(self, size):
        self._arrived.append(b"x" * size)
        self._more.set()
        await settled()

    async def _read(self):
        try:
            with self._control.admit() as self.reservation:
                while True:
                    await self.reservation.receive(self._receive)
        except UnservedError:
            self.refused = True

    async def _receive(self):
        if not self._arrived:
            self._more = anyio.Event()
            await self._more.wait()
        return {"type": "http.request", "body": self._arrived.pop(0), "more_body": True}


async def settled():
    for _ in range(5):
        await anyio.sleep(0)


def in_tasks(test):
    """Run a test in an event loop, with a group of tasks that ends with it."""

    @functools.wraps(test)
    def run(**fixtures):
        async def inside():
            async with anyio.create_task_group() as tasks:
                await test(tasks=tasks, **fixtures)
                tasks.cancel_scope.cancel()

        anyio.run(inside)

    # pytest passes the fixtures, but not the tasks.
    signature = inspect.signature(test)
    run.__signature__ = signature.replace(parameters=[p for name, p in signature.parameters.items() if name != "tasks"])
    return run


@in_tasks
async def test_the_slowest_transfer_is_evicted_for_a_new_request(control, clock, tasks):
    slow, slower = Upload(control, tasks), Upload(control, tasks)
    await settled()
    await slow.send(4_000)
    await slower.send(1)
    clock.now = 5.0
    newest = Upload(control, tasks)
    await settled()
    assert (slow.refused, slower.refused, newest.refused) == (False, True, False)
    await newest.send(90_000)
    assert control.held_bytes == 94_000 and control.pool.counts["evicted"] == 1


@in_tasks
async def test_a_new_request_gets_the_memory_of_a_slower_transfer(control, clock, tasks):
    idle = Upload(control, tasks)
    await settled()
    await idle.send(90_000)
    clock.now = 60.0
    newest = Upload(control, tasks)
    await settled()
    await newest.send(50_000)
    assert (idle.refused, newest.refused, control.held_bytes) == (True, False, 50_000)


@in_tasks
async def test_transfers_at_an_ordinary_rate_are_never_evicted(control, clock, tasks):
    control.max_bytes = 2**30
    uploads = Upload(control, tasks), Upload(control, tasks)
    await settled()
    for second in range(20):
        clock.now = second
        for upload in uploads:
            await upload.send(round(1.5 * NEW_REQUEST_RATE))
        refused(control)
    clock.now += 10  # neither upload sends a byte
    with control.admit():
        await settled()
        assert sorted(upload.refused for upload in uploads) == [False, True]


def test_an_upload_that_waits_for_a_piece_ends_at_once_when_it_is_evicted(control, clock):
    async def stall():
        with control.admit() as reservation, pytest.raises(UnservedError):
            await reservation.receive(anyio.sleep_forever)
        evicted.append(reservation)

    async def both():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stall)
            tasks.start_soon(stall)
            await anyio.sleep(0.01)
            clock.now = 3.0
            with control.admit(), anyio.fail_after(5):
                while not evicted:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    evicted = []
    anyio.run(both)
    assert len(evicted) == 1


def test_a_client_that_does_not_take_its_answer_is_evicted(control, clock):
    async def read_slowly():
        with control.admit() as reservation:
            reservation.hold_answer(1_000)
            continues.append(await reservation.send(never, {"body": b"x" * 1_000}, max_stall=5))

    async def never(message):
        await anyio.sleep_forever()

    async def both():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly)
            await anyio.sleep(0.01)
            clock.now = 3.0
            with control.admit(), control.admit(), anyio.fail_after(5):
                while not continues:
                    await anyio.sleep(0.01)

    continues = []
    anyio.run(both)
    assert continues == [False]


def test_photos_that_wait_or_are_processed_are_never_evicted(control, clock):
    with control.admit() as first, control.admit() as second:
        for reservation in (first, second):
            upload(reservation, b"x")
        clock.now = 100.0
        refused(control)
        assert not first.evicted and not second.evicted


def read_body(pieces, **limits):
    """Send pieces, each after its seconds, through the limit of a body, and return those that were read."""

    async def read(scope, receive, send):
        while (message := await receive()).get("more_body"):
            received.append(message["body"])

    async def receive():
        seconds, piece = remaining.pop(0) if remaining else (0, None)
        await anyio.sleep(seconds)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    received, remaining = [], list(pieces)
    anyio.run(BodyLimit(read, **limits), {"type": "http", "headers": []}, receive, None)
    return received


def test_a_body_that_arrives_too_slowly_is_refused():
    limits = {"max_body": 10_000, "max_stall": 0.5, "min_rate": 200}  # 100 bytes in half a second
    slow = [(0.1, b"x")] * 20
    with pytest.raises(HTTPException, match=r"\d bytes in 0\.5 seconds, at least 100 are required") as error:
        read_body(slow, **limits)
    assert error.value.status_code == 408 and error.value.headers == {"Connection": "close"}
    assert len(read_body([(0.05, b"x" * 60)] * 20, **limits)) == 20, "longer than a window, and fast enough"
    assert len(read_body(slow[:2], **limits)) == 2, "whole before the window ends"
