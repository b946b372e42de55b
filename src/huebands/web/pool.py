"""A bounded queue before processes that colorize."""

import anyio.to_thread

from huebands.web import worker
from huebands.web.jobs import Job, Outcome


class Pool:
    """Hands jobs to processes that colorize.

    Args:
        folder: of the model package.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    async def submit(self, job: Job) -> Outcome:
        """Do a job."""
        return await anyio.to_thread.run_sync(worker.work, self.folder, job)
