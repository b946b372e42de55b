"""The models that answer: the one in use, and the one before it until its last request has its outcome.

A request belongs to the model that is in use when its form is complete: this model checks the form, colorizes the photo
and is named in the answer, also when another one is put in use meanwhile.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.package.schema import PackageError
from huebands.serving.admission.limits import Limits
from huebands.serving.monitoring.monitor import Monitor
from huebands.serving.served_model import ServedModel
from huebands.serving.workers import worker
from huebands.serving.workers.package_copy import PrivateCopy
from huebands.serving.workers.pool import WorkerPool
from huebands.serving.workers.process import ProcessEndedError, WorkerProcess


class Workers:
    """The worker processes of one package, and the private copy that they start from.

    Args:
        folder: folder of the copy.
        package_sha256: hash of the package.
        limits: limits of the service.

    Raises:
        PackageError: when the folder does not hold that package.
    """

    def __init__(self, folder: Path, package_sha256: str, limits: Limits) -> None:
        self.package_copy = PrivateCopy(folder, package_sha256)
        # Numeric libraries read this when they are loaded; torch and OpenVINO follow it.
        self._environment = {"OMP_NUM_THREADS": str(limits.threads), **os.environ}
        self.pool = WorkerPool(self._make_process, limits.processes, limits.queue, limits.timeout)
        self._restoring: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether jobs are accepted, and processes can be replaced."""
        return self.pool.ready and self.package_copy.fault is None

    def start(self) -> None:
        """Start the processes."""
        self.pool.start()
        self._restoring = asyncio.create_task(self.package_copy.restore_regularly())

    async def close(self) -> None:
        """End the processes; the copy stays."""
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
        await self.pool.close()

    def _make_process(self) -> WorkerProcess:
        return WorkerProcess(self._make_command, self._environment)

    def _make_command(self) -> list[str]:
        try:
            folder = self.package_copy.restore()
        except PackageError as error:
            raise ProcessEndedError(str(error)) from error
        return [sys.executable, "-m", worker.__name__, str(folder), self.package_copy.package_sha256]


class LiveModel:
    """A model that answers requests.

    Attributes:
        model: what was chosen.
        colorizer: its package.
        workers: its worker processes.
        monitor: monitor of the photos that it has answered.
    """

    def __init__(self, model: ServedModel, colorizer: Colorizer, workers: Workers) -> None:
        self.model, self.colorizer, self.workers = model, colorizer, workers
        self.monitor = Monitor(colorizer.calibration)
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def version(self) -> str:
        """The start of the package's sha256."""
        return self.colorizer.package.package_sha256[:12]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Count a request for as long as the block runs."""
        self._requests += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._unused.set()

    async def wait_until_unused(self) -> None:
        """Wait until no request uses it; each ends within the limits of the worker pool."""
        await self._unused.wait()


class LiveModels:
    """The model in use, and the one that it has replaced.

    Attributes:
        current: model that new requests use.
        replaced: model before it, while requests use it; None: there is none.
    """

    def __init__(self, current: LiveModel) -> None:
        self.current = current
        self.replaced: LiveModel | None = None

    @property
    def pools(self) -> list[WorkerPool]:
        """The pools that have jobs, or may get some."""
        models = [self.current] if self.replaced is None else [self.current, self.replaced]
        return [model.workers.pool for model in models]

    def refuse_more(self) -> None:
        """Accept no more jobs, see `WorkerPool.refuse_more`."""
        for pool in self.pools:
            pool.refuse_more()

    def replace(self, new: LiveModel) -> None:
        """Let new requests use another model, whose worker processes are ready."""
        self.current, self.replaced = new, self.current

    async def end_replaced(self) -> None:
        """Wait until no request uses the replaced model, and end its worker processes."""
        if self.replaced is not None:
            await self.replaced.wait_until_unused()
            await self.replaced.workers.close()
            self.replaced = None

    async def close(self) -> None:
        """End all worker processes."""
        for model in (self.current, self.replaced):
            if model is not None:
                await model.workers.close()
