"""A comparison as one HTML file that needs no other: pictures under a slider, beside their figures."""

import base64
import math
from collections.abc import Mapping
from typing import Any

from huebands.comparison.candidates import TRUTH
from huebands.comparison.compare import INPUT, Comparison
from huebands.comparison.table import NOTES, Cell, heading, overall_cells, photo_cells, summary
from huebands.metrics.report import METRICS, OF_SETS
from huebands.package.documents.templates import render


def to_html(comparison: Comparison) -> str:
    """Write index.html."""
    return render("huebands.comparison", "page.html.j2", content=_content(comparison))


def _content(comparison: Comparison) -> dict[str, Any]:
    cells = overall_cells(comparison)
    # The grey baseline is the picture that candidates were given.
    pictures = [name for name in comparison.pictures[0] if name not in (INPUT, TRUTH)]
    return {
        "name": comparison.photos.name,
        "summary": summary(comparison),
        "notes": NOTES,
        "truth": TRUTH,
        "pictures": [INPUT, *pictures, TRUTH],
        "candidates": [
            {"name": candidate.name, "description": candidate.description} for candidate in comparison.candidates
        ],
        "metrics": [
            {
                "key": metric.key,
                "heading": heading(metric),
                "better": metric.better,
                "of_photos": metric.key not in OF_SETS,
            }
            for metric in METRICS
            if metric.key in cells
        ],
        "overall": _cell_values(cells),
        "photos": [
            {
                "title": photo.title,
                "aspect": round(photo.aspect, 4),
                "pictures": {name: _data_uri(webp) for name, webp in comparison.pictures[index].items()},
                "cells": _cell_values(photo_cells(comparison, index)),
                "figures": {
                    name: {key: _finite(value) for key, value in scores[index].figures.items()}
                    for name, scores in comparison.results.items()
                },
            }
            for index, photo in enumerate(comparison.photos.photos)
        ],
    }


def _cell_values(cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, dict[str, Any]]:
    return {key: {name: vars(cell) for name, cell in row.items()} for key, row in cells.items()}


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _data_uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
