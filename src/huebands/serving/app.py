"""The HTTP application: its routes, and the way of a photo from the request to the answer."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.types import Receive, Scope, Send

from huebands.serving.admission.body_limit import BodyLimit
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.limits import MAX_BODY, MAX_STALL
from huebands.serving.admission.middleware import AdmissionMiddleware
from huebands.serving.answers import photo_response, refuse_photo, refuse_request, refuse_unserved
from huebands.serving.forms import read_form, to_job
from huebands.serving.live_model import LiveModel, LiveModels
from huebands.serving.monitoring.access_log import AccessLog
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.monitoring.metrics import FollowCollector, Metrics, ModelCollector, PoolCollector
from huebands.serving.monitoring.request_record import CLIENT_CLOSED, record_of
from huebands.serving.openapi import describe_api
from huebands.serving.pages import PageFiles, certificate_response, page_response
from huebands.serving.served_model import describe_model
from huebands.serving.workers.jobs import Kind, Outcome, Refusal, UnservedError


def build_app() -> Starlette:
    """Make the application; call `serve_model` before its first request."""
    routes = [
        Route("/", _show_page, methods=["GET"]),
        Route("/model", _show_model, methods=["GET"]),
        Route("/certificate", _show_certificate, methods=["GET"]),
        _photo_route("colorize"),
        _photo_route("bands"),
        _photo_route("explore"),
        Route("/metrics", _show_metrics, methods=["GET"]),
        Route("/openapi.json", _show_api, methods=["GET"]),
    ]
    metrics = Metrics()
    app = Starlette(
        routes=[*routes, Mount("/page", PageFiles()), Mount("/", _refuse_path)],
        middleware=[
            Middleware(AccessLog, paths=[route.path for route in routes], on_answer=metrics.add),
            Middleware(BodyLimit, max_body=MAX_BODY, max_stall=MAX_STALL),
        ],
        exception_handlers={HTTPException: refuse_request, UnservedError: refuse_unserved},
    )
    app.state.registry = metrics.registry
    return app


def serve_model(
    app: Starlette, models: LiveModels, admission: AdmissionControl, following: FollowStatus | None = None
) -> None:
    """Give an application the model that it serves, and the admission control with the pool of its workers.

    Args:
        app: made by `build_app`.
        models: the model in use.
        admission: decides which requests are admitted.
        following: how following an alias goes; None: the model stays.
    """
    state = app.state
    state.models, state.admission, state.following = models, admission, following
    registry = state.registry
    registry.register(ModelCollector(lambda: (models.current.colorizer.package, models.current.monitor)))
    registry.register(PoolCollector(admission, lambda: models.pools))
    if following is not None:
        registry.register(FollowCollector(following))


def replace_model(app: Starlette, new: LiveModel) -> None:
    """Let new requests use another model, whose worker processes are ready; nothing is awaited in between."""
    state, pool = app.state, new.workers.pool
    pool.counts = state.admission.pool.counts  # the service goes on counting
    state.models.replace(new)
    state.admission.pool = pool


def _model_in_use(request: Request) -> LiveModel:
    """The model in use now; the answer names it, whatever comes into use before it is sent."""
    live: LiveModel = request.app.state.models.current
    request.state.package = live.colorizer.package
    return live


def _photo_route(kind: Kind) -> Route:
    async def endpoint(request: Request) -> Response:
        return await _answer_photo(request, kind)

    admitted = [Middleware(AdmissionMiddleware, max_stall=MAX_STALL)]
    return Route(f"/{kind}", endpoint, methods=["POST"], middleware=admitted)


async def _answer_photo(request: Request, kind: Kind) -> Response:
    record, reservation = record_of(request), request.state.reservation
    with ExitStack() as until_outcome:
        async with read_form(request) as form:
            live = _model_in_use(request)
            until_outcome.enter_context(live.in_use())
            job = await to_job(form, kind, live.colorizer, record.id)
        reservation.resize(job.bytes)  # the form around the photo is gone
        start = time.perf_counter()
        outcome = await _while_connected(request, live.workers.pool.submit(job))
    if outcome is None:
        record.record_refusal("disconnected")
        return Response(status_code=CLIENT_CLOSED)
    if isinstance(outcome, Refusal):
        return refuse_photo(request, outcome)
    record.record_photo(job, outcome.measurements, live.version, time.perf_counter() - start)
    live.monitor.add(job, outcome.measurements)
    reservation.hold_answer(len(outcome.body))
    return photo_response(outcome)


async def _while_connected(request: Request, work: Coroutine[Any, Any, Outcome]) -> Outcome | None:
    """Wait for an outcome; if the client hangs up first, cancel the work and give None."""
    outcome, disconnect = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait({outcome, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        return outcome.result() if outcome.done() else None
    finally:
        outcome.cancel()
        disconnect.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _show_page(request: Request) -> Response:
    return page_response()


async def _show_model(request: Request) -> Response:
    live, following = _model_in_use(request), request.app.state.following
    return JSONResponse(
        describe_model(live.colorizer)
        | live.model.describe()
        | {"following": None if following is None else following.describe(), "monitoring": live.monitor.describe()}
    )


async def _show_certificate(request: Request) -> Response:
    return certificate_response(_model_in_use(request).colorizer.package.certificate)


async def _show_metrics(request: Request) -> Response:
    content = generate_latest(request.app.state.registry)
    return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _show_api(request: Request) -> Response:
    return JSONResponse(describe_api(_model_in_use(request).colorizer))


async def _refuse_path(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse what no route takes; BentoML would do so without a reason, a metric or a line in the log."""
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.PARTIAL:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods or ()))})
    raise HTTPException(404)
