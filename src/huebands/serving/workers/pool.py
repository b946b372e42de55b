"""A bounded queue before processes that colorize.

Of our own, because no library fits: pebble hands all jobs through one pipe behind a lock that a killed process may
keep, anyio.to_process ends idle processes, and both run BentoML's main module again in each. A process takes one job
at a time: whether batches gain anything on a processor changes from run to run (`benchmarks/engines.py`).
"""

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from huebands.serving.workers.jobs import Job, Outcome
from huebands.serving.workers.messages import Done, Failed, Ready, Task, TooLarge
from huebands.serving.workers.process import Process, ProcessEndedError

START_WITHIN = 300.0  # seconds; loading and warming up take some 5
STOP_WITHIN = 25.0  # seconds that accepted work has to come to its end
_TRIES = 2  # processes that a job may see end under it
_LONGEST_PAUSE = 60.0  # seconds between two starts of a process that ends again and again
_SMOOTHING = 0.1  # weight of the newest job in the mean of seconds
_log = logging.getLogger("huebands.serving")


class UnservedError(Exception):
    """A job that came to nothing through no fault of its sender's.

    Attributes:
        status: of the HTTP answer.
        reason: one line for the sender.
        cause: short and of few values, to count by: "busy", "starting", "stopping", "timeout", "died", "failed".
        retry_after: None, or seconds after which there may be room.
    """

    def __init__(self, status: int, reason: str, cause: str, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.cause = cause
        self.retry_after = retry_after


@dataclass(eq=False, repr=False)
class _Entry:
    """A job that was accepted."""

    job: Job
    answer: asyncio.Future[Outcome]
    tries: int = 0
    large: bool = False

    def fail(self, error: UnservedError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(eq=False)
class _Place:
    """Of one process among the others; a process that ends is replaced by a new one in its place."""

    process: Process | None = None
    offer: asyncio.Future[_Entry] | None = None  # there while it is idle
    in_work: _Entry | None = None
    alive: bool = False
    started: bool = False  # once at least
    failures: int = 0  # ends since the last job


@dataclass
class Pool:
    """Hands jobs to processes, one at a time to each; whatever it accepts it answers.

    Attributes:
        make_process: gives a process that was not started yet.
        processes: how many.
        queue: jobs that may wait beside those in work.
        timeout: seconds that a job may be in work, and that it may wait.
        counts: of what went wrong, by the `cause` of `UnservedError`, and of "restarts", "retries" and "hung up".
    """

    make_process: Callable[[], Process]
    processes: int
    queue: int
    timeout: float
    counts: Counter[str] = field(default_factory=Counter)
    _waiting: deque[_Entry] = field(default_factory=deque)
    _places: list[_Place] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False
    _mean: float = 1.0  # seconds of a job

    def start(self) -> None:
        """Start the processes; jobs are accepted once all are ready."""
        self._places = [_Place() for _ in range(self.processes)]
        self._tasks = [asyncio.create_task(self._keep(place)) for place in self._places]

    @property
    def ready(self) -> bool:
        """Whether jobs are accepted: every process was ready once, one is, all are kept, and no stop was asked for."""
        kept = not any(task.done() for task in self._tasks)
        everyone = kept and bool(self._places) and all(place.started for place in self._places)
        return everyone and any(place.alive for place in self._places) and not self._stopping

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    @property
    def working(self) -> int:
        """How many jobs are in work."""
        return sum(place.in_work is not None for place in self._places)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that are ready."""
        return [place.process.pid for place in self._places if place.alive and place.process is not None]

    def check(self) -> None:
        """Tell whether a job would be accepted now.

        Raises:
            UnservedError: when it would not.
        """
        if self._stopping:
            raise self.refusal("stopping", "the service is being stopped")
        if not self.ready and not self._restarts_first_time():
            raise self.refusal("starting", "the processes that colorize are being started")
        if len(self._waiting) >= self.queue:
            raise self.refusal("busy", f"{len(self._waiting)} photos wait already")

    def refusal(self, cause: str, reason: str) -> UnservedError:
        """What a sender is told for whom there is no room now; it is counted."""
        self.counts[cause] += 1
        seconds = min(max(math.ceil(self._mean * (len(self._waiting) + 1) / self.processes), 1), 120)
        return UnservedError(503, f"{reason}; try again in {seconds} s", cause, seconds)

    async def submit(self, job: Job) -> Outcome:
        """Do a job; whoever is cancelled while it waits takes it out of the queue.

        Raises:
            UnservedError: when it was not accepted, or not done.
        """
        self.check()
        loop = asyncio.get_running_loop()
        entry = _Entry(job, loop.create_future())
        self._waiting.append(entry)
        self._hand_out()
        patience = loop.call_later(self.timeout, self._give_up_waiting, entry)
        try:
            return await entry.answer
        except asyncio.CancelledError:
            self.counts["hung up"] += 1
            raise
        finally:
            patience.cancel()
            if entry in self._waiting:
                self._waiting.remove(entry)

    def refuse_more(self, within: float = STOP_WITHIN) -> None:
        """Accept no job any more, and answer those that were accepted within some seconds, at worst by a refusal."""
        if not self._stopping:
            self._stopping = True
            asyncio.get_running_loop().call_later(within, self._answer_all, "stopping", "the service is being stopped")

    async def close(self) -> None:
        """End the processes; whatever is still in the queue or in work is refused."""
        self._stopping = True
        self._answer_all("stopping", "the service is being stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _restarts_first_time(self) -> bool:
        """Whether all processes that are missing have ended only just now: then jobs may wait for them."""
        return bool(self._places) and all(place.started and place.failures < 2 for place in self._places)

    def _give_up_waiting(self, entry: _Entry) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            entry.fail(self.refusal("busy", f"no process had time for the photo within {self.timeout:g} s"))

    def _answer_all(self, cause: str, reason: str) -> None:
        in_work = [place.in_work for place in self._places if place.in_work is not None]
        for entry in (*self._waiting, *in_work):
            entry.fail(self.refusal(cause, reason))
        self._waiting.clear()

    def _hand_out(self) -> None:
        """Give waiting jobs to idle processes; of large photos one at a time."""
        for place in self._places:
            if place.offer is None or place.offer.done():
                continue
            large_in_work = any(other.in_work is not None and other.in_work.large for other in self._places)
            entry = next((entry for entry in self._waiting if not (entry.large and large_in_work)), None)
            if entry is None:
                return
            self._waiting.remove(entry)
            place.in_work = entry
            place.offer.set_result(entry)

    async def _keep(self, place: _Place) -> None:
        """Have a process at work in a place, always: whatever goes wrong there, another takes over."""
        while True:
            try:
                await self._employ(place)
            except Exception as error:
                place.failures += 1
                known = isinstance(error, ProcessEndedError | OSError | TimeoutError)
                reason = str(error) or f"not ready within {START_WITHIN:g} s"
                _log.error("a process that colorizes is replaced: %s", reason, exc_info=None if known else error)
            finally:
                place.alive, place.offer = False, None
                await _close(place.process)
            if place.in_work is not None:
                entry, place.in_work = place.in_work, None
                self._try_again(entry)
            self.counts["restarts"] += 1
            if not any(other.alive for other in self._places) and not self._restarts_first_time():
                self._answer_all("starting", "the processes that colorize do not start")
            await asyncio.sleep(_pause(place.failures))

    async def _employ(self, place: _Place) -> None:
        """Start a process in a place and give it jobs, until it ends or something else goes wrong."""
        place.process = process = self.make_process()
        await asyncio.wait_for(process.start(), START_WITHIN)
        place.alive = place.started = True
        while True:
            entry = await self._next(place, process)
            place.failures = 0  # what ends it now may be the photo's fault
            await self._do(place, process, entry)

    async def _next(self, place: _Place, process: Process) -> _Entry:
        """Wait for a job, or for the end of the process."""
        place.offer = asyncio.get_running_loop().create_future()
        self._hand_out()
        either: set[asyncio.Future[Any]] = {place.offer, process.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not place.offer.done():
            raise ProcessEndedError(f"process {process.pid} has ended while it was idle")
        return place.offer.result()

    async def _do(self, place: _Place, process: Process, entry: _Entry) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            async with asyncio.timeout(self.timeout):
                reply = await process.ask(Task(entry.job, alone=entry.large))
        except TimeoutError as error:
            place.in_work = None
            self.counts["timeout"] += 1
            entry.fail(UnservedError(504, f"the photo took longer than {self.timeout:g} s", "timeout"))
            raise ProcessEndedError(f"process {process.pid} took longer than {self.timeout:g} s") from error
        if isinstance(reply, Ready):
            raise ProcessEndedError(f"process {process.pid} did not answer a photo, but said that it was ready")
        place.in_work = None
        match reply:
            case Done(outcome):
                self._mean += _SMOOTHING * (loop.time() - start - self._mean)
                if not entry.answer.done():
                    entry.answer.set_result(outcome)
            case TooLarge():
                entry.large = True
                self._return(entry)
            case Failed(reason):
                self.counts["failed"] += 1
                entry.fail(
                    UnservedError(500, f"the photo could not be worked on ({reason}); the log says why", "failed")
                )

    def _try_again(self, entry: _Entry) -> None:
        entry.tries += 1
        if entry.tries < _TRIES:
            self.counts["retries"] += 1
            self._return(entry)
        else:
            self.counts["died"] += 1
            entry.fail(UnservedError(500, f"{_TRIES} processes ended while they worked on the photo", "died"))

    def _return(self, entry: _Entry) -> None:
        """Put a job back to the front, unless nobody waits for it any more."""
        if not entry.answer.done():
            self._waiting.appendleft(entry)
            self._hand_out()


async def _close(process: Process | None) -> None:
    """End a process; what goes wrong then is logged, and keeps nobody from replacing it."""
    try:
        if process is not None:
            await process.close()
    except Exception:
        _log.exception("a process that colorizes could not be ended in order")


def _pause(failures: int) -> float:
    """Seconds before the next start: none after a first end, then twice as many each time."""
    return 0.0 if failures < 2 else min(2.0 ** min(failures - 2, 60), _LONGEST_PAUSE)
