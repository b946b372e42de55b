"""A service that colorizes in BentoML's own workers; `worker_pool.py` compares it with the project's pool."""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from huebands.colorize.colorizer import Colorizer
from huebands.photos.write import encode_png

WORKERS, ACCEPTED = 2, 18  # as many photos as the pool of two processes accepts: two in work, 16 waiting


@bentoml.service(
    name="bento_workers",
    workers=WORKERS,
    traffic={"timeout": 300, "max_concurrency": ACCEPTED},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class BentoWorkers:
    """Each worker speaks HTTP and colorizes, one photo at a time."""

    def __init__(self) -> None:
        self.colorizer = Colorizer.load(os.environ["HUEBANDS_MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def colorize(self, image: Path, ctx: bentoml.Context) -> Annotated[Any, ContentType("image/png")]:
        """Colorize one photo; a header has the process ID of the worker."""
        ctx.response.headers["worker"] = str(os.getpid())
        path = image.with_suffix(".colorized.png")
        path.write_bytes(encode_png(self.colorizer.colorize(image.read_bytes()).rgb))
        return path
