"""A rollout puts a fetched version in use: its worker processes are warmed up, then requests change over at once.

While it lasts there are two sets of worker processes, never three: the rollout ends when the last process of the
replaced version has ended.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette

from huebands.package.schema import PackageError
from huebands.serving.admission.limits import Limits
from huebands.serving.app import replace_model
from huebands.serving.following.in_use_record import InUseRecord
from huebands.serving.following.registry import FollowError
from huebands.serving.live_model import LiveModel, LiveModels, Workers
from huebands.serving.monitoring.alarm import now
from huebands.serving.served_model import ServedModel
from huebands.serving.workers.package_copy import CHECK_INTERVAL
from huebands.serving.workers.process import ProcessEndedError

_log = logging.getLogger("huebands.serving")


class Rollout:
    """Puts versions in use, one after another.

    Args:
        app: application that serves the models.
        limits: limits of the service.
        record: says which model is in use.
    """

    def __init__(self, app: Starlette, limits: Limits, record: InUseRecord) -> None:
        self.app, self.limits, self.record = app, limits, record
        self._recording = asyncio.Lock()

    @property
    def in_use(self) -> ServedModel:
        """The model in use."""
        return self._models.current.model

    async def put_in_use(self, model: ServedModel, confirm: Callable[[], Awaitable[None]]) -> None:
        """Warm up a fetched model, and let it answer; where that fails, nothing of it is left.

        Args:
            model: the fetched model.
            confirm: awaited before the model is warmed up and before it answers; an error of it ends the rollout.

        Raises:
            FollowError: when a worker process ends before all are ready, or the package cannot be loaded.
        """
        try:
            await confirm()
            live = await self._warm_up(model, confirm)
        except BaseException as error:
            await asyncio.to_thread(shutil.rmtree, model.folder, ignore_errors=True)
            if isinstance(error, PackageError | ProcessEndedError):
                raise FollowError(f"it did not start: {error}") from error
            raise
        live.model = replace(model, in_use_since=now())
        before = self.in_use
        replace_model(self.app, live)
        _log.info("version %s of %s is in use, in place of version %s", model.version, model.source, before.version)
        await self._remember()

    async def end_replaced(self) -> None:
        """End the model that was in use before, once it has answered its last request, and remove its files."""
        await self._models.end_replaced()
        if await self._remember():
            await asyncio.to_thread(self.record.remove_others)

    async def remember_regularly(self) -> None:
        """Write the record again every CHECK_INTERVAL until cancelled: a cleaner of temporary files may remove it."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            await self._remember()

    async def _remember(self) -> bool:
        """Write down which model is in use; gives whether that was possible."""
        async with self._recording:
            try:
                await asyncio.to_thread(self.record.write, self.in_use)
            except OSError as error:
                _log.error(
                    "version %s is in use, but not recorded; an HTTP process that starts anew serves version %s: %s",
                    *(self.in_use.version, self.record.model.version, error),
                )
                return False
        return True

    @property
    def _models(self) -> LiveModels:
        models: LiveModels = self.app.state.models
        return models

    async def _warm_up(self, model: ServedModel, confirm: Callable[[], Awaitable[None]]) -> LiveModel:
        workers = await asyncio.to_thread(Workers, Path(model.folder), str(model.package_sha256), self.limits)
        workers.start()
        try:
            await workers.pool.wait_until_warm()
            # After the worker processes: a package that ends the process that loads it has ended one of them.
            colorizer = await asyncio.to_thread(model.load)
            live = await asyncio.to_thread(LiveModel, model, colorizer, workers)
            await confirm()
            await workers.pool.wait_until_warm()
        except BaseException:
            await workers.close()
            raise
        return live
