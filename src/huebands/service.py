"""The BentoML service, which wires the serving room together; no other module imports bentoml.

HUEBANDS_MODEL names the model package, a folder or models:/NAME@ALIAS; without it `served_model.choose` takes its
default. With HUEBANDS_FOLLOW, the service follows that alias.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import bentoml

from huebands.package.schema import PackageError
from huebands.photos.limits import PixelLimitError, pixel_limit
from huebands.serving import json_log, served_model
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.limits import LimitError, Limits
from huebands.serving.answers import ModelHeaders
from huebands.serving.app import build_app, serve_model
from huebands.serving.following.follower import Follower
from huebands.serving.following.in_use_record import InUseRecord
from huebands.serving.following.registry import Registry
from huebands.serving.following.rollout import Rollout
from huebands.serving.following.settings import FollowSettings, FollowSettingsError
from huebands.serving.live_model import LiveModel, LiveModels, Workers
from huebands.serving.monitoring.alarm import now
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.workers.package_copy import copy_privately

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
            settings = FollowSettings.from_environment(os.environ)
            source = os.environ.get("HUEBANDS_MODEL") or None
            chosen = served_model.choose(source)
            colorizer = chosen.load()
            if settings is not None:
                served_model.check_default(colorizer)  # as each version that takes its place is checked
            package = colorizer.package
            folder = copy_privately(package.folder, package.package_sha256)
            if served_model.is_address(source):
                shutil.rmtree(package.folder, ignore_errors=True)  # the download
        except (PackageError, LimitError, PixelLimitError, FollowSettingsError) as error:
            sys.exit(f"huebands: {error}")
        chosen = replace(chosen, folder=str(folder), package_sha256=package.package_sha256, in_use_since=now())
        os.environ[CHOSEN] = chosen.encode()

    def __init__(self) -> None:
        json_log.configure()
        limits, settings = Limits.from_environment(os.environ), FollowSettings.from_environment(os.environ)
        record = InUseRecord(served_model.decode(os.environ[CHOSEN]))
        model = record.read()
        colorizer = model.load()
        record.remove_others()  # what an earlier HTTP process has left
        workers = Workers(colorizer.package.folder, colorizer.package.package_sha256, limits)
        self.models = LiveModels(LiveModel(model, colorizer, workers))
        self.follower = None if settings is None else build_follower(settings, record, limits)
        status = None if self.follower is None else self.follower.status
        serve_model(app, self.models, AdmissionControl(workers.pool, limits.held_bytes, limits.requests), status)

    @bentoml.on_startup
    async def start(self) -> None:
        """Start the worker processes."""
        self.models.current.workers.start()
        self.following: asyncio.Future[Any] | None = None
        if self.follower is not None:
            self.following = asyncio.gather(self.follower.run(), self.follower.rollout.remember_regularly())
        after_sigterm(self.refuse_more)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End the worker processes."""
        if self.following is not None:
            self.following.cancel()
            await asyncio.gather(self.following, return_exceptions=True)
        await self.models.close()

    def refuse_more(self) -> None:
        """Accept no more jobs, and put no other model in use."""
        if self.following is not None:
            self.following.cancel()
        self.models.refuse_more()

    async def __is_ready__(self) -> bool:
        return self.models.current.workers.ready


Huebands.add_asgi_middleware(ModelHeaders, state=app.state)  # type: ignore[attr-defined]  # the decorators made it a service


def build_follower(settings: FollowSettings, record: InUseRecord, limits: Limits) -> Follower:
    """Make the follower of an alias.

    Args:
        settings: alias, and the seconds between two looks at it.
        record: says which model is in use.
        limits: limits of the service.
    """
    status = FollowStatus(address=settings.address, every_seconds=settings.every_seconds)
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    registry = Registry(settings.address, record.folder, environment)
    return Follower(registry, Rollout(app, limits, record), status)


def after_sigterm(call: Callable[[], None]) -> None:
    """Call a function in the event loop after SIGTERM; the previous handler is called too."""
    loop, previous = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGTERM, handle)
