"""The pages for people: the page with its scripts and examples, and the certificate, with strict security headers."""

import os
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from huebands.serving.page_headers import PAGE_HEADERS, policy

PAGE = Path(__file__).parent / "page"
# The certificate is one file, with its styles and scripts inside.
_CERTIFICATE_HEADERS = {
    "Content-Security-Policy": policy(
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
        response.headers.update(PAGE_HEADERS)
        return response


def page_response() -> Response:
    """The page itself."""
    return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)


def certificate_response(certificate: bytes | None) -> Response:
    """The coverage certificate of the served package."""
    return HTMLResponse(certificate, headers=_CERTIFICATE_HEADERS)
