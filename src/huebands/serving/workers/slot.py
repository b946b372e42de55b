"""The place of one worker process in the pool; a process that ends is replaced by a new one in its slot."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from huebands.serving.workers.job_queue import QueuedJob
from huebands.serving.workers.process import ProcessEndedError, WorkerProcess

START_TIMEOUT = 300.0  # seconds; loading and warming up take about 5
_LONGEST_PAUSE = 60.0  # seconds between two starts of a process that ends again and again
_log = logging.getLogger("huebands.serving")


class Slot:
    """Holds one worker process at a time.

    Attributes:
        process: the newest one; None: none was made yet.
        job: job that the process has.
        is_ready: whether the process is ready.
        was_ready: whether any process of the slot was.
        failures: ends of a process since the last job.
    """

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self.job: QueuedJob | None = None
        self.is_ready = self.was_ready = False
        self.failures = 0
        self._next_job: asyncio.Future[QueuedJob] | None = None  # there while the process is idle

    @property
    def is_idle(self) -> bool:
        """Whether the process waits for a job."""
        return self._next_job is not None and not self._next_job.done()

    @property
    def has_large_job(self) -> bool:
        """Whether the process has a large photo."""
        return self.job is not None and self.job.large

    @property
    def pause(self) -> float:
        """Seconds before the next start: none after a first end, then twice as many each time."""
        return 0.0 if self.failures < 2 else min(2.0 ** min(self.failures - 2, 60), _LONGEST_PAUSE)

    async def start(self, make_process: Callable[[], WorkerProcess]) -> WorkerProcess:
        """Make and start a process.

        Raises:
            ProcessEndedError: when it ends before it is ready, or is not ready in time.
        """
        self.process = make_process()
        try:
            await asyncio.wait_for(self.process.start(), START_TIMEOUT)
        except TimeoutError as error:
            raise ProcessEndedError(f"not ready within {START_TIMEOUT:g} s") from error
        self.is_ready = self.was_ready = True
        return self.process

    async def next_job(self, process: WorkerProcess, on_idle: Callable[[], None]) -> QueuedJob:
        """Wait for `assign`, or for the end of the process.

        Args:
            process: process of the slot.
            on_idle: called once the slot can take a job.

        Raises:
            ProcessEndedError: when the process ends first.
        """
        self._next_job = asyncio.get_running_loop().create_future()
        on_idle()
        futures: set[asyncio.Future[Any]] = {self._next_job, process.ended}
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        if not self._next_job.done():
            raise ProcessEndedError(f"worker process {process.pid} has ended while it was idle")
        self.failures = 0  # if the process ends now, the photo may be the reason
        return self._next_job.result()

    def assign(self, job: QueuedJob) -> None:
        """Give a job to the idle process."""
        assert self._next_job is not None, "not idle"
        self.job = job
        self._next_job.set_result(job)

    async def kill(self) -> None:
        """End the process; an error is logged, and the slot still gets a new process."""
        self.is_ready, self._next_job = False, None
        try:
            if self.process is not None:
                await self.process.kill()
        except Exception:
            _log.exception("a worker process could not be ended cleanly")
