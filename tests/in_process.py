"""The service's application without BentoML, colorizing in the same process."""

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from starlette.applications import Starlette

from huebands.colorize.colorizer import Colorizer
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.answers import ModelHeaders
from huebands.serving.app import build_app, serve_model
from huebands.serving.live_model import LiveModel, LiveModels, Workers
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.served_model import ServedModel
from huebands.serving.workers import worker
from huebands.serving.workers.jobs import Job, Outcome

ANSWER_WITHIN = 60  # seconds; httpx's timeouts do not hold for an application in the same process


class InProcessPool:
    """A worker pool without processes: it runs each job at once."""

    def __init__(self, colorizer: Colorizer) -> None:
        self.colorizer = colorizer
        self.counts: Counter[str] = Counter()
        self.waiting = self.working = 0
        self.pids: list[int] = []

    def check(self) -> None:
        """Refuse nothing: the queue is never full."""

    async def submit(self, job: Job) -> Outcome:
        """Run a job."""
        return worker.work(self.colorizer, job)


def live_in_process(model: ServedModel, colorizer: Colorizer) -> LiveModel:
    """Make a model that colorizes in this process."""
    workers = SimpleNamespace(pool=InProcessPool(colorizer))
    return LiveModel(model, colorizer, cast(Workers, workers))


def take_model(app: Starlette, colorizer: Colorizer) -> None:
    """Let an application use another model from now on, without the numbers of the one before."""
    live = live_in_process(app.state.models.current.model, colorizer)
    app.state.models.current, app.state.admission.pool = live, live.workers.pool


def build_in_process(package: Path, following: FollowStatus | None = None) -> Starlette:
    """Make the application for a model package."""
    app, colorizer = build_app(), Colorizer.load(package)
    models = LiveModels(live_in_process(ServedModel(folder=str(package), source=package.name), colorizer))
    pool = models.current.workers.pool
    serve_model(app, models, AdmissionControl(pool, max_bytes=2**30, max_requests=100), following)
    app.add_middleware(ModelHeaders, state=app.state)
    return app


class Client:
    """Sends requests to an application in this process, one after another."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, and wait for the answer."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
                async with asyncio.timeout(ANSWER_WITHIN):
                    return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST request."""
        return self.request("POST", path, **options)
