"""The HTTP interface: a photo in; its colours, its bands or one line that says why not out."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.types import Receive, Scope, Send

from huebands.colorize.colorizer import Colorizer
from huebands.serving.admission.body_limit import BodyLimit
from huebands.serving.admission.control import Admission
from huebands.serving.answers import describe_model
from huebands.serving.forms import MAX_BODY, read_upload
from huebands.serving.monitoring.access_log import HUNG_UP, Visit, Witness, cause_of
from huebands.serving.monitoring.metrics import Metrics
from huebands.serving.openapi import describe_api
from huebands.serving.pages import PageFiles, page_response
from huebands.serving.workers.jobs import Facts, Job, Kind, Outcome, Refusal
from huebands.serving.workers.pool import UnservedError

MAX_STALL = 30  # seconds
_MAX_READING = 120  # seconds that a whole upload may take
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def build_app(max_body: int = MAX_BODY, max_stall: float = MAX_STALL) -> Starlette:
    """Make the application; set its `state.colorizer`, `pool`, `admission` and `monitor` before it is asked.

    Args:
        max_body: bytes of a request body.
        max_stall: seconds between two pieces of a request body.
    """
    admitted = [Middleware(Admission, max_stall=max_stall)]
    routes = [
        Route("/", _show_page, methods=["GET"]),
        Route("/model", _show_model, methods=["GET"]),
        Route("/certificate", _show_certificate, methods=["GET"]),
        Route("/colorize", _colorize, methods=["POST"], middleware=admitted),
        Route("/bands", _bands, methods=["POST"], middleware=admitted),
        Route("/explore", _explore, methods=["POST"], middleware=admitted),
        Route("/metrics", _show_metrics, methods=["GET"]),
        Route("/openapi.json", _show_api, methods=["GET"]),
    ]
    metrics = Metrics()
    app = Starlette(
        routes=[*routes, Mount("/page", PageFiles()), Mount("/", _refuse_address)],
        middleware=[
            Middleware(Witness, paths=[route.path for route in routes], note=metrics.add),
            Middleware(BodyLimit, max_body=max_body, max_stall=max_stall),
        ],
        exception_handlers={HTTPException: _refuse, UnservedError: _turn_away},
    )
    app.state.registry = metrics.registry
    return app


async def _show_page(request: Request) -> Response:
    return page_response()


async def _show_model(request: Request) -> Response:
    state = request.app.state
    return JSONResponse(describe_model(state.colorizer, state.monitor) | state.served.describe())


async def _show_certificate(request: Request) -> Response:
    colorizer: Colorizer = request.app.state.colorizer
    return HTMLResponse(colorizer.package.certificate, headers=_HEADERS)


async def _show_metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _show_api(request: Request) -> Response:
    return JSONResponse(describe_api(request.app.state.colorizer.calibration))


async def _colorize(request: Request) -> Response:
    return await _answer(request, "colorize")


async def _bands(request: Request) -> Response:
    return await _answer(request, "bands")


async def _explore(request: Request) -> Response:
    return await _answer(request, "explore")


async def _answer(request: Request, kind: Kind) -> Response:
    try:
        async with asyncio.timeout(_MAX_READING):
            upload = await read_upload(request, request.app.state.colorizer.calibration)
    except TimeoutError as error:
        raise HTTPException(408, f"the photo took longer than {_MAX_READING} seconds to come") from error
    request.state.reservation.resize(len(upload.content))
    job = Job(kind=kind, content=upload.content, name=upload.name, guarantee=upload.guarantee)
    start = time.perf_counter()
    outcome = await _while_connected(request, request.app.state.pool.submit(job))
    if outcome is None:
        _visit(request).refused("disconnected")
        return Response(status_code=HUNG_UP)
    if isinstance(outcome, Refusal):
        _visit(request).refused(outcome.cause)
        return JSONResponse({"error": outcome.reason}, outcome.status)
    _visit(request).answered(job, outcome.facts, time.perf_counter() - start)
    request.app.state.monitor.add(job, outcome.facts)
    request.state.reservation.hold_answer(len(outcome.body))
    return Response(outcome.body, media_type=outcome.media_type, headers=outcome.headers | _tell(outcome.facts))


def _tell(facts: Facts) -> dict[str, str]:
    """How sure an answer is, for those who get no report with it."""
    return {"Huebands-Mean-Band-Width": f"{facts.band_width:.1f}", "Huebands-Likeness": f"{facts.likeness:.4f}"}


async def _while_connected(request: Request, work: Coroutine[Any, Any, Outcome]) -> Outcome | None:
    """Wait for an outcome; None, and the work is cancelled, when the client hangs up before."""
    outcome, end = asyncio.ensure_future(work), asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({outcome, end}, return_when=asyncio.FIRST_COMPLETED)
        return outcome.result() if outcome.done() else None
    finally:
        outcome.cancel()
        end.cancel()


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _turn_away(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnservedError)
    _visit(request).refused(error.cause)
    # The body may not have been read to its end: what else comes on this connection could be taken for a request.
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after), "Connection": "close"}
    return JSONResponse({"error": error.reason}, error.status, headers=headers)


async def _refuse_address(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse what no route takes; BentoML would do so without a count, a line in the log or a reason."""
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.PARTIAL:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods or ()))})
    raise HTTPException(404)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    _visit(request).refused(cause_of(error))
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _visit(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit
