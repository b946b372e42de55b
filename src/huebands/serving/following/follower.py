"""The follower: it looks at an alias again and again, and puts in use the version that the alias points at."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from huebands.serving.following.registry import FollowError, Registry, Version
from huebands.serving.following.rollout import Rollout
from huebands.serving.monitoring.follow_status import FollowStatus

LONGEST_PAUSE = 3600.0  # seconds between two tries of a refused version
_log = logging.getLogger("huebands.serving")


class WithdrawnError(Exception):
    """The alias points at another version by now."""


class Follower:
    """Keeps the version in use that an alias points at.

    A version that cannot be served is refused with an alarm, and the one in use stays. It is tried again every
    LONGEST_PAUSE, and once the alias has pointed at another version; after a failure that may pass soon, such as a lost
    connection, sooner: after twice as many seconds each time.

    Args:
        registry: the registry.
        rollout: puts versions in use.
        status: kept up to date.
        clock: gives seconds.
    """

    def __init__(
        self,
        registry: Registry,
        rollout: Rollout,
        status: FollowStatus,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry, self.rollout, self.status, self.clock = registry, rollout, status, clock
        self._refused: Version | None = None
        self._tries = 0  # of the refused version
        self._next_try = 0.0  # by the clock

    async def run(self) -> None:
        """Look at the alias every so often, until cancelled."""
        while True:
            await asyncio.sleep(self.status.every_seconds)
            # A version that came while another one was put in use does not wait for the next look.
            while await self.check():
                pass

    async def check(self) -> bool:
        """Look at the alias once, and follow it; gives whether to look again at once."""
        try:
            found = await self.registry.find()
        except Exception as error:
            answered = isinstance(error, FollowError) and error.answered
            self.status.record_failure(_reason(error), answered)
            level = logging.ERROR if answered else logging.WARNING
            _log.log(level, "the version behind %s cannot be found: %s", self.status.address, _reason(error))
            return False
        self.status.record_answer()
        if self._is_in_use(found):
            self._refused = self.status.refused = None
            return False
        if found != self._refused:
            self._refused, self._tries, self._next_try = None, 0, 0.0
        elif self.clock() < self._next_try:
            return False
        return await self._follow(found)

    async def _follow(self, version: Version) -> bool:
        status = self.status
        try:
            status.state = "fetching"
            model = await self.registry.fetch(version)
            status.state = "warming up"
            await self.rollout.put_in_use(model, partial(self._confirm, version))
            self._refused = None
            status.record_replacement()
            status.state = "draining"
            await self.rollout.end_replaced()
        except WithdrawnError:
            _log.info("version %s of %s was withdrawn before it was in use", version.number, status.address)
        except Exception as error:
            if status.state == "draining":
                _log.exception("the replaced version could not be ended cleanly")
                return True
            self._refuse(version, error)
            return False
        finally:
            status.state = "watching"
        return True

    async def _confirm(self, version: Version) -> None:
        """Ask again whether the alias points at a version: to fetch and to warm it up takes minutes."""
        if await self.registry.find() != version:
            raise WithdrawnError

    def _is_in_use(self, found: Version) -> bool:
        model = self.rollout.in_use
        return (model.model, model.version, model.package_sha256) == (found.model, found.number, found.package_sha256)

    def _refuse(self, version: Version, error: Exception) -> None:
        """Raise the alarm about a version, and choose when it is tried again."""
        self._refused, self._tries = version, self._tries + 1
        every = self.status.every_seconds
        pause = max(every, LONGEST_PAUSE)
        if not (isinstance(error, FollowError) and error.lasting):
            pause = min(every * 2.0 ** min(self._tries, 60), pause)
        self._next_try = self.clock() + pause
        next_try = datetime.fromtimestamp(time.time() + pause, UTC).isoformat(timespec="seconds")
        self.status.record_refusal(version.number, _reason(error), next_try)
        _log.error(
            "version %s of %s is refused, version %s stays in use: %s",
            *(version.number, self.status.address, self.rollout.in_use.version, _reason(error)),
            exc_info=None if isinstance(error, FollowError) else error,
        )


def _reason(error: Exception) -> str:
    """The reason in one line, without a secret."""
    return str(error if isinstance(error, FollowError) else FollowError(f"{type(error).__name__}: {error}"))
