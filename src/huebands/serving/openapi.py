"""The OpenAPI document of the service, told from what the loaded model and the limits really allow."""

from typing import Any

from huebands import __version__
from huebands.conformal.calibration import Calibration
from huebands.conformal.guarantee import MODES
from huebands.photos.read import FORMATS, MAX_PIXELS
from huebands.serving.forms import DEFAULT_ALPHA, MAX_BODY
from huebands.serving.workers.exploration import MAX_SHOWN

Document = dict[str, Any]

_FORMATS = ", ".join(FORMATS)
_REFUSALS = {
    400: "The form is malformed, or the connection ended before it did.",
    408: "The body stalled, or took too long to come.",
    413: f"The body is larger than {MAX_BODY:,} bytes, counted as they come.",
    415: f"The body is no multipart form, or the image of no known format; known by content are {_FORMATS}.",
    422: "A field is missing, unknown or out of its range, or the image is damaged, has more than one frame, or"
    f" announces more than {MAX_PIXELS:,} pixels.",
    500: "Internal error; the answer has the request ID by which the server's log tells of it.",
    503: "There is no room for the photo now; it was not worked on.",
    504: "The photo took longer than the service allows.",
}


def describe_api(calibration: Calibration) -> Document:
    """Make the OpenAPI 3.1 document of a service with this calibration."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Huebands",
            "version": __version__,
            "summary": "Colorizes photos and says in which range each true colour lies.",
            "description": 'Every error is one line: `{"error": "..."}`. BentoML answers the probes /livez and'
            " /readyz beside these paths.",
        },
        "paths": {
            "/": {"get": _read("page", "The page for people.", _file("text/html"))},
            "/model": {
                "get": _read(
                    "model", "What is served: names, hashes, limits and the coverage measured.", _json("Model")
                )
            },
            "/certificate": {"get": _read("certificate", "The coverage certificate, a page.", _file("text/html"))},
            "/metrics": {"get": _read("metrics", "Numbers for Prometheus.", _file("text/plain"))},
            "/openapi.json": {"get": _read("api", "This document.", {"application/json": {"schema": _OBJECT}})},
            "/colorize": {
                "post": _work("colorize", "Colorize a photo: a PNG of the same size.", _file("image/png"), {})
            },
            "/bands": {
                "post": _work(
                    "bands",
                    "Colorize a photo and give its bands: a zip of NAME.colorized.png, NAME.bands.npz (R, G and B, each"
                    " uint8 (height, width, 2) = [lower, upper]; alpha), NAME.uncertainty.png and report.json.",
                    _file("application/zip"),
                    {"Content-Disposition": _header("string", "The name of the archive.")},
                )
            },
            "/explore": {
                "post": _work(
                    "explore",
                    "What the page draws from: a zip of colorized.png, grey.png (of every stride-th row and column, at"
                    f" most {MAX_SHOWN:,} pixels), knots.bin and exploration.json, from which the bands of any"
                    " confidence follow.",
                    _file("application/zip"),
                    {},
                )
            },
        },
        "components": {
            "schemas": {"Form": _form(calibration.smallest_alpha), "Error": _ERROR, "Model": _MODEL},
            "headers": _MODEL_HEADERS,
        },
    }


_OBJECT: Document = {"type": "object"}
_ERROR: Document = {
    "type": "object",
    "properties": {"error": {"type": "string", "minLength": 1, "description": "What was wrong, and what to do."}},
    "required": ["error"],
    "additionalProperties": False,
}
_MODEL: Document = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
        "huebands": {"type": "string"},
        "alphas": {
            "type": "object",
            "properties": {key: {"type": "number"} for key in ("smallest", "below", "default")},
            "required": ["smallest", "below", "default"],
        },
        "modes": {"type": "array", "items": {"enum": list(MODES)}},
        "calibration_photos": {"type": "integer", "minimum": 1},
        "min_chroma": {"type": "number", "description": "Least mean chroma of the calibration photos, CIELAB units."},
        "unlike_p_value": {
            "type": "number",
            "description": "The likeness at or below which a photo counts as unlike the calibration photos.",
        },
        "groups": {"type": "object", "additionalProperties": {"type": "integer"}},
        "certificate": _OBJECT,
        "monitoring": _OBJECT,
        "hashes": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
        "limits": {
            "type": "object",
            "properties": {
                "body_bytes": {"type": "integer"},
                "pixels": {"type": "integer"},
                "formats": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["body_bytes", "pixels", "formats"],
        },
    },
    "required": ["name", "version", "huebands", "alphas", "modes", "calibration_photos", "hashes", "limits"],
}


def _header(kind: str, description: str) -> Document:
    return {"description": description, "required": True, "schema": {"type": kind}}


_MODEL_HEADERS: dict[str, Document] = {
    "Huebands-Model": _header("string", "The name of the model, percent-encoded."),
    "Huebands-Version": _header("string", "The start of the sha256 of the model package."),
}
_RESULT_HEADERS: dict[str, Document] = {
    "Huebands-Mean-Band-Width": _header("number", "Mean width over pixels and channels, in 8-bit levels."),
    "Huebands-Likeness": _header(
        "number",
        "The chance that a photo like the calibration photos is as unlike them; small: do not trust the bands.",
    ),
}


def _form(smallest_alpha: float) -> Document:
    return {
        "type": "object",
        "properties": {
            "image": {
                "type": "string",
                "format": "binary",
                "contentMediaType": "application/octet-stream",
                "description": f"The photo, as a file, of 1 to {MAX_PIXELS:,} pixels and one frame:"
                f" {_FORMATS}. Only its lightness is used; no address is ever fetched.",
            },
            "alpha": {
                "type": "number",
                "minimum": smallest_alpha,
                "exclusiveMaximum": 1,
                "default": DEFAULT_ALPHA,
                "description": "The share that may leave its band, on average over photos. A delta, or grouped, may"
                " ask for more than the minimum; the refusal says how much.",
            },
            "mode": {
                "type": "string",
                "enum": list(MODES),
                "default": "per_channel",
                "description": "What alpha counts: channel values, or pixels of which any channel leaves (joint).",
            },
            "delta": {
                "type": "number",
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 1,
                "description": "The chance that the draw of the calibration photos may have to break the promise;"
                " without it the promise holds on average over that draw.",
            },
            "grouped": {
                "type": "boolean",
                "default": False,
                "description": "Whether alpha is promised in each group of pixels too.",
            },
        },
        "required": ["image"],
        "additionalProperties": False,
    }


def _file(media_type: str) -> Document:
    """Content of bytes or text that no schema describes further."""
    return {media_type: {}}


def _json(schema: str) -> Document:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _answer(description: str, content: Document, headers: Document) -> Document:
    names = {name: {"$ref": f"#/components/headers/{name}"} for name in _MODEL_HEADERS}
    return {"description": description, "headers": names | headers, "content": content}


def _read(name: str, description: str, content: Document) -> Document:
    return {
        "operationId": name,
        "summary": description,
        "responses": {"200": _answer("As asked.", content, {})},
    }


def _work(name: str, description: str, content: Document, headers: Document) -> Document:
    again = {"Retry-After": _header("integer", "Seconds after which there may be room.")}
    refusals = {
        str(status): _answer(reason, _json("Error"), again if status == 503 else {})
        for status, reason in _REFUSALS.items()
    }
    form = {"$ref": "#/components/schemas/Form"}
    return {
        "operationId": name,
        "summary": description,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"200": _answer("The photo was worked on.", content, _RESULT_HEADERS | headers), **refusals},
    }
