"""The processes that colorize for a service, as many and as wide as its limits say."""

import asyncio
import os
import signal
import sys
from types import FrameType

from huebands.package.schema import PackageError
from huebands.serving.admission.limits import Limits
from huebands.serving.workers import worker
from huebands.serving.workers.package_copy import PrivateCopy
from huebands.serving.workers.pool import Pool
from huebands.serving.workers.process import Process, ProcessEndedError


def build_pool(copy: PrivateCopy, limits: Limits) -> Pool:
    """Make the pool of processes that work with a package; start it in the event loop."""
    # Libraries for arithmetic read this when they are loaded; torch and OpenVINO follow it.
    environment = {"OMP_NUM_THREADS": str(limits.threads), **os.environ}

    def make_command() -> list[str]:
        try:
            return [sys.executable, "-m", worker.__name__, str(copy.keep()), copy.package_sha256]
        except PackageError as error:
            raise ProcessEndedError(str(error)) from error

    def make_process() -> Process:
        return Process(make_command, environment)

    return Pool(make_process, processes=limits.processes, queue=limits.queue, timeout=limits.timeout)


def refuse_at_signal(pool: Pool) -> None:
    """Let a pool refuse jobs from SIGTERM on, before whoever handled the signal until now does."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(pool.refuse_more)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, handle)
