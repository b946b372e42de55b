"""The HTTP interface: a photo in; its colours, its bands or one line that says why not out."""

import io
import json
import logging
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
from PIL import UnidentifiedImageError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from huebands import __version__, images
from huebands.colorizer import Colorization, Colorizer
from huebands.conformal.calibration import MODES
from huebands.conformal.family import CHANNELS
from huebands.package import CERTIFICATE
from huebands.web.body_limit import BodyLimit
from huebands.web.meter import Meter, build_registry
from huebands.web.uploads import DEFAULT_ALPHA, Upload, read_upload

MAX_BODY = 64 * 2**20  # bytes
MAX_STALL = 30  # seconds
PAGE = Path(__file__).parent / "index.html"
_AT_ONCE = 2  # photos in work, because a large one takes gigabytes
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}
_SIGNATURES = re.compile(rb"\xff\xd8|\x89PNG|II\*\0|MM\0\*|RIFF....WEBP|BM|GIF8|P[1-7f][\s#]", re.DOTALL)


def build_app(max_body: int = MAX_BODY, max_stall: float = MAX_STALL) -> Starlette:
    """Make the application; set its `state.colorizer` before it is asked.

    Args:
        max_body: bytes of a request body.
        max_stall: seconds between two pieces of a request body.
    """
    routes = [
        Route("/", _show_page, methods=["GET"]),
        Route("/model", _show_model, methods=["GET"]),
        Route("/certificate", _show_certificate, methods=["GET"]),
        Route("/colorize", _colorize, methods=["POST"]),
        Route("/bands", _bands, methods=["POST"]),
        Route("/metrics", _show_metrics, methods=["GET"]),
    ]
    registry = build_registry()
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Meter, registry=registry, paths=[route.path for route in routes]),
            Middleware(BodyLimit, max_body=max_body, max_stall=max_stall),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    app.state.registry = registry
    app.state.limiter = anyio.CapacityLimiter(_AT_ONCE)
    return app


async def _show_page(request: Request) -> Response:
    return FileResponse(PAGE, headers=_HEADERS)


async def _show_model(request: Request) -> Response:
    return JSONResponse(describe_model(request.app.state.colorizer))


async def _show_certificate(request: Request) -> Response:
    colorizer: Colorizer = request.app.state.colorizer
    return FileResponse(colorizer.package.folder / CERTIFICATE, headers=_HEADERS)


async def _show_metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _colorize(request: Request) -> Response:
    return await _answer(
        request, lambda upload, result: Response(images.encode_png(result.rgb), media_type="image/png")
    )


async def _bands(request: Request) -> Response:
    colorizer: Colorizer = request.app.state.colorizer
    return await _answer(request, lambda upload, result: _zip(colorizer, upload, result))


async def _answer(request: Request, render: Callable[[Upload, Colorization], Response]) -> Response:
    colorizer: Colorizer = request.app.state.colorizer

    def work() -> Response:
        content = upload.file.file.read()
        try:
            result = colorizer.colorize(
                content, upload.alpha, upload.mode, upload.name, delta=upload.delta, grouped=upload.grouped
            )
        except images.ImageError as error:
            unknown = isinstance(error.__cause__, UnidentifiedImageError) and not _SIGNATURES.match(content)
            raise HTTPException(415 if unknown else 422, str(error)) from error
        return render(upload, result)

    try:
        upload = await read_upload(request, colorizer.calibration)
        return await anyio.to_thread.run_sync(work, limiter=request.app.state.limiter)
    finally:
        await request.close()


def _zip(colorizer: Colorizer, upload: Upload, result: Colorization) -> Response:
    """Pack the three files and a report; stored as they are, since they are compressed already."""
    stem = safe_stem(upload.name)
    report = json.dumps(describe_result(colorizer, upload.name, result), indent=2, ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**result.encode(stem), "report.json": report.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without a date: equal requests, equal bytes
    disposition = f"attachment; filename*=UTF-8''{quote(stem)}.huebands.zip"
    return Response(buffer.getvalue(), media_type="application/zip", headers={"Content-Disposition": disposition})


def safe_stem(name: str) -> str:
    """Turn a client's file name into a stem that is harmless on any file system."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem)[:80].strip("._") or "photo"


def describe_result(colorizer: Colorizer, name: str, result: Colorization) -> dict[str, Any]:
    """What report.json says of one photo."""
    height, width = result.grey.shape
    return {
        "photo": name,
        "width": width,
        "height": height,
        "alpha": result.alpha,
        "mode": result.mode,
        "delta": result.delta,
        "grouped": result.grouped,
        "steps": dict(zip(CHANNELS, result.steps.tolist(), strict=True)),
        "mean_band_width": round(float(result.width.mean()), 3),
        "likeness": {
            "p_value": round(result.likeness, 4),
            "meaning": "chance that a photo exchangeable with the calibration photos is as unlike them as this one;"
            " the promise does not reach photos of another kind",
        },
        "promise": _promise(result),
        "model": {
            "name": colorizer.package.config["name"],
            "package_sha256": colorizer.package.package_sha256,
        },
        "huebands": __version__,
    }


def _promise(result: Colorization) -> str:
    counted = "channel values" if result.mode == "per_channel" else "pixels"
    sentences = [
        "For a photo exchangeable with the calibration photos, the expected share of its"
        f" {counted} that leave their bands is at most {result.alpha:g}."
    ]
    if result.delta is not None:
        sentences.append(
            f"This holds for these very bands with probability {1 - result.delta:g} over the draw of the"
            " calibration photos."
        )
    if result.grouped:
        sentences.append("On average over that draw, it also holds among the pixels of each group alone.")
    return " ".join(sentences)


def describe_model(colorizer: Colorizer) -> dict[str, Any]:
    """What GET /model says."""
    package, calibration = colorizer.package, colorizer.calibration
    return {
        "name": package.config["name"],
        "version": package.package_sha256[:12],
        "huebands": __version__,
        "alphas": {"smallest": calibration.smallest_alpha, "below": 1, "default": DEFAULT_ALPHA},
        "modes": list(MODES),
        "calibration_photos": calibration.photos,
        "groups": calibration.groups(),
        "certificate": dict(calibration.certificate),
        "hashes": {
            "package_sha256": package.package_sha256,
            "weights_sha256": package.weights_sha256,
            "distribution_sha256": calibration.distribution_sha256,
            "preprocessing_sha256": package.preprocessing_sha256,
            "data_sha256": calibration.data_sha256,
        },
        "network": package.config["network"],
        "preprocessing": package.config["preprocessing"],
        "lineage": package.config["lineage"],
        "limits": {"body_bytes": MAX_BODY, "pixels": images.MAX_PIXELS, "formats": list(images.FORMATS)},
    }


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _fail(request: Request, error: Exception) -> Response:
    logging.getLogger("huebands.web").error("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "something went wrong here; the server's log says what"}, 500)
