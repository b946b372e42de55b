"""The log: one line of JSON for each event, on standard output, from the HTTP process and the worker processes alike.

JSON escapes line breaks and control characters, so a client cannot forge a line.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

_KEYS = {"levelname": "level", "name": "logger", "message": "event", "exc_info": "traceback"}


class _Formatter(JsonFormatter):
    """Writes the time in milliseconds and the level in lower case."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return log_data | {"level": log_data["level"].lower()}

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def configure(stream: TextIO = sys.stdout) -> None:
    """Write what the package logs to a stream, and nowhere else; what `extra` holds becomes keys of the line."""
    fields = ["asctime", "levelname", "name", "message"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(fields, rename_fields=_KEYS | {"asctime": "time"}, json_ensure_ascii=True))
    logger = logging.getLogger("huebands")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it logs a line for each malformed form


def log_reference(request_id: str) -> str:
    """The end of an error message by which the request can be found in the log."""
    return f"request ID {request_id}; see the server's log"
