"""The HTTP interface: a photo in; its colours, its bands or one line that says why not out."""

import logging
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from huebands.colorizer import Colorizer
from huebands.package import CERTIFICATE
from huebands.web.answers import describe_model
from huebands.web.body_limit import BodyLimit
from huebands.web.jobs import Job, Kind, Refusal
from huebands.web.meter import Meter, build_registry
from huebands.web.uploads import MAX_BODY, read_upload

MAX_STALL = 30  # seconds
PAGE = Path(__file__).parent / "index.html"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}


def build_app(max_body: int = MAX_BODY, max_stall: float = MAX_STALL) -> Starlette:
    """Make the application; set its `state.colorizer` and `state.pool` before it is asked.

    Args:
        max_body: bytes of a request body.
        max_stall: seconds between two pieces of a request body.
    """
    routes = [
        Route("/", _show_page, methods=["GET"]),
        Route("/model", _show_model, methods=["GET"]),
        Route("/certificate", _show_certificate, methods=["GET"]),
        Route("/colorize", _colorize, methods=["POST"]),
        Route("/bands", _bands, methods=["POST"]),
        Route("/explore", _explore, methods=["POST"]),
        Route("/metrics", _show_metrics, methods=["GET"]),
    ]
    registry = build_registry()
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Meter, registry=registry, paths=[route.path for route in routes]),
            Middleware(BodyLimit, max_body=max_body, max_stall=max_stall),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    app.state.registry = registry
    return app


async def _show_page(request: Request) -> Response:
    return FileResponse(PAGE, headers=_HEADERS)


async def _show_model(request: Request) -> Response:
    return JSONResponse(describe_model(request.app.state.colorizer))


async def _show_certificate(request: Request) -> Response:
    colorizer: Colorizer = request.app.state.colorizer
    return FileResponse(colorizer.package.folder / CERTIFICATE, headers=_HEADERS)


async def _show_metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _colorize(request: Request) -> Response:
    return await _answer(request, "colorize")


async def _bands(request: Request) -> Response:
    return await _answer(request, "bands")


async def _explore(request: Request) -> Response:
    return await _answer(request, "explore")


async def _answer(request: Request, kind: Kind) -> Response:
    try:
        upload = await read_upload(request, request.app.state.colorizer.calibration)
        content = await upload.file.read()
    finally:
        await request.close()
    job = Job(
        kind=kind,
        content=content,
        name=upload.name,
        alpha=upload.alpha,
        mode=upload.mode,
        delta=upload.delta,
        grouped=upload.grouped,
    )
    outcome = await request.app.state.pool.submit(job)
    if isinstance(outcome, Refusal):
        raise HTTPException(outcome.status, outcome.reason)
    return Response(outcome.body, media_type=outcome.media_type, headers=outcome.headers)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _fail(request: Request, error: Exception) -> Response:
    logging.getLogger("huebands.web").error("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "something went wrong here; the server's log says what"}, 500)
