"""A certificate as one HTML file that needs no other: what the bands promise, and what was measured on test photos.

The text is in certificate.html.j2. Every figure of a chart is in a table too.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huebands.conformal.bands import CHANNELS
from huebands.conformal.groups import CHROMA_EDGES, PARTITIONS
from huebands.package.documents.charts import draw_coverage, draw_reliability, draw_widths
from huebands.package.documents.templates import interval, levels, percent, render

_MODES = {  # what is counted, as a heading and as a noun
    "per_channel": ("Each channel's values", "values"),
    "joint": ("Pixels, all channels at once", "pixels"),
}
_MAPS = {"expected-error": "Expected error", "width": "Band width"}
_ERRORS = {"ab": "in the plane of a and b", "ciede2000": "CIEDE2000"}
_GRID = "lightness x chroma"
_LEAST_SHARE = 0.01  # of test pixels: in smaller groups the least coverage is mostly chance
_FULL_TINT = 0.15  # distance from the promise at which a cell of the grid is fully tinted
# Headings of what a mode reached at one alpha.
PROMISE = ("Counted", "Promised", "Covered", "Exact 95% interval", "p of the exact test", "Mean width, 8-bit levels")
_HASHES = {
    "tables_sha256": "Tables of losses (calibration.npz)",
    "weights_sha256": "Weights of the generator",
    "distribution_sha256": "Colour density",
    "preprocessing_sha256": "Network and preprocessing",
    "data_sha256": "Prepared photos",
}

Row = tuple[str, ...]  # the cells of a row of a table; the first is its heading


@dataclass(frozen=True)
class Body:
    """Rows of a table, under a heading where there is one."""

    heading: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Cell:
    """A cell of the grid of lightness and chroma: its coverage in words, and its tint."""

    text: str
    hue: str = ""  # "short" of the promise, or "ample"; "" where nothing was measured
    opacity: float = 0.0


def write_page(
    config: Mapping[str, Any], description: Mapping[str, Any], with_hints: Mapping[str, Any] | None = None
) -> str:
    """Write certificate.html; equal arguments give equal text.

    Args:
        config: config of the package.
        description: the content of calibration.json, with its certificate.
        with_hints: the content of calibration-hints.json; None: the package has none.
    """
    certificate = description["certificate"]
    curve, grouped, strata = (certificate[key] for key in ("curve", "grouped", "strata"))
    maps = certificate.get("maps", {})
    return render(
        "huebands.package.documents",
        "certificate.html.j2",
        name=config["name"],
        description=description,
        certificate=certificate,
        remark=config["lineage"].get("remark", ""),
        promised=1 - certificate["alpha"],
        least_share=_LEAST_SHARE,
        modes={mode: {"heading": heading, "noun": noun} for mode, (heading, noun) in _MODES.items()},
        channels=CHANNELS,
        grid_partition=_GRID,
        promise_header=PROMISE,
        at_alpha=promise_rows(certificate),
        coverage=[Body(_MODES[mode][0], [_coverage_row(row) for row in _of_mode(curve, mode)]) for mode in _MODES],
        coverage_charts={mode: _coverage_chart(mode, curve) for mode in _MODES},
        widths=_widths(curve, "all pixels together") + _widths(grouped, "every group by itself"),
        width_charts={channel: _width_chart(channel, certificate["width_distribution"]) for channel in CHANNELS},
        maps=[_map_row(row) for row in maps.get("rows", ())],
        reliability=[_reliability_row(row) for row in maps.get("reliability", ())],
        reliability_chart=draw_reliability("reliability", maps["reliability"]) if "reliability" in maps else "",
        calibration_error=maps.get("calibration_error"),
        grouped=[_grouped_row(row) for row in grouped],
        least_covered={mode: _least_covered(_of_mode(strata, mode)) for mode in _MODES},
        chroma=[label for _, label in _grid_labels()[: len(CHROMA_EDGES) + 1]],
        grids={
            mode: {
                key: _grid(_of_mode(strata, mode), key, 1 - certificate["alpha"])
                for key in ("coverage", "grouped_coverage")
            }
            for mode in _MODES
        },
        partitions={
            mode: [_partition(_of_mode(strata, mode), partition) for partition in PARTITIONS if partition != _GRID]
            for mode in _MODES
        },
        grid_figures={mode: [_partition(_of_mode(strata, mode), _GRID)] for mode in _MODES},
        sources=_sources(certificate.get("sources", [])),  # earlier certificates have none
        with_hints=None if with_hints is None else _with_hints(with_hints),
        hashes=[(title, str(description[key])) for key, title in _HASHES.items()],
    )


def _with_hints(description: Mapping[str, Any]) -> dict[str, Any]:
    """What the section on hints says."""
    certificate = description["certificate"]
    return {
        "law": description["law"],
        "at_alpha": promise_rows(certificate),
        "around": [
            (
                f"{percent(row['from'])} to {percent(row['to'])}" if row["to"] else f"{percent(row['from'])} and more",
                percent(row["share"]),
                percent(row["coverage"]),
                levels(row["width"]),
                levels(row["width_without"]),
            )
            for row in certificate["around_hints"]
        ],
    }


def promise_rows(certificate: Mapping[str, Any]) -> list[Row]:
    """What each mode reached at the certificate's alpha; the cells are headed by `PROMISE`."""
    return [_promise_row(row) for row in rows_at_alpha(certificate)]


def rows_at_alpha(certificate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a certificate's curve at its alpha, one for each mode that was measured."""
    return [row for row in certificate["curve"] if math.isclose(row["alpha"], certificate["alpha"])]


def _promise_row(row: Mapping[str, Any]) -> Row:
    return (
        _MODES[row["mode"]][0],
        percent(1 - row["alpha"]),
        percent(row["coverage"]),
        interval((row["exact_low"], row["exact_high"])),
        f"{row['p_value']:.3g}" if "p_value" in row else "not measured",
        levels(row["width"]),
    )


def _coverage_row(row: Mapping[str, Any]) -> Row:
    return (
        f"{row['alpha']:g}",
        percent(1 - row["alpha"]),
        percent(row["coverage"]),
        interval((row["coverage_low"], row["coverage_high"])),
        interval((row["exact_low"], row["exact_high"])),
        levels(row["width"]),
    )


def _grouped_row(row: Mapping[str, Any]) -> Row:
    return (
        _MODES[row["mode"]][0],
        f"{row['alpha']:g}",
        percent(row["coverage"]),
        interval((row["coverage_low"], row["coverage_high"])),
        levels(row["width"]),
    )


def _sources(rows: Sequence[Mapping[str, Any]]) -> list[Body]:
    return [
        Body(
            heading,
            [
                (
                    row["source"],
                    str(row["photos"]),
                    percent(row["coverage"]),
                    interval((row["exact_low"], row["exact_high"])),
                    f"{row['p_value']:.3g}",
                    f"{row['p_holm']:.3g}",
                    levels(row["width"]),
                )
                for row in _of_mode(rows, mode)
            ],
        )
        for mode, (heading, _) in _MODES.items()
    ]


def _map_row(row: Mapping[str, Any]) -> Row:
    figures = (
        "none" if row[name] is None else f"{row[name]:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"
        for name in ("sparsification", "rank_correlation")
    )
    return (_MAPS[row["map"]], _ERRORS[row["error"]], *figures, str(row["photos"]))


def _reliability_row(row: Mapping[str, Any]) -> Row:
    return (f"{row['predicted']:.2f}", f"{row['observed']:.2f}", percent(row["share"]))


def _widths(rows: Sequence[Mapping[str, Any]], promised_to: str) -> list[Body]:
    return [
        Body(
            f"{heading}, promised for {promised_to}",
            [
                (f"{row['alpha']:g}", *(levels(width) for width in (*row["widths"], row["width"])))
                for row in _of_mode(rows, mode)
            ],
        )
        for mode, (heading, _) in _MODES.items()
    ]


def _coverage_chart(mode: str, curve: Sequence[Mapping[str, Any]]) -> str:
    """The chart of a mode, "" where nothing was measured; the charts of both modes have the same axes."""
    rows = _of_mode(curve, mode)
    if not rows:
        return ""
    start = 10 * math.floor(10 * min(min(1 - row["alpha"], row["exact_low"]) for row in curve))
    return draw_coverage(f"coverage-{mode}", _MODES[mode][0], rows, start)


def _width_chart(channel: str, distribution: Mapping[str, Sequence[float]]) -> str:
    return draw_widths(f"widths-{channel}", channel, distribution) if distribution[channel] else ""


def _least_covered(strata: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The least covered of the larger groups; None where nothing was measured."""
    large = [row for row in strata if row["share"] >= _LEAST_SHARE]
    return min(large, key=lambda row: float(row["coverage"]), default=None)


def _grid(strata: Iterable[Mapping[str, Any]], key: str, promised: float) -> list[tuple[str, list[Cell]]]:
    """Rows of lightness, with a cell for each chroma; no rows where nothing was measured."""
    coverages = {row["group"]: row[key] for row in strata if row["partition"] == _GRID}
    if not coverages:
        return []
    names, columns = PARTITIONS[_GRID], len(CHROMA_EDGES) + 1
    return [
        (
            _grid_labels()[start][0],
            [_cell(coverages.get(name), promised) for name in names[start : start + columns]],
        )
        for start in range(0, len(names), columns)
    ]


def _grid_labels() -> list[list[str]]:
    """Lightness and chroma of each cell, in the names of this version."""
    return [name.split(", ") for name in PARTITIONS[_GRID]]


def _cell(coverage: float | None, promised: float) -> Cell:
    if coverage is None:
        return Cell("–")
    opacity = min(abs(coverage - promised) / _FULL_TINT, 1) * 0.55
    return Cell(percent(coverage), "short" if coverage < promised else "ample", opacity)


def _partition(strata: Iterable[Mapping[str, Any]], partition: str) -> Body:
    rows = [
        (
            row["group"],
            percent(row["share"]),
            str(row["photos"]),
            percent(row["coverage"]),
            interval((row["low"], row["high"])),
            percent(row["grouped_coverage"]),
        )
        for row in strata
        if row["partition"] == partition
    ]
    return Body(f"By {partition}", rows)


def _of_mode(rows: Iterable[Mapping[str, Any]], mode: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["mode"] == mode]
