"""The BentoML service, which wires the serving room together; no other module imports bentoml.

HUEBANDS_MODEL names the model package, a folder or models:/NAME@ALIAS; without it `served_model.choose` takes its
default.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from types import FrameType

import bentoml

from huebands.package.schema import PackageError
from huebands.photos.limits import PixelLimitError, pixel_limit
from huebands.serving import json_log, served_model
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.limits import LimitError, Limits
from huebands.serving.answers import ModelHeaders
from huebands.serving.app import build_app, serve_model
from huebands.serving.workers import worker
from huebands.serving.workers.package_copy import PrivateCopy, copy_privately
from huebands.serving.workers.pool import WorkerPool
from huebands.serving.workers.process import ProcessEndedError, WorkerProcess

CHOSEN = "HUEBANDS_CHOSEN"  # environment variable that passes the choice from BentoML's first process to the others
app = build_app()


@bentoml.service(
    name="huebands",
    workers=1,  # it speaks HTTP; the worker processes of serving/workers colorize
    # serving/admission limits both, with better answers; BentoML keeps a timer of this length for each request.
    traffic={"timeout": 1200, "max_concurrency": None},
    metrics={"enabled": False},  # see serving/monitoring/metrics.py
    logging={"access": {"enabled": False}},  # see serving/monitoring/access_log.py
    tracing={"excluded_urls": ".*"},  # unused, and a trace would stay in memory as long as that timer: 4 to 15 kB
)
@bentoml.asgi_app(app, path="/")
class Huebands:
    """Colorizes photos and gives ranges for the true colours, with a promise on average over photos."""

    @bentoml.on_deployment
    @staticmethod
    def choose() -> None:
        """Choose the model before any process starts, so that restarted ones serve the same; or exit with one line."""
        try:
            Limits.from_environment(os.environ)
            pixel_limit()
            chosen = served_model.choose(os.environ.get("HUEBANDS_MODEL") or None)
            package = chosen.load().package
            folder = copy_privately(package.folder, package.package_sha256)
        except (PackageError, LimitError, PixelLimitError) as error:
            sys.exit(f"huebands: {error}")
        chosen = replace(chosen, folder=str(folder), package_sha256=package.package_sha256)
        os.environ[CHOSEN] = chosen.encode()

    def __init__(self) -> None:
        json_log.configure()
        model = served_model.decode(os.environ[CHOSEN])
        colorizer = model.load()
        limits = Limits.from_environment(os.environ)
        self.package_copy = PrivateCopy(colorizer.package.folder, colorizer.package.package_sha256)
        self.pool = build_pool(self.package_copy, limits)
        serve_model(app, model, colorizer, AdmissionControl(self.pool, limits.held_bytes, limits.requests))

    @bentoml.on_startup
    async def start(self) -> None:
        """Start the worker processes."""
        self.pool.start()
        refuse_jobs_after_sigterm(self.pool)
        self.restoring = asyncio.create_task(self.package_copy.restore_regularly())

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End the worker processes."""
        self.restoring.cancel()
        await self.pool.close()

    async def __is_ready__(self) -> bool:
        return self.pool.ready and self.package_copy.fault is None


Huebands.add_asgi_middleware(ModelHeaders, state=app.state)  # type: ignore[attr-defined]  # the decorators made it a service


def build_pool(package_copy: PrivateCopy, limits: Limits) -> WorkerPool:
    """Make the pool of worker processes that colorize with a package."""
    # Numeric libraries read this when they are loaded; torch and OpenVINO follow it.
    environment = {"OMP_NUM_THREADS": str(limits.threads), **os.environ}

    def make_command() -> list[str]:
        try:
            folder = package_copy.restore()
        except PackageError as error:
            raise ProcessEndedError(str(error)) from error
        return [sys.executable, "-m", worker.__name__, str(folder), package_copy.package_sha256]

    def make_process() -> WorkerProcess:
        return WorkerProcess(make_command, environment)

    return WorkerPool(make_process, processes=limits.processes, queue=limits.queue, timeout=limits.timeout)


def refuse_jobs_after_sigterm(pool: WorkerPool) -> None:
    """Let a pool refuse jobs after SIGTERM; the previous handler is called too."""
    loop, previous = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(pool.refuse_more)
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGTERM, handle)
