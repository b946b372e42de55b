"""A contact sheet of a folder of results, huebands.html: the photos that are most worth a look stand first.

It is made from the manifest, shows small copies of the pictures, and links to the results beside it.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyvips

from huebands import __version__
from huebands.colorize.complaint import printable
from huebands.colorize.manifest import Manifest
from huebands.package.documents.templates import render

NAME = "huebands.html"
_SIDE = 320  # pixels of a copy's longer side
_UNLIKE = "unlike the photos that the bands were calibrated on (p = {:.3f}): they may be wrong more often"
_DRAWN = "may be a page of text or a drawing"
_REMARKS = {
    "colour": "has colour of its own, which was not used",
    "tinted": "tinted, and taken as grey",
}


def make_sheet(manifest: Manifest, unlike_p_value: float) -> str:
    """Make the page.

    Photos that failed come first, then those that are unlike the calibration photos, those with colour of their own or
    a border, then the others; the wider the bands, the earlier.

    Args:
        manifest: of the folder.
        unlike_p_value: at and below which a photo is unlike the calibration photos.
    """
    entries = [_entry(line, manifest.path.parent, unlike_p_value) for line in manifest.lines.values()]
    entries.sort(key=lambda entry: (entry["rank"], -entry["width"], entry["photo"]))
    return render("huebands.colorize", "contact_sheet.html.j2", version=__version__, entries=entries)


def _entry(line: Mapping[str, Any], folder: Path, unlike_p_value: float) -> dict[str, Any]:
    is_unlike = line.get("likeness") is not None and line["likeness"] <= unlike_p_value
    unlike = _UNLIKE.format(line["likeness"]) if is_unlike else None
    drawn = _DRAWN if is_unlike and line.get("looks_drawn") else None
    own = _REMARKS.get(line.get("own_colour") or "")
    border = None
    if line.get("border"):
        is_cropped = line["settings"].get("crop_border")
        border = f"has {line['border']}, which {'was left out' if is_cropped else 'stays grey'}"
    files = [file for file in line["files"] if (folder / file).is_file()]
    return {
        "rank": 0 if line.get("error") else 1 if is_unlike else 2 if own or border else 3,
        "photo": printable(line["photo"]),
        "error": printable(line.get("error") or ""),
        "remarks": [remark for remark in (unlike, drawn, own, border, line.get("caveat")) if remark],
        "width": line.get("mean_width") or 0.0,
        "expected_error": line.get("expected_error"),
        "size": f"{line.get('width')} × {line.get('height')}",
        "files": [
            {"name": printable(Path(file).name), "address": quote(file, errors="surrogateescape")} for file in files
        ],
        "pictures": [_small(folder / file) for file in files if ".colorized." in file or ".uncertainty." in file],
    }


def _small(path: Path) -> str | None:
    """A small copy as a data URI; None where the picture cannot be read."""
    try:
        source = pyvips.Source.new_from_memory(path.read_bytes())
        small = pyvips.Image.thumbnail_source(source, _SIDE, size="down").webpsave_buffer(Q=70, keep="none")
    except (pyvips.Error, OSError):
        return None
    return f"data:image/webp;base64,{base64.b64encode(small).decode()}"
