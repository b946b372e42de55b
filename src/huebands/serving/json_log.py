"""The log: one line of JSON for each event, on standard output.

Answers are told by what is measured and counted, never by content, names or addresses that clients write. A failure of
the service is told with its traceback. JSON escapes line breaks and control characters, so nobody writes a line of his
own.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_access = logging.getLogger("huebands.access")
_failures = logging.getLogger("huebands.serving")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; what `extra` holds as "fields" stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, in ASCII."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(stream: TextIO = sys.stdout) -> None:
    """Write what the package logs to a stream, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("huebands")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it has a line for each malformed form


def access(visit: Mapping[str, Any]) -> None:
    """Log an answer."""
    _access.info("answer", extra={"fields": visit})


def failure(request: str, error: Exception) -> None:
    """Log that a request failed here, by its id."""
    _failures.error("failure", exc_info=error, extra={"fields": {"request": request}})
