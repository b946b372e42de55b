"""The BentoML service: the only room that imports bentoml.

HUEBANDS_MODEL names the model package, a folder or models:/NAME@ALIAS; without it `served_model.choose` takes its
default.
"""

import asyncio
import os
import sys
from dataclasses import replace

import bentoml

from huebands.package.schema import PackageError
from huebands.serving import json_log, served_model
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.limits import LimitError, Limits
from huebands.serving.app import build_app
from huebands.serving.monitoring.metrics import ModelCollector
from huebands.serving.monitoring.monitor import Monitor
from huebands.serving.monitoring.pool_metrics import PoolCollector
from huebands.serving.named import Named
from huebands.serving.workers.launch import build_pool, refuse_at_signal
from huebands.serving.workers.package_copy import PrivateCopy, copy_privately

CHOSEN = "HUEBANDS_CHOSEN"  # environment variable: how the first process tells its workers what to serve
app = build_app()


@bentoml.service(
    name="huebands",
    workers=1,  # it reads and answers; processes of its own colorize, see web/pool.py
    # The rooms of web/ bound both, and say so better; BentoML keeps a timer of this length for each request.
    traffic={"timeout": 1200, "max_concurrency": None},
    metrics={"enabled": False},  # see web/metrics.py
    logging={"access": {"enabled": False}},  # see web/log.py
    tracing={"excluded_urls": ".*"},  # a trace of each request would live as long as that timer: 4 to 15 kB, unread
)
@bentoml.asgi_app(app, path="/")
class Huebands:
    """Colorizes photos and gives ranges for the true colours, with a promise on average over photos."""

    @bentoml.on_deployment
    @staticmethod
    def choose() -> None:
        """Choose before any worker starts, so that one that is restarted serves the same, or end with one line."""
        try:
            Limits.of(os.environ)
            chosen = served_model.choose(os.environ.get("HUEBANDS_MODEL") or None)
            package = chosen.load().package
            copied = copy_privately(package.folder, package.package_sha256)
            chosen = replace(chosen, folder=str(copied), package_sha256=package.package_sha256)
        except (PackageError, LimitError) as error:
            sys.exit(f"huebands: {error}")
        os.environ[CHOSEN] = chosen.encode()

    def __init__(self) -> None:
        json_log.configure()
        chosen = served_model.decode(os.environ[CHOSEN])
        colorizer = chosen.load()
        app.state.served = chosen
        app.state.colorizer = colorizer
        app.state.monitor = Monitor(colorizer.calibration)
        limits = Limits.of(os.environ)
        self.copy = PrivateCopy(colorizer.package.folder, colorizer.package.package_sha256)
        app.state.pool = build_pool(self.copy, limits)
        app.state.admission = AdmissionControl(app.state.pool, limits.held_bytes, limits.requests)
        app.state.registry.register(ModelCollector(colorizer.package, app.state.monitor))
        app.state.registry.register(PoolCollector(app.state.admission))

    @bentoml.on_startup
    async def start(self) -> None:
        """Start the processes that colorize."""
        app.state.pool.start()
        refuse_at_signal(app.state.pool)
        self.keeping = asyncio.create_task(self.copy.keep_on())

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End the processes that colorize."""
        self.keeping.cancel()
        await app.state.pool.close()

    async def __is_ready__(self) -> bool:
        return bool(app.state.pool.ready) and self.copy.fault is None


Huebands.add_asgi_middleware(Named, state=app.state)  # type: ignore[attr-defined]  # the decorators made a service of it
