"""The pages for people, with strict security headers: the page with its files, the certificate, and errors."""

import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE = Path(__file__).parent / "page"


def _policy(sources: dict[str, str]) -> str:
    strict = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {source}" for name, source in (strict | sources).items())


# Everything comes from this host, and nothing goes to another.
_PAGE_HEADERS = {
    "Content-Security-Policy": _policy(
        {
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' blob:",
            "connect-src": "'self'",
            "form-action": "'self'",
        }
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # browsers ask whether a file has changed: all files change with the version
}
# The certificate is one file, with its styles and scripts inside.
_CERTIFICATE_HEADERS = {
    "Content-Security-Policy": _policy(
        {"style-src": "'unsafe-inline'", "script-src": "'unsafe-inline'", "form-action": "'none'"}
    ),
    "X-Content-Type-Options": "nosniff",
}


class PageFiles(StaticFiles):
    """Serves the files of the page, and no others."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Add the headers, also to the answer 304."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_PAGE_HEADERS)
        return response


def page_response() -> Response:
    """The page itself."""
    return FileResponse(PAGE / "index.html", headers=_PAGE_HEADERS)


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
    return HTMLResponse(content, status, {**_PAGE_HEADERS, **(headers or {})})


def certificate_response(certificate: bytes | None) -> Response:
    """The coverage certificate of the served package."""
    return HTMLResponse(certificate, headers=_CERTIFICATE_HEADERS)


@cache
def _error_template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((Path(__file__).parent / "error.html.j2").read_text(encoding="utf-8"))
