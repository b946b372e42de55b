"""Reads and checks the form of a request: an image file, and the guarantee that its bands are to have.

BentoML's own reading of forms is not used: it fetches a URL that is sent in place of a file, and answers some malformed
bodies with 500.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import ExemplarError
from huebands.colorize.hints import HintRequest, HintsError
from huebands.colorize.sampling import SamplesError, Sampling
from huebands.conformal.calibration import Calibration
from huebands.conformal.error_map import MapError, MapName, choose_map
from huebands.conformal.guarantee import Guarantee, Mode
from huebands.serving.admission.limits import MAX_UPLOAD
from huebands.serving.workers.jobs import Job, Kind, UnservedError

DEFAULT_ALPHA = 0.1
_FIELDS = (
    "image",
    "alpha",
    "mode",
    "delta",
    "grouped",
    "map",
    "samples",
    "seed",
    "hint",
    "hints",
    "like",
    "crop_border",
)
_MAX_TEXT = 8192  # bytes of a field that is no file


class _Parser(MultiPartParser):
    """Keeps files in memory, which admission control limits: a disk may be full."""

    spool_max_size = sys.maxsize

    def close(self) -> None:
        """Close all files, including an incomplete one."""
        for file in self._files_to_close_on_error:
            file.close()


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """Read a multipart form; its files are closed at the end of the block.

    Raises:
        HTTPException: 400 malformed, 408 too slow, 413 too large, 415 not a form.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise HTTPException(415, f"content type (={media_type!r}) must be multipart/form-data with a file 'image'")
    async with aclosing(request.stream()) as stream:
        parser = _Parser(request.headers, stream, max_files=4, max_fields=12, max_part_size=_MAX_TEXT)
        try:
            try:
                async with asyncio.timeout(MAX_UPLOAD):
                    form = await _parse(parser)
            except TimeoutError as error:
                raise HTTPException(408, f"the upload took longer than {MAX_UPLOAD:g} seconds") from error
            yield form
        finally:
            parser.close()


async def _parse(parser: _Parser) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except (HTTPException, UnservedError, OSError):
        raise
    except ClientDisconnect as error:
        # No client is left to read it, but logs and metrics must not count this as a failure of the service.
        raise HTTPException(400, "the connection ended before the form did") from error
    except Exception as error:
        # Whatever fails here is the client's error, for example an unknown charset.
        raise HTTPException(400, f"the form cannot be read: {type(error).__name__}") from error


async def to_job(form: FormData, kind: Kind, colorizer: Colorizer, request_id: str) -> Job:
    """Make the job that a form asks for; the photo is not decoded yet.

    Raises:
        HTTPException: 422 a field is missing or wrong, or the model cannot do what it asks for.
    """
    for field in form:
        if field not in _FIELDS:
            raise HTTPException(422, f"field {field!r} is unknown: the fields are {', '.join(_FIELDS)}")
        if len(form.getlist(field)) > 1:
            raise HTTPException(422, f"field {field!r} is given more than once")
    file = form.get("image")
    if not isinstance(file, UploadFile):
        problem = "is missing" if file is None else "is a text"
        raise HTTPException(422, f"field 'image' {problem}: send the photo itself, as a file")
    map_name, sampling = _check_map(form, colorizer.calibration), _check_samples(form, kind, colorizer)
    hints, like = await _check_hints(form, colorizer), await _check_like(form, colorizer)
    guarantee = _check_guarantee(form, colorizer.calibration_given(hints, like))
    # A lone surrogate, which some charsets can produce, could not be written into an answer.
    name = (file.filename or "image").encode("utf-8", "replace").decode()[:200]
    return Job(
        kind=kind,
        content=await file.read(),
        name=name,
        guarantee=guarantee,
        map_name=map_name,
        sampling=sampling,
        hints=hints,
        like=like,
        crop_border=_flag(form, "crop_border"),
        request_id=request_id,
    )


def _check_guarantee(form: FormData, calibration: Calibration) -> Guarantee:
    """The requested guarantee, if the calibration supports it."""
    # A text that is no number or no mode goes to the calibration, whose errors say what is allowed.
    alpha = cast(float, _number(_text(form, "alpha", str(DEFAULT_ALPHA))))
    mode = cast(Mode, _text(form, "mode", "per_channel"))
    delta = cast(float, _number(_text(form, "delta", ""))) if "delta" in form else None
    grouped = _flag(form, "grouped")
    try:
        guarantee = Guarantee(alpha=alpha, mode=mode, delta=delta, grouped=grouped)
        calibration.check(guarantee)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    return guarantee


def _check_map(form: FormData, calibration: Calibration) -> MapName:
    """The requested map of uncertainty, if the model gives it; else the usual one."""
    try:
        return choose_map(_text(form, "map", "")[:40] if "map" in form else None, calibration.maps)
    except MapError as error:
        raise HTTPException(422, str(error)) from error


def _check_samples(form: FormData, kind: Kind, colorizer: Colorizer) -> Sampling | None:
    """The requested samples, if the model can draw them and the answer has room for them."""
    if "samples" not in form:
        if "seed" in form:
            raise HTTPException(422, "field 'seed' is that of the samples: give 'samples' too, or leave it out")
        return None
    if kind == "colorize":
        raise HTTPException(422, "field 'samples' must be left out: /colorize answers with one picture; use /bands")
    try:
        sampling = Sampling(count=_whole(form, "samples", ""), seed=_whole(form, "seed", "0"))
        colorizer.abilities.check_samples(sampling)
    except SamplesError as error:
        raise HTTPException(422, str(error)) from error
    return sampling


async def _check_hints(form: FormData, colorizer: Colorizer) -> HintRequest | None:
    """The hints, if the model takes any; whether they fit the photo is seen when it is decoded."""
    picture = form.get("hints")
    if isinstance(picture, str):
        raise HTTPException(422, "field 'hints' is a text: send a PNG as a file; points go into the field 'hint'")
    content = None if picture is None else await picture.read()
    try:
        hints = HintRequest.asked(_text(form, "hint", "").split(), content)
        colorizer.abilities.check_hints(hints)
    except HintsError as error:
        raise HTTPException(422, str(error)) from error
    return hints


async def _check_like(form: FormData, colorizer: Colorizer) -> bytes | None:
    """The file of a reference photo, if the model takes one; it is not decoded yet."""
    file = form.get("like")
    if file is None:
        return None
    if not isinstance(file, UploadFile):
        raise HTTPException(422, "field 'like' is a text: send the reference photo itself, as a file")
    content = await file.read()
    try:
        colorizer.abilities.check_exemplar(content)
    except ExemplarError as error:
        raise HTTPException(422, str(error)) from error
    return content


def _whole(form: FormData, field: str, default: str) -> int:
    """A whole number; any other text goes to the check, whose error says what is allowed."""
    text = _text(form, field, default)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else cast(int, text[:40])


def _text(form: FormData, field: str, default: str) -> str:
    value = form.get(field, default)
    if not isinstance(value, str):
        raise HTTPException(422, f"field {field!r} is a file: send it as text")
    return value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text[:40]


def _flag(form: FormData, field: str) -> bool:
    text = _text(form, field, "false")
    if text not in ("true", "false"):
        raise HTTPException(422, f"field {field!r} (={text[:40]!r}) must be true or false")
    return text == "true"
