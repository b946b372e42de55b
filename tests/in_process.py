"""The service's application without BentoML, colorizing in the same process."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from starlette.applications import Starlette

from huebands.serving.admission.control import AdmissionControl
from huebands.serving.app import build_app
from huebands.serving.monitoring.metrics import ModelCollector
from huebands.serving.monitoring.monitor import Monitor
from huebands.serving.named import Named
from huebands.serving.served_model import Served
from huebands.serving.workers import worker
from huebands.serving.workers.jobs import Job, Outcome
from huebands.serving.workers.pool import Pool


@dataclass
class Inline:
    """Stands in for the pool of processes: does each job at once."""

    folder: Path

    def check(self) -> None:
        """There is always room."""

    async def submit(self, job: Job) -> Outcome:
        """Do a job."""
        return worker.work(str(self.folder), job)


def build_in_process(package: Path) -> Starlette:
    """Make the application for a model package."""
    app = build_app()
    pool = cast(Pool, Inline(package))
    app.state.served = Served(folder=str(package), source=package.name)
    app.state.colorizer = worker.load(str(package))
    app.state.monitor = Monitor(app.state.colorizer.calibration)
    app.state.registry.register(ModelCollector(app.state.colorizer.package, app.state.monitor))
    app.state.pool = pool
    app.state.admission = AdmissionControl(pool, max_bytes=2**30, max_requests=100)
    app.add_middleware(Named, state=app.state)
    return app


class Client:
    """Asks an application in this process, one request after another."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def request(self, method: str, path: str, **asked: Any) -> httpx.Response:
        """Ask, and wait for the answer."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
                return await client.request(method, path, **asked)

        return asyncio.run(ask())

    def get(self, path: str, **asked: Any) -> httpx.Response:
        """Ask by GET."""
        return self.request("GET", path, **asked)

    def post(self, path: str, **asked: Any) -> httpx.Response:
        """Ask by POST."""
        return self.request("POST", path, **asked)
