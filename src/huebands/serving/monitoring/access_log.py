"""The ASGI middleware of the access log: it records each request, names it in X-Request-Id, and answers failures."""

import logging
from collections.abc import Callable, Collection

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.serving.json_log import log_reference
from huebands.serving.monitoring.request_record import RequestRecord
from huebands.serving.refusals import refuse

_access_log = logging.getLogger("huebands.access")
_service_log = logging.getLogger("huebands.serving")


class AccessLog:
    """Writes one line to the log for each request, and answers 500 when the application raises an error.

    Args:
        app: the next ASGI application.
        paths: paths of the routes; other paths are logged as "other".
        on_answer: called with the record when the answer starts.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], on_answer: Callable[[RequestRecord], None]) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.on_answer = on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `receive` and a `send` that count bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = RequestRecord.begin(scope, self.paths)

        async def receive_counted() -> Message:
            message = await receive()
            record.bytes_in += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status, record.seconds = message["status"], record.elapsed
                MutableHeaders(scope=message)["X-Request-Id"] = record.id
                self.on_answer(record)
            record.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive_counted, send_counted)
        except ClientDisconnect:
            record.record_refusal("disconnected")
        except Exception as error:
            record.record_refusal("failed")
            _service_log.error("failure", exc_info=error, extra={"request": record.id})
            if not record.status:
                answer = refuse(Request(scope), f"internal error, {log_reference(record.id)}", 500)
                await answer(scope, receive_counted, send_counted)
        finally:
            _access_log.info("answer", extra=record.describe())
