"""The worker pool: processes that colorize, behind a bounded queue.

It is our own because no library fits: pebble sends all jobs through one pipe behind a lock that a killed process may
keep, anyio.to_process ends idle processes, and both run BentoML's main module again in each process. A process gets one
job at a time: whether batches gain anything on a processor changes from run to run (`benchmarks/engines.py`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from huebands.serving.json_log import log_reference
from huebands.serving.workers.job_queue import JobQueue, QueuedJob
from huebands.serving.workers.jobs import Job, Outcome, UnservedError
from huebands.serving.workers.messages import Done, Failed, Ready, Task, TooLarge
from huebands.serving.workers.process import ProcessEndedError, WorkerProcess
from huebands.serving.workers.slot import Slot

STOP_TIMEOUT = 25.0  # seconds that accepted jobs have to finish once the service is being stopped
_MAX_ATTEMPTS = 2  # worker processes that may end while they have the same job
_STOPPING = "the service is being stopped"
_log = logging.getLogger("huebands.serving")


class WorkerPool:
    """Gives jobs to worker processes, one at a time to each; every accepted job gets an outcome or an error.

    Args:
        make_process: gives a worker process that is not started yet.
        processes: how many.
        queue: jobs that may wait beside those that a process has.
        timeout: seconds that a job may take, and seconds that it may wait.

    Attributes:
        counts: numbers of errors by the `cause` of `UnservedError`, and of "restarts", "retries" and "hung up".
    """

    def __init__(self, make_process: Callable[[], WorkerProcess], processes: int, queue: int, timeout: float) -> None:
        self.counts: Counter[str] = Counter()
        self._make_process = make_process
        self._processes = processes
        self._timeout = timeout
        self._queue = JobQueue(queue, processes)
        self._slots: list[Slot] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._stopping = False
        self._start_error: Exception | None = None
        self._has_news = asyncio.Event()  # a process is ready, or has ended

    def start(self) -> None:
        """Start the processes; jobs are accepted once all are ready."""
        self._slots = [Slot() for _ in range(self._processes)]
        self._supervisors = [asyncio.create_task(self._supervise(slot)) for slot in self._slots]

    async def wait_until_warm(self) -> None:
        """Wait until every process is ready.

        Raises:
            ProcessEndedError: when one ends before.
        """
        while not all(slot.is_ready for slot in self._slots):
            if self._start_error is not None:
                raise ProcessEndedError(str(self._start_error)) from self._start_error
            self._has_news.clear()
            await self._has_news.wait()

    @property
    def ready(self) -> bool:
        """Whether jobs are accepted.

        Every process was ready once, one is ready now, every slot has its supervisor, and the service is not stopping.
        """
        supervised = not any(task.done() for task in self._supervisors)
        started = bool(self._slots) and all(slot.was_ready for slot in self._slots)
        return supervised and started and any(slot.is_ready for slot in self._slots) and not self._stopping

    @property
    def waiting(self) -> int:
        """How many jobs wait for a process."""
        return len(self._queue)

    @property
    def working(self) -> int:
        """How many jobs a process has."""
        return sum(slot.job is not None for slot in self._slots)

    @property
    def pids(self) -> list[int]:
        """The IDs of the processes that are ready."""
        return [slot.process.pid for slot in self._slots if slot.is_ready and slot.process is not None]

    def check(self) -> None:
        """Check that a job would be accepted now.

        Raises:
            UnservedError: when it would not.
        """
        if self._stopping:
            raise self.refusal("stopping", _STOPPING)
        if not self.ready and not self._restarts_for_the_first_time():
            raise self.refusal("starting", "the worker processes are being started")
        if self._queue.is_full:
            raise self.refusal("busy", f"{self.waiting} photos are waiting already")

    def refusal(self, cause: str, reason: str) -> UnservedError:
        """The error for a client for whom there is no room now; it is counted."""
        self.counts[cause] += 1
        seconds = self._queue.wait_seconds
        return UnservedError(503, f"{reason}; try again in {seconds} s", cause, seconds)

    async def submit(self, job: Job) -> Outcome:
        """Run a job; cancelling this while the job waits takes it out of the queue.

        Raises:
            UnservedError: when the job was not accepted, or not finished.
        """
        self.check()
        loop = asyncio.get_running_loop()
        queued = QueuedJob(job, loop.create_future())
        self._queue.append(queued)
        self._assign_jobs()
        deadline = loop.call_later(self._timeout, self._give_up_waiting, queued)
        try:
            return await queued.outcome
        except asyncio.CancelledError:
            self.counts["hung up"] += 1
            raise
        finally:
            deadline.cancel()
            self._queue.remove(queued)

    def refuse_more(self, timeout: float = STOP_TIMEOUT) -> None:
        """Accept no more jobs; accepted ones that are not finished after `timeout` seconds are refused too."""
        if not self._stopping:
            self._stopping = True
            asyncio.get_running_loop().call_later(timeout, self._refuse_all, "stopping", _STOPPING)

    async def close(self) -> None:
        """End the processes; the jobs that wait or that a process has are refused."""
        self._stopping = True
        self._refuse_all("stopping", _STOPPING)
        for task in self._supervisors:
            task.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)

    def _restarts_for_the_first_time(self) -> bool:
        """Whether every process that is missing has ended only once: then jobs may wait for its replacement."""
        return bool(self._slots) and all(slot.was_ready and slot.failures < 2 for slot in self._slots)

    def _give_up_waiting(self, queued: QueuedJob) -> None:
        if self._queue.remove(queued):
            queued.fail(self.refusal("busy", f"no worker process was free for the photo within {self._timeout:g} s"))

    def _refuse_all(self, cause: str, reason: str) -> None:
        in_work = [slot.job for slot in self._slots if slot.job is not None]
        for queued in (*self._queue.take_all(), *in_work):
            queued.fail(self.refusal(cause, reason))

    def _assign_jobs(self) -> None:
        """Give waiting jobs to idle processes; of large photos one at a time."""
        for slot in self._slots:
            if not slot.is_idle:
                continue
            queued = self._queue.take(large_allowed=not any(any_slot.has_large_job for any_slot in self._slots))
            if queued is None:
                return
            slot.assign(queued)

    async def _supervise(self, slot: Slot) -> None:
        """Keep a process in a slot for as long as the pool lives: after an error of any kind a new one is started."""
        while True:
            try:
                process = await slot.start(self._make_process)
                self._has_news.set()
                while True:
                    await self._run_job(slot, process, await slot.next_job(process, self._assign_jobs))
            except Exception as error:
                slot.failures += 1
                self._start_error = error
                self._has_news.set()
                is_known = isinstance(error, ProcessEndedError | OSError)
                _log.error("a worker process is replaced: %s", error, exc_info=None if is_known else error)
            finally:
                await slot.kill()
            if slot.job is not None:
                queued, slot.job = slot.job, None
                self._retry(queued)
            self.counts["restarts"] += 1
            if not any(any_slot.is_ready for any_slot in self._slots) and not self._restarts_for_the_first_time():
                self._refuse_all("starting", "the worker processes do not start")
            await asyncio.sleep(slot.pause)

    async def _run_job(self, slot: Slot, process: WorkerProcess, queued: QueuedJob) -> None:
        """Send a job to a process, and pass on the reply."""
        loop, request_id = asyncio.get_running_loop(), queued.job.request_id
        start = loop.time()
        try:
            async with asyncio.timeout(self._timeout):
                reply = await process.run(Task(queued.job, alone=queued.large))
        except TimeoutError as error:
            slot.job = None
            self.counts["timeout"] += 1
            reason = f"the photo took longer than {self._timeout:g} s"
            _log.error(reason, extra={"request": request_id})
            queued.fail(UnservedError(504, f"{reason}, {log_reference(request_id)}", "timeout"))
            raise ProcessEndedError(f"worker process {process.pid} took longer than {self._timeout:g} s") from error
        if isinstance(reply, Ready):
            raise ProcessEndedError(f"worker process {process.pid} replied to a job that it is ready")
        slot.job = None
        match reply:
            case Done(outcome):
                self._queue.record_seconds(loop.time() - start)
                queued.succeed(outcome)
            case TooLarge():
                queued.large = True
                self._return_to_queue(queued)
            case Failed():  # the worker process has logged the error
                self.counts["failed"] += 1
                queued.fail(_internal_error(queued.job, "failed"))

    def _retry(self, queued: QueuedJob) -> None:
        """Give a job whose process has ended to another one, once."""
        queued.attempts += 1
        if queued.attempts < _MAX_ATTEMPTS:
            self.counts["retries"] += 1
            self._return_to_queue(queued)
            return
        self.counts["died"] += 1
        message = f"{_MAX_ATTEMPTS} worker processes ended while they had the photo"
        _log.error(message, extra={"request": queued.job.request_id})
        queued.fail(_internal_error(queued.job, "died"))

    def _return_to_queue(self, queued: QueuedJob) -> None:
        """Put a job back to the front of the queue, unless its client has hung up."""
        if not queued.outcome.done():
            self._queue.return_to_front(queued)
            self._assign_jobs()


def _internal_error(job: Job, cause: str) -> UnservedError:
    return UnservedError(500, f"internal error, {log_reference(job.request_id)}", cause)
