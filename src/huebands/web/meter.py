"""An ASGI middleware that times requests for Prometheus.

BentoML's own keeps time series for every address that anybody ever asked for, so that strangers fill the memory.
"""

import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds; a large photo takes many


def build_registry() -> CollectorRegistry:
    """Make a registry of this process's own numbers, memory and processor time among them."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class Meter:
    """Counts and times the answers by path and status.

    Args:
        app: what stands behind.
        registry: where the numbers are kept.
        paths: that are told apart; all others count as "other".
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, paths: Collection[str]) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.seconds = Histogram(
            "huebands_request_seconds", "Time to an answer", ("path", "status"), registry=registry, buckets=_BUCKETS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `send` that notes the time of the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self.paths else "other"
        start = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.seconds.labels(path, message["status"]).observe(time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, send_timed)
