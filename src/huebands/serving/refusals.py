"""Answers that give a reason in place of what was asked for."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from huebands.serving.page_headers import PAGE_HEADERS


def refuse(request: Request, reason: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that gives a reason: JSON, or a page for a browser that asks for one to show.

    A browser does so for a link, and for a form without JavaScript.
    """
    if not request.headers.get("accept", "").startswith("text/html"):
        return JSONResponse({"error": reason}, status, headers)
    # The service may lie below another path, which a mounted part of it knows as that of the whole.
    below = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    root = "../" * (request.scope["path"].removeprefix(below).count("/") - 1)
    content = _error_template().render(title=HTTPStatus(status).phrase, reason=reason, root=root)
    return HTMLResponse(content, status, {**PAGE_HEADERS, **(headers or {})})


@cache
def _error_template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((Path(__file__).parent / "error.html.j2").read_text(encoding="utf-8"))
