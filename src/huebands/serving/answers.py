"""The HTTP answers: of a finished photo, of every kind of refusal, and the headers that name the model in each."""

from urllib.parse import quote

from starlette.datastructures import MutableHeaders, State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.package.read import ModelPackage
from huebands.serving.monitoring.request_record import cause_of, record_of
from huebands.serving.refusals import refuse
from huebands.serving.workers.jobs import Answer, Refusal, UnservedError

_MAX_NAME = 100  # characters: a client may refuse long headers


def photo_response(answer: Answer) -> Response:
    """The answer for a finished photo; its headers say how far to trust the bands, for clients that get no report."""
    measurements = answer.measurements
    headers = {
        "Huebands-Mean-Band-Width": f"{measurements.band_width:.1f}",
        "Huebands-Likeness": f"{measurements.likeness:.4f}",
    }
    return Response(answer.body, media_type=answer.media_type, headers=answer.headers | headers)


def refuse_photo(request: Request, refusal: Refusal) -> Response:
    """The answer for an upload that is not a sound image."""
    record_of(request).record_refusal(refusal.cause)
    return refuse(request, refusal.reason, refusal.status)


async def refuse_request(request: Request, error: Exception) -> Response:
    """The answer for a request that breaks the contract; a handler of HTTPException."""
    assert isinstance(error, HTTPException)
    record_of(request).record_refusal(cause_of(error))
    return refuse(request, error.detail, error.status_code, error.headers)


async def refuse_unserved(request: Request, error: Exception) -> Response:
    """The answer for a photo that the service did not colorize; a handler of UnservedError."""
    assert isinstance(error, UnservedError)
    record_of(request).record_refusal(error.cause)
    # The body may not have been read to its end: the rest of it could be taken for the connection's next request.
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after), "Connection": "close"}
    return refuse(request, error.reason, error.status, headers)


class ModelHeaders:
    """An ASGI middleware that adds Huebands-Model and Huebands-Version to every answer, including errors.

    Args:
        app: the next ASGI application.
        state: its `models` has the model in use; before it is set, nothing is added. An answer that another model has
            made has this model's package in the request's state, as `package`.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `send` that adds the headers."""
        if scope["type"] != "http" or not hasattr(self.state, "models"):
            await self.app(scope, receive, send)
            return
        request_state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                package = request_state.get("package") or self.state.models.current.colorizer.package
                MutableHeaders(scope=message).update(model_headers(package))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def model_headers(package: ModelPackage) -> dict[str, str]:
    """Huebands-Model, the percent-encoded name, and Huebands-Version, the start of the package's sha256."""
    name = str(package.config["name"])[:_MAX_NAME]
    return {
        "Huebands-Model": quote(name, safe="", errors="surrogatepass"),
        "Huebands-Version": package.package_sha256[:12],
    }
