"""Reads and checks the form of a request: an image file, alpha and mode.

BentoML's own reading of forms is not used: it fetches a URL that is sent in place of a file, and answers some
malformed bodies with 500.
"""

import sys
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from huebands.conformal.calibration import Calibration
from huebands.conformal.guarantee import Guarantee, Mode
from huebands.serving.workers.pool import UnservedError

DEFAULT_ALPHA = 0.1
MAX_BODY = 64 * 2**20  # bytes
_FIELDS = ("image", "alpha", "mode", "delta", "grouped")
_MAX_TEXT = 1024  # bytes of a field that is no file


class _Parser(MultiPartParser):
    """Keeps files in memory, which `web.admission` bounds: a disk may be full."""

    spool_max_size = sys.maxsize

    def close(self) -> None:
        """Close all files, those that the form broke off in too."""
        for file in self._files_to_close_on_error:
            file.close()


@dataclass(frozen=True)
class Upload:
    """A checked form; the photo is not decoded yet.

    Attributes:
        name: the file's name as the client gave it.
        content: of the file.
        guarantee: that is asked for; the calibration supports it.
    """

    name: str
    content: bytes
    guarantee: Guarantee


async def read_upload(request: Request, calibration: Calibration) -> Upload:
    """Read a multipart form.

    Raises:
        HTTPException: 400 malformed, 413 too large, 415 not a form, 422 a field is missing or wrong.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, f"content type (={kind!r}) must be multipart/form-data with a file 'image'")
    async with aclosing(request.stream()) as stream:
        parser = _Parser(request.headers, stream, max_files=4, max_fields=8, max_part_size=_MAX_TEXT)
        try:
            return await _check(await _parse(parser), calibration)
        finally:
            parser.close()


async def _check(form: FormData, calibration: Calibration) -> Upload:
    for name in form:
        if name not in _FIELDS:
            raise HTTPException(422, f"field {name!r} is unknown: the fields are {', '.join(_FIELDS)}")
        if len(form.getlist(name)) > 1:
            raise HTTPException(422, f"field {name!r} is given more than once")
    file = form.get("image")
    if not isinstance(file, UploadFile):
        found = "is missing" if file is None else "is a text"
        raise HTTPException(422, f"field 'image' {found}: send the photo itself, as a file")
    alpha, mode = _number(_text(form, "alpha", str(DEFAULT_ALPHA))), _text(form, "mode", "per_channel")
    delta = _number(_text(form, "delta", "")) if "delta" in form else None
    grouped = _flag(_text(form, "grouped", "false"))
    try:
        guarantee = Guarantee(
            alpha=cast(float, alpha), mode=cast(Mode, mode), delta=cast(float | None, delta), grouped=grouped
        )
        calibration.check(guarantee)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    # A lone surrogate, which odd charsets can smuggle in, could not be written into an answer.
    name = (file.filename or "image").encode("utf-8", "replace").decode()
    return Upload(name[:200], await file.read(), guarantee)


async def _parse(parser: _Parser) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except (HTTPException, UnservedError, OSError):
        raise
    except ClientDisconnect as error:
        # Nobody is left to read it, but logs and metrics must not count it as a failure of ours.
        raise HTTPException(400, "the connection ended before the form did") from error
    except Exception as error:
        # The parser is fed by strangers: what it chokes on, such as a charset that is none, is their mistake.
        raise HTTPException(400, f"the form cannot be read: {type(error).__name__}") from error


def _text(form: FormData, name: str, default: str) -> str:
    value = form.get(name, default)
    if not isinstance(value, str):
        raise HTTPException(422, f"field {name!r} is a file: send it as text")
    return value


def _number(text: str) -> float | str:
    """Read a number; what is none is left to the calibration, which says what alpha may be."""
    try:
        return float(text)
    except ValueError:
        return text[:40]


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise HTTPException(422, f"field 'grouped' (={text[:40]!r}) must be true or false")
    return text == "true"
