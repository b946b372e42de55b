"""A certificate as one HTML file that needs no other: what the bands promise, and what test photos say of it.

The page is built as a tree and written by the standard library, so text is escaped wherever it comes from, and tags are
balanced. Charts are drawings for the eye; every figure in them stands in a table as well.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from huebands.conformal.bands import CHANNELS
from huebands.conformal.groups import CHROMA_EDGES, PARTITIONS

_MODES = {  # what is counted, as a heading and as a noun
    "per_channel": ("Each channel's values", "values"),
    "joint": ("Pixels, all channels at once", "pixels"),
}
_GRID = "lightness x chroma"
_LEAST_SHARE = 0.01  # of test pixels: the worst of smaller groups is mostly chance
_FULL_TINT = 0.15  # distance from the promise at which a cell of the grid is fully tinted
_MOST_PARTS = 6  # of an axis, between ticks
_HASHES = {
    "tables_sha256": "Tables of losses (calibration.npz)",
    "weights_sha256": "Weights of the generator",
    "distribution_sha256": "Colour distribution",
    "preprocessing_sha256": "Network and preprocessing",
    "data_sha256": "Prepared photos",
}
# A neutral grey surround, as the comparison's; a grid's tint is one of two hues that colour-blind readers tell apart.
_STYLE = """
:root {
  color-scheme: light dark; --page: #f3f3f3; --raised: #fff; --text: #1d1d1d; --quiet: #646464; --rule: #dcdcdc;
  --line: #1a63c7; --short: 214 94 0; --ample: 26 99 199; --R: #c8453a; --G: #3a8f4f; --B: #3a6fc4;
  font: 16px/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #1b1b1b; --raised: #262626; --text: #ececec; --quiet: #a3a3a3; --rule: #3b3b3b; --line: #82b4ff;
    --short: 240 130 40; --ample: 90 150 255; --R: #e8746a; --G: #63b878; --B: #74a3f0; }
}
* { box-sizing: border-box; }
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--text); }
h1 { margin: 0 0 .75rem; font-size: 1.6rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; font-weight: 650; }
h3 { margin: 1.75rem 0 .5rem; font-size: 1rem; font-weight: 650; }
p { margin: 0 0 .75rem; max-width: 46rem; }
h1, p, td, th { overflow-wrap: break-word; }
th span { display: inline-block; min-width: 8.25rem; overflow-wrap: anywhere; }
@media (min-width: 48rem) { th span { min-width: 12.5rem; } }
#promise { font-size: 1.1rem; }
.quiet, small { color: var(--quiet); }
small { display: block; font-size: .6875rem; font-weight: 400; }
code { font-size: .8125rem; overflow-wrap: anywhere; }
.scroll { position: relative; overflow-x: auto; margin: .75rem 0; background: var(--raised);
  border: 1px solid var(--rule); border-radius: .5rem; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--line); outline-offset: 2px; }
table { border-spacing: 0; width: 100%; font-size: .8125rem; font-variant-numeric: tabular-nums; }
caption { padding: .6rem .75rem .2rem; text-align: left; color: var(--quiet); }
th, td { padding: .35rem .75rem; text-align: right; font-weight: 400; }
th:first-child { position: sticky; left: 0; background: var(--raised); text-align: left; }
caption span { display: inline-block; position: sticky; left: .75rem; max-width: calc(100vw - 3.75rem); }
thead th { vertical-align: bottom; color: var(--quiet); line-height: 1.25; }
thead th:last-child { min-width: 6.5rem; }
tbody :is(th, td) { border-top: 1px solid var(--rule); }
tbody th { font-weight: 550; }
td { white-space: nowrap; }
th[scope=rowgroup] { padding-top: .8rem; }
#hashes :is(th, td) { white-space: normal; text-align: left; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 0 1rem; }
.grid { table-layout: fixed; border-spacing: 1px; }
.grid th, .grid td { padding: .35rem .2rem; text-align: center; overflow-wrap: normal; font-size: .75rem; }
.grid tr > :first-child { width: 5rem; white-space: nowrap; }
.grid th[scope=row] { border: 0; padding-left: .6rem; text-align: left; font-weight: 400; color: var(--quiet); }
.grid thead th:last-child { min-width: 0; }
.grid td { border: 0; }
.charts { display: grid; gap: 1rem; margin: .75rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--raised); border: 1px solid var(--rule); border-radius: .5rem; }
figcaption { font-size: .875rem; font-weight: 550; }
svg { display: block; width: 100%; max-width: 26rem; height: auto; margin: 0 auto; }
svg text { font-size: 12px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.rule { stroke: var(--rule); }
.promised { stroke: var(--quiet); stroke-width: 1.25; stroke-dasharray: 5 4; }
.measured { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; }
.dot { fill: var(--line); }
.exact { fill: var(--line); fill-opacity: .2; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .875rem; color: var(--quiet); }
.legend svg { display: inline-block; width: 28px; height: 12px; margin: 0 .4rem 0 0; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--quiet); font-size: .9rem; }
"""

Content = ET.Element | str
Rows = Sequence[Sequence[Content]]


def write_page(name: str, description: Mapping[str, Any]) -> str:
    """Write certificate.html; equal arguments give equal text.

    Args:
        name: of the model.
        description: the content of calibration.json, with its certificate.
    """
    certificate = description["certificate"]
    title = f"What the bands of the model “{name}” promise"
    head = _element(
        "head",
        _element("meta", charset="utf-8"),
        _element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # The page can load nothing, whatever a title may hold.
        _element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        _element("title", title),
        _element("style", _STYLE),
    )
    main = _element(
        "main",
        _element("h1", title),
        *_promise(description),
        *_coverage(certificate),
        *_widths(certificate),
        *_groups(certificate),
        *_photos(certificate),
        *_made_of(description),
    )
    html = _element("html", head, _element("body", main), lang="en")
    ET.indent(html, space="")
    return "<!doctype html>\n" + ET.tostring(html, encoding="unicode", method="html") + "\n"


def _promise(description: Mapping[str, Any]) -> list[ET.Element]:
    certificate, photos = description["certificate"], description["photos"]
    rows = [
        (
            _words(_MODES[row["mode"]][0]),
            _percent(1 - row["alpha"]),
            _percent(row["coverage"]),
            _interval(row["exact_low"], row["exact_high"]),
            f"{row['p_value']:.3g}" if "p_value" in row else "not measured",
            _levels(row["width"]),
        )
        for row in certificate["curve"]
        if math.isclose(row["alpha"], certificate["alpha"])
    ]
    return [
        _element(
            "p",
            f"For a new photo drawn like the {photos} photos that calibrated this model, at most a share alpha of the"
            " true colours is expected to lie outside the bands: by default of each channel's values, in the joint"
            " mode of pixels, which lie outside when any channel does."
            f" Whoever asks for bands chooses alpha, from {_percent(description['smallest_alpha'])} (1/{photos + 1})"
            " upwards, and the promise is an average over photos, not one for each photo or each pixel.",
            id="promise",
        ),
        _table(
            f"At alpha {certificate['alpha']:g}, on {certificate['test_photos']} test photos that calibrated nothing",
            ("Counted", "Promised", "Covered", "Exact 95% interval", "p of the exact test", "Mean width, 8-bit levels"),
            [("", rows)],
        ),
        _element(
            "p",
            "If these bands keep the promise on new photos, p is at most 0.05 with a probability of 0.05 at most. A"
            " small p speaks against the promise; a large one does not prove it, least of all on few photos.",
        ),
    ]


def _coverage(certificate: Mapping[str, Any]) -> list[ET.Element]:
    curve = certificate["curve"]
    bodies = [
        (
            heading,
            [
                (
                    f"{row['alpha']:g}",
                    _percent(1 - row["alpha"]),
                    _percent(row["coverage"]),
                    _interval(row["coverage_low"], row["coverage_high"]),
                    _interval(row["exact_low"], row["exact_high"]),
                    _levels(row["width"]),
                )
                for row in _of_mode(curve, mode)
            ],
        )
        for mode, (heading, _) in _MODES.items()
    ]
    return [
        _element("h2", "Coverage, measured against promised"),
        _element(
            "p",
            "Both intervals are for the coverage of these very bands on new photos. The exact one holds for any"
            " distribution of photos at this number of them (bets on one photo after another, Waudby-Smith and Ramdas);"
            " the bootstrap's is approximate, and mostly narrower. One calibration may cover somewhat less than"
            " promised: the promise averages over calibrations too.",
        ),
        _legend(),
        _charts(_coverage_chart(mode, curve) for mode in _MODES),
        _table(
            "Coverage at each alpha; widths are means over the channels, in 8-bit levels",
            ("Alpha", "Promised", "Covered", "Bootstrap 95% interval", "Exact 95% interval", "Mean width"),
            bodies,
        ),
    ]


def _widths(certificate: Mapping[str, Any]) -> list[ET.Element]:
    promises = (("curve", "all pixels together"), ("grouped", "every group by itself"))
    bodies = [
        (
            f"{heading}, promised for {promise}",
            [
                (f"{row['alpha']:g}", *(_levels(width) for width in (*row["widths"], row["width"])))
                for row in _of_mode(certificate[key], mode)
            ],
        )
        for key, promise in promises
        for mode, (heading, _) in _MODES.items()
    ]
    return [
        _element("h2", "Widths, by channel"),
        _element(
            "p",
            f"The share of test pixels by the width of their bands at alpha {certificate['alpha']:g}, each channel by"
            " itself. Green carries most of a colour's lightness, which is known, so less is left to guess of it.",
        ),
        _charts(_width_chart(channel, certificate["width_distribution"]) for channel in CHANNELS),
        _table(
            "Mean width of the bands, upper less lower bound, in 8-bit levels", ("Alpha", *CHANNELS, "Mean"), bodies
        ),
    ]


def _groups(certificate: Mapping[str, Any]) -> list[ET.Element]:
    strata, promised = certificate["strata"], 1 - certificate["alpha"]
    sections = [
        _element("h2", "Groups of pixels"),
        _element(
            "p",
            f"All pixels together are promised {_percent(promised)}; a group of them may be covered less. On request"
            " the promise is made to every group by itself, with wider bands: their figures stand beside the others."
            " That promise too is an average over photos, and small groups share it with a neighbour, while the figures"
            " count all test pixels of a group: they may lie below it. Groups follow from the grey photo and its"
            " colorization, never from the true colours.",
        ),
        _table(
            "All test pixels, with the bands promised to every group",
            ("Counted", "Alpha", "Covered", "Bootstrap 95% interval", "Mean width, 8-bit levels"),
            [("", [_grouped_row(row) for row in certificate["grouped"]])],
        ),
    ]
    for mode, (heading, noun) in _MODES.items():
        of_mode = _of_mode(strata, mode)
        sections += [_element("h3", heading), _worst_group(of_mode, noun)]
        grids = (("coverage", "all pixels"), ("grouped_coverage", "every group"))
        sections.append(_element("div", *(_grid(of_mode, key, to, promised) for key, to in grids), class_="pair"))
        sections.append(_strata_table(of_mode, [partition for partition in PARTITIONS if partition != _GRID]))
        sections.append(
            _element("details", _element("summary", f"The figures of {_GRID}"), _strata_table(of_mode, [_GRID]))
        )
    return sections


def _grouped_row(row: Mapping[str, Any]) -> Sequence[Content]:
    interval = _interval(row["coverage_low"], row["coverage_high"])
    return (
        _words(_MODES[row["mode"]][0]),
        f"{row['alpha']:g}",
        _percent(row["coverage"]),
        interval,
        _levels(row["width"]),
    )


def _worst_group(strata: Iterable[Mapping[str, Any]], noun: str) -> ET.Element:
    large = [row for row in strata if row["share"] >= _LEAST_SHARE]
    intro = f"Covered least, of the groups with at least {_percent(_LEAST_SHARE)} of the test pixels: "
    if not large:
        return _element("p", f"{intro}none.")
    worst = min(large, key=lambda row: row["coverage"])
    return _element(
        "p",
        intro,
        _element("strong", worst["group"]),
        f" ({worst['partition']}), {_percent(worst['coverage'])} of its {noun}"
        f" (95% interval {_interval(worst['low'], worst['high'])});"
        f" {_percent(worst['grouped_coverage'])} with the bands promised to every group."
        f" It makes up {_percent(worst['share'])} of the pixels.",
    )


def _grid(strata: Iterable[Mapping[str, Any]], key: str, to: str, promised: float) -> ET.Element:
    """Lightness by chroma as a heat map that is a table: tinted orange below the promise, blue above it."""
    found = {row["group"]: row[key] for row in strata if row["partition"] == _GRID}
    caption = f"Covered, promised to {to}: more tint, farther from {_percent(promised)}; orange below it, blue above"
    if not found:
        return _table(caption, (), [])
    columns = len(CHROMA_EDGES) + 1
    names = PARTITIONS[_GRID]
    labels = [name.split(", ") for name in names]  # the project's own names, not the file's
    header = _element("tr", _element("td"), *(_element("th", chroma, scope="col") for _, chroma in labels[:columns]))
    body = [
        _element(
            "tr",
            _element("th", labels[start][0], scope="row"),
            *(_grid_cell(found.get(name), promised) for name in names[start : start + columns]),
        )
        for start in range(0, len(names), columns)
    ]
    table = _element(
        "table",
        _caption(caption),
        _element("thead", header),
        _element("tbody", *body),
        class_="grid",
    )
    return _scroll(table, caption)


def _grid_cell(coverage: float | None, promised: float) -> ET.Element:
    if coverage is None:
        return _element("td", "–", class_="quiet")
    hue = "short" if coverage < promised else "ample"
    opacity = min(abs(coverage - promised) / _FULL_TINT, 1) * 0.55
    return _element("td", _percent(coverage), style=f"background: rgb(var(--{hue}) / {opacity:.2f})")


def _strata_table(strata: Sequence[Mapping[str, Any]], partitions: Iterable[str]) -> ET.Element:
    bodies = [
        (
            f"By {partition}",
            [
                (
                    _words(row["group"]),
                    _percent(row["share"]),
                    str(row["photos"]),
                    _percent(row["coverage"]),
                    _interval(row["low"], row["high"]),
                    _percent(row["grouped_coverage"]),
                )
                for row in strata
                if row["partition"] == partition
            ],
        )
        for partition in partitions
    ]
    header = (
        "Group",
        "Of all pixels",
        "Test photos",
        "Covered",
        "Bootstrap 95% interval",
        "Promised to every group",
    )
    return _table("Coverage of the test pixels in each group", header, bodies)


def _photos(certificate: Mapping[str, Any]) -> list[ET.Element]:
    likeness = certificate["likeness"]
    rows = [
        (
            _words(photo["title"], _element("small", photo["id"])),
            _percent(photo["coverage"]),
            _levels(photo["width"]),
        )
        for photo in certificate["worst_photos"]
    ]
    return [
        _element("h2", "Photos"),
        _element(
            "p",
            f"{_percent(likeness['share'])} of the test photos are unlike the calibration photos (p-value at most"
            f" {likeness['below']:g}); of photos drawn alike, about {_percent(likeness['below'])} would be."
            " Where far more of your photos are, the promise may not hold for them.",
        ),
        _table(
            f"The test photos covered least, at alpha {certificate['alpha']:g}, each channel by itself",
            ("Photo", "Covered", "Mean width, 8-bit levels"),
            [("", rows)],
        ),
    ]


def _made_of(description: Mapping[str, Any]) -> list[ET.Element]:
    photos, merged = description["photos"], description["merged"]
    facts = [
        ("Calibration photos", str(photos)),
        ("Test photos", str(description["certificate"]["test_photos"])),
        ("Smallest alpha", f"{_percent(description['smallest_alpha'])} (1/{photos + 1})"),
    ]
    return [
        _element("h2", "What calibrated it"),
        _table("Photos and alpha", ("What", "Figure"), [("", facts)]),
        _table(
            "Groups with too few photos for a promise of their own, and the group that stands for each",
            ("Group", "Stands for it"),
            [("", [(_words(group), into) for group, into in merged.items()])],
        ),
        _element(
            "details",
            _element("summary", "How many calibration photos show each group"),
            _table(
                "Calibration photos by group",
                ("Group", "Photos"),
                [("", [(_words(group), str(count)) for group, count in description["groups"].items()])],
            ),
        ),
        _element("h2", "What it belongs to"),
        _element(
            "div",
            _table(
                "SHA-256 of each part",
                ("Part", "SHA-256"),
                [("", [(part, _element("code", description[key])) for key, part in _HASHES.items()])],
            ),
            id="hashes",
        ),
    ]


@dataclass(frozen=True)
class _Axes:
    """A chart's axes: from their least to their greatest value, in the chart's own units."""

    x: tuple[float, float]
    y: tuple[float, float]
    size: tuple[int, int]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the drawing; the margins hold ticks and names."""
        width, height = self.size
        right = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return 44 + right * (width - 62), height - 42 - up * (height - 70)

    def path(self, points: Iterable[tuple[float, float]], **attributes: str) -> ET.Element:
        """A line through points."""
        steps = (f"{x:.1f} {y:.1f}" for x, y in (self.place(*point) for point in points))
        return _element("path", d="M" + "L".join(steps), **attributes)

    def frame(self, x_name: str, y_name: str, unit: str = "") -> list[ET.Element]:
        """Rules, ticks and names; the unit follows each number of y."""
        parts = []
        for value in _ticks(*self.y):
            (left, at), (right, _) = self.place(self.x[0], value), self.place(self.x[1], value)
            parts.append(
                _element("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=f"{at:.1f}", y2=f"{at:.1f}", class_="rule")
            )
            parts.append(_text(f"{value:g}{unit}", left - 6, at + 4, "end"))
        for value in _ticks(*self.x):
            at, bottom = self.place(value, self.y[0])
            parts.append(_text(f"{value:g}", at, bottom + 16, "middle"))
        middle = self.place((self.x[0] + self.x[1]) / 2, self.y[0])
        return [*parts, _text(x_name, middle[0], middle[1] + 34, "middle"), _text(y_name, 0, 12, "start")]


def _coverage_chart(mode: str, curve: Sequence[Mapping[str, Any]]) -> ET.Element:
    """Measured against promised coverage of one mode, in percent; both charts share their axes."""
    heading, rows = _MODES[mode][0], sorted(_of_mode(curve, mode), key=lambda row: -row["alpha"])
    if not rows:
        return _figure(heading, _element("p", "none"))
    least = 10 * math.floor(10 * min(min(1 - row["alpha"], row["exact_low"]) for row in curve))
    axes = _Axes((least, 100), (least, 100), (340, 300))
    promised = [100 * (1 - row["alpha"]) for row in rows]
    low, measured, high = (
        [(at, 100 * row[key]) for at, row in zip(promised, rows, strict=True)]
        for key in ("exact_low", "coverage", "exact_high")
    )
    dots = (axes.place(*point) for point in measured)
    return _figure(
        heading,
        _drawing(
            f"coverage-{mode}",
            f"{heading}: measured coverage against promised coverage, {promised[0]:.1f}% to {promised[-1]:.1f}%",
            axes,
            *axes.frame("promised, %", "measured", "%"),
            axes.path([*low, *reversed(high)], class_="exact"),
            axes.path([(least, least), (100, 100)], class_="promised"),
            axes.path(measured, class_="measured"),
            *(_element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_="dot") for x, y in dots),
        ),
    )


def _width_chart(channel: str, distribution: Mapping[str, Sequence[float]]) -> ET.Element:
    """Histogram of one channel's widths, as shares per level, so that bins of any width compare."""
    edges, shares = distribution["edges"], distribution[channel]
    if not shares:
        return _figure(channel, _element("p", "none"))
    bins = list(pairwise(edges))
    densities = {
        name: [100 * share / (high - low) for (low, high), share in zip(bins, distribution[name], strict=True)]
        for name in CHANNELS
    }
    # All channels share the scale, which ends at a tick; shares that are all 0 still need one.
    greatest = max(max(values) for values in densities.values()) or 1
    step = _step(0, greatest)
    axes = _Axes((edges[0], edges[-1]), (0, step * math.ceil(greatest / step)), (280, 210))
    steps = [
        point
        for (low, high), density in zip(bins, densities[channel], strict=True)
        for point in ((low, density), (high, density))
    ]
    commonest, _ = max(zip(bins, shares, strict=True), key=lambda bin_and_share: bin_and_share[1])
    return _figure(
        channel,
        _drawing(
            f"widths-{channel}",
            f"{channel}: share of test pixels by width of the band, in levels;"
            f" most often {commonest[0]:g} to {commonest[1]:g}",
            axes,
            *axes.frame("width, 8-bit levels", "of pixels, per level", "%"),
            axes.path([(edges[0], 0), *steps, (edges[-1], 0)], style=f"fill: var(--{channel})"),
        ),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of the step from the first value to the last."""
    step = _step(low, high)
    return [step * at for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _step(low: float, high: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that parts an axis into `_MOST_PARTS` at most."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_PARTS))
    return next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= _MOST_PARTS + 1e-9)


def _legend() -> ET.Element:
    marks = {
        "measured": _element("line", x1="0", x2="28", y1="6", y2="6", class_="measured"),
        "exact 95% interval": _element("rect", width="28", height="12", class_="exact"),
        "promised": _element("line", x1="0", x2="28", y1="6", y2="6", class_="promised"),
    }
    entries = (
        _element("span", _element("svg", mark, viewBox="0 0 28 12", aria_hidden="true"), name)
        for name, mark in marks.items()
    )
    return _element("p", *entries, class_="legend")


def _charts(figures: Iterable[ET.Element]) -> ET.Element:
    return _element("div", *figures, class_="charts")


def _figure(caption: str, content: ET.Element) -> ET.Element:
    return _element("figure", _element("figcaption", caption), content)


def _drawing(key: str, title: str, axes: _Axes, *parts: ET.Element) -> ET.Element:
    """An SVG that is read aloud as one picture, by its title."""
    width, height = axes.size
    name = _element("title", title, id=key)
    return _element("svg", name, *parts, viewBox=f"0 0 {width} {height}", role="img", aria_labelledby=key)


def _text(content: str, x: float, y: float, anchor: str) -> ET.Element:
    return _element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _table(caption: str, header: Sequence[str], bodies: Sequence[tuple[str, Rows]]) -> ET.Element:
    """A table whose rows begin with their heading, in bodies that may have a heading too; without rows a sentence."""
    parts = []
    for heading, rows in bodies:
        if not rows:
            continue
        lines = [_element("tr", _element("th", heading, scope="rowgroup", colspan=str(len(header))))] if heading else []
        for first, *others in rows:
            lines.append(_element("tr", _element("th", first, scope="row"), *(_element("td", cell) for cell in others)))
        parts.append(_element("tbody", *lines))
    if not parts:
        return _element("p", f"{caption}: none.")
    headings = (_element("th", name, scope="col") if name else _element("td") for name in header)
    head = _element("thead", _element("tr", *headings))
    return _scroll(_element("table", _caption(caption), head, *parts), caption)


def _caption(text: str) -> ET.Element:
    """Stays in sight while its table is moved."""
    return _element("caption", _element("span", text))


def _words(*content: Content) -> ET.Element:
    """A row's heading that has words rather than a number, and is given the room."""
    return _element("span", *content)


def _scroll(table: ET.Element, name: str) -> ET.Element:
    """A frame in which a table that is too wide for a phone can be moved, by keys too."""
    return _element("div", table, class_="scroll", role="region", aria_label=name, tabindex="0")


def _element(tag: str, *content: Content, **attributes: str) -> ET.Element:
    """An element; an attribute's name is written with _ for -, and with a last _ where Python reserves it."""
    element = ET.Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    for part in content:
        if isinstance(part, ET.Element):
            element.append(part)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + part
        else:
            element.text = (element.text or "") + part
    return element


def _of_mode(rows: Iterable[Mapping[str, Any]], mode: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["mode"] == mode]


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _interval(low: float, high: float) -> str:
    return f"{_percent(low)} to {_percent(high)}"


def _levels(width: float) -> str:
    return f"{width:.1f}"
