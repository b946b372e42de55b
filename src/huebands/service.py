"""The BentoML service: the only room that imports bentoml.

HUEBANDS_MODEL names the model package, a folder or models:/NAME@ALIAS; without it the default of
`Colorizer.load` is taken.
"""

import os

import bentoml

from huebands.colorizer import Colorizer
from huebands.web.app import build_app
from huebands.web.pool import Pool

app = build_app()


@bentoml.service(
    name="huebands",
    traffic={"timeout": 300, "max_concurrency": 64},
    metrics={"enabled": False},  # see web/meter.py
    # The log of a content type that is not UTF-8 fails in the middle of the answer.
    logging={"access": {"request_content_type": False}},
)
@bentoml.asgi_app(app, path="/")
class Huebands:
    """Colorizes photos and gives ranges for the true colours, with a promise on average over photos."""

    def __init__(self) -> None:
        colorizer = Colorizer.load(os.environ.get("HUEBANDS_MODEL") or None)
        _ = colorizer.calibration  # a package without one cannot keep the contract: refuse to start
        app.state.colorizer = colorizer
        app.state.pool = Pool(str(colorizer.package.folder))

    def __is_ready__(self) -> bool:
        return hasattr(app.state, "colorizer")
