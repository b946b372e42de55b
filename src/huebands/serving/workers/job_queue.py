"""The photos that wait for a worker process, in order, and how long a new one would wait."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from huebands.serving.workers.jobs import Job, Outcome, UnservedError

_SMOOTHING = 0.1  # weight of the newest job in the mean of seconds
_LONGEST_WAIT = 120  # seconds: the largest Retry-After


@dataclass(eq=False, repr=False)
class QueuedJob:
    """A job that was accepted.

    Attributes:
        outcome: outcome that the client waits for.
        attempts: worker processes that ended while they had the job.
        large: whether a worker process found that the photo is large.
    """

    job: Job
    outcome: asyncio.Future[Outcome]
    attempts: int = 0
    large: bool = False

    def succeed(self, outcome: Outcome) -> None:
        """Give the outcome, unless the client has hung up."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: UnservedError) -> None:
        """Give an error, unless the client has hung up."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class JobQueue:
    """A queue of accepted jobs.

    Args:
        capacity: jobs that may wait.
        workers: processes that take jobs.
    """

    def __init__(self, capacity: int, workers: int) -> None:
        self.capacity = capacity
        self.mean_seconds = 1.0  # of a job, a running mean
        self._workers = workers
        self._waiting: deque[QueuedJob] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more jobs may wait."""
        return len(self) >= self.capacity

    @property
    def wait_seconds(self) -> int:
        """Whole seconds after which there may be room for another job."""
        seconds = math.ceil(self.mean_seconds * (len(self) + 1) / self._workers)
        return min(max(seconds, 1), _LONGEST_WAIT)

    def append(self, job: QueuedJob) -> None:
        """Let a job wait behind the others."""
        self._waiting.append(job)

    def return_to_front(self, job: QueuedJob) -> None:
        """Let a job wait before the others."""
        self._waiting.appendleft(job)

    def remove(self, job: QueuedJob) -> bool:
        """Take a job out; False when it does not wait."""
        try:
            self._waiting.remove(job)
        except ValueError:
            return False
        return True

    def take(self, large_allowed: bool) -> QueuedJob | None:
        """Take out the first job, or the first that is not large; None when there is none."""
        job = next((job for job in self._waiting if large_allowed or not job.large), None)
        if job is not None:
            self._waiting.remove(job)
        return job

    def take_all(self) -> list[QueuedJob]:
        """Take out all jobs."""
        jobs = list(self._waiting)
        self._waiting.clear()
        return jobs

    def record_seconds(self, seconds: float) -> None:
        """Add a job to the running mean."""
        self.mean_seconds += _SMOOTHING * (seconds - self.mean_seconds)
