"""Pictures for the reports: sheets of photos and coverage curves.

matplotlib is imported when a picture is drawn, because importing it takes time. The same input gives the same bytes.
"""

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huebands.files import atomic
from huebands.photos.heatmap import magma

_DPI = 120
_GAP, _STRIP_GAP, _ROW_GAP, _MARGIN = 0.06, 0.3, 0.42, 0.25  # inches
_HEADING = 0.1  # inches, beside the row gap
_FONT = 9.0  # points
_SERIES = {"per_channel": ("per channel", "#1b6ca8"), "joint": ("joint", "#c8553d")}


@dataclass(frozen=True)
class Strip:
    """Pictures of one photo, side by side under one caption; each uint8 (H, W) or (H, W, 3)."""

    caption: str
    pictures: Sequence[np.ndarray]


def draw_sheet(
    path: Path,
    rows: Sequence[tuple[str, Sequence[Strip]]],
    columns: Sequence[str],
    cell: float = 1.5,
    scale_label: str = "",
) -> None:
    """Draw strips of photos in labelled rows.

    Args:
        path: path of the PNG.
        rows: label ("" for none) and strips of each row.
        columns: heading of each picture in a strip.
        cell: width of a picture, inches.
        scale_label: when given, the heat maps' colour scale is drawn at the foot with this label.
    """
    from matplotlib.figure import Figure

    most_strips = max((len(strips) for _, strips in rows), default=1)
    strip_width = len(columns) * cell + (len(columns) - 1) * _GAP
    label_width = 0.35 if any(label for label, _ in rows) else 0.0
    width = 2 * _MARGIN + label_width + most_strips * strip_width + (most_strips - 1) * _STRIP_GAP
    heights = [cell * _row_aspect(strips) for _, strips in rows]
    foot = 0.75 if scale_label else 0.0
    height = 2 * _MARGIN + _HEADING + sum(heights) + len(rows) * _ROW_GAP + foot
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    top = height - _MARGIN - _HEADING
    for index, ((label, strips), row_height) in enumerate(zip(rows, heights, strict=True)):
        bottom = top - _ROW_GAP - row_height
        middle = (bottom + row_height / 2) / height
        figure.text(_MARGIN / width, middle, label, rotation=90, va="center", size=13, weight="bold")
        for position, strip in enumerate(strips):
            left = _MARGIN + label_width + position * (strip_width + _STRIP_GAP)
            _draw_strip(figure, strip, left, bottom, cell, row_height)
            for column, heading in enumerate(columns if index == 0 else ()):
                center = left + column * (cell + _GAP) + cell / 2
                figure.text(center / width, top / height, heading, ha="center", size=_FONT + 1, weight="bold")
        top = bottom
    if scale_label:
        _draw_scale(figure, (width - 2 * _MARGIN) / 2, _MARGIN + 0.3, scale_label)
    _save(figure, path)


def draw_coverage(path: Path, table: Sequence[Mapping[str, Any]], subtitle: str) -> None:
    """Draw coverage and width against the promised coverage, for both modes.

    Args:
        path: path of the PNG.
        table: rows with mode, nominal, coverage, low, high and width.
        subtitle: what was measured.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.8), dpi=_DPI, facecolor="white", layout="constrained")
    figure.suptitle(f"Do the bands hold the true colour?   {subtitle}", x=0.012, ha="left", size=12)
    coverage_axes, width_axes = figure.subplots(1, 2)
    ends = [min(row["nominal"] for row in table), max(row["nominal"] for row in table)]
    coverage_axes.plot(ends, ends, color="0.35", linewidth=1.2, linestyle=(0, (4, 3)), label="promised: 1 - alpha")
    for mode, (name, colour) in _SERIES.items():
        rows = sorted((row for row in table if row["mode"] == mode), key=lambda row: row["nominal"])
        column = {key: [row[key] for row in rows] for key in ("nominal", "coverage", "low", "high", "width")}
        nominal = column["nominal"]
        coverage_axes.fill_between(nominal, column["low"], column["high"], color=colour, alpha=0.15, linewidth=0)
        coverage_axes.plot(nominal, column["coverage"], color=colour, linewidth=2, label=f"{name}, 95% interval")
        width_axes.plot(nominal, column["width"], color=colour, linewidth=2, label=name)
    coverage_axes.set(xlabel="promised coverage, 1 - alpha", ylabel="measured on test photos")
    coverage_axes.set_title("Coverage", loc="left", size=11, weight="bold")
    width_axes.set(xlabel="promised coverage, 1 - alpha", ylabel="mean width, 8-bit levels")
    width_axes.set_ylim(bottom=0)
    width_axes.set_title("Width of the bands", loc="left", size=11, weight="bold")
    for axes, legend_position in ((coverage_axes, "lower right"), (width_axes, "upper left")):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.legend(frameon=False, loc=legend_position)
    coverage_axes.yaxis.set_major_formatter("{x:.0%}")
    _save(figure, path)


def _row_aspect(strips: Sequence[Strip]) -> float:
    """Height over width of a row's cells: its tallest photo's, within limits."""
    shapes = [picture.shape for strip in strips for picture in strip.pictures]
    return min(max((shape[0] / shape[1] for shape in shapes), default=1.0), 1.4)


def _draw_strip(figure: Any, strip: Strip, left: float, bottom: float, cell: float, row_height: float) -> None:
    width, height = figure.get_size_inches()
    room = len(strip.pictures) * (cell + _GAP) - _GAP
    caption = textwrap.shorten(strip.caption, int(room * 72 / (_FONT * 0.58)), placeholder=" …")
    above = (bottom + row_height + 0.07) / height
    # Titles may hold dollar signs: they are no formulas.
    figure.text(left / width, above, caption, size=_FONT, color="0.25", parse_math=False)
    for column, picture in enumerate(strip.pictures):
        rectangle = ((left + column * (cell + _GAP)) / width, bottom / height, cell / width, row_height / height)
        axes = figure.add_axes(rectangle)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
        axes.set_anchor("N")
        axes.set_axis_off()


def _draw_scale(figure: Any, length: float, bottom: float, label: str) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes(((width - length) / 2 / width, bottom / height, length / width, 0.14 / height))
    axes.imshow(magma()[None], aspect="auto", extent=(0, 255, 0, 1))
    axes.set(yticks=[], xticks=[0, 51, 102, 153, 204, 255])
    axes.tick_params(labelsize=_FONT)
    axes.set_xlabel(label, size=_FONT)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A title in a script that the font lacks shows boxes, which is acceptable.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        with atomic.writing(path) as file:
            figure.savefig(file, format="png", metadata={"Software": None})
