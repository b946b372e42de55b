"""The charts of a certificate as SVG inside HTML, drawn by matplotlib; equal values give equal bytes.

A chart has no colour and no font of its own: the page's style sets them, in light and in dark. matplotlib is imported
while a chart is drawn.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from huebands.conformal.bands import CHANNELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A drawing is made in these colours, which are then replaced by the page's variables of the same names.
_COLOURS = {"line": "#1a63c7", "quiet": "#646464", "rule": "#dcdcdc", "R": "#c8453a", "G": "#3a8f4f", "B": "#3a6fc4"}
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 18, 28, 42  # margins of a chart, pixels
_FONT = 12  # pixels; the page's style has the same
_MOST_TICKS = 6


def draw_coverage(key: str, heading: str, rows: Sequence[Mapping[str, Any]], start: float) -> str:
    """Draw measured against promised coverage with its exact interval, in percent.

    Args:
        key: identifies the chart in its page.
        heading: text of the chart, for its title.
        rows: rows of the curve with alpha, coverage, exact_low and exact_high; at least one.
        start: start of both axes, percent.

    Returns:
        An svg element.
    """
    rows = sorted(rows, key=lambda row: -float(row["alpha"]))
    promised = [100 * (1 - row["alpha"]) for row in rows]
    low, measured, high = ([100 * row[name] for row in rows] for name in ("exact_low", "coverage", "exact_high"))
    axes = _axes((340, 300), "promised, %", "measured", (start, 100), (start, 100))
    colour = _COLOURS["line"]
    axes.fill_between(promised, low, high, color=colour, alpha=0.2, linewidth=0, clip_on=False)
    axes.plot([start, 100], [start, 100], color=_COLOURS["quiet"], linewidth=1.25, dashes=(4, 3.2), clip_on=False)
    axes.plot(promised, measured, "o-", color=colour, linewidth=2, markersize=6, markeredgewidth=0, clip_on=False)
    title = f"{heading}: measured coverage against promised coverage, {promised[0]:.1f}% to {promised[-1]:.1f}%"
    return _svg(axes, key, title)


def draw_widths(key: str, channel: str, distribution: Mapping[str, Sequence[float]]) -> str:
    """Draw the histogram of a channel's widths, as shares a level, so that bins of any width compare.

    Args:
        key: identifies the chart in its page.
        channel: "R", "G" or "B".
        distribution: edges of the bins in 8-bit levels, and the shares of each channel; the charts of all channels
            have the same scale.

    Returns:
        An svg element.
    """
    from matplotlib.ticker import MaxNLocator

    edges, shares = distribution["edges"], distribution[channel]
    bins = list(pairwise(edges))
    densities = {
        name: [100 * share / (high - low) for (low, high), share in zip(bins, distribution[name], strict=True)]
        for name in CHANNELS
    }
    greatest = max(max(values) for values in densities.values()) or 1
    top = float(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]).tick_values(0, greatest)[-1])
    axes = _axes((280, 210), "width, 8-bit levels", "of pixels, per level", (edges[0], edges[-1]), (0, top))
    axes.stairs(densities[channel], edges, fill=True, color=_COLOURS[channel], linewidth=0, clip_on=False)
    commonest = bins[max(range(len(bins)), key=lambda index: shares[index])]
    title = (
        f"{channel}: share of test pixels by width of the band, in levels;"
        f" most often {commonest[0]:g} to {commonest[1]:g}"
    )
    return _svg(axes, key, title)


def draw_reliability(key: str, rows: Sequence[Mapping[str, float]]) -> str:
    """Draw observed against predicted errors.

    Args:
        key: identifies the chart in its page.
        rows: parts of the pixels by rising prediction, with predicted and observed, in CIEDE2000; at least one.

    Returns:
        An svg element.
    """
    predicted, observed = ([row[name] for row in rows] for name in ("predicted", "observed"))
    end = max(*predicted, *observed, 1.0) * 1.05
    axes = _axes((340, 300), "expected, CIEDE2000", "observed", (0, end), (0, end), "%g")
    axes.plot([0, end], [0, end], color=_COLOURS["quiet"], linewidth=1.25, dashes=(4, 3.2), clip_on=False)
    colour = _COLOURS["line"]
    axes.plot(predicted, observed, "o-", color=colour, linewidth=2, markersize=6, markeredgewidth=0, clip_on=False)
    title = f"Observed against expected colour error, {predicted[0]:.1f} to {predicted[-1]:.1f} CIEDE2000"
    return _svg(axes, key, title)


def _axes(
    size: tuple[int, int], x_name: str, y_name: str, x_limits: tuple[float, float], y_limits: tuple[float, float],
    y_format: str = "%g%%",
) -> "Axes":  # fmt: skip
    """Make a figure of `size` pixels with horizontal rules; numbers of y are percentages unless formatted otherwise."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator

    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    sides = (width - _LEFT - _RIGHT) / width, (height - _TOP - _BOTTOM) / height
    axes = figure.add_axes((_LEFT / width, _BOTTOM / height, *sides), frameon=False)
    axes.set(xlim=x_limits, ylim=y_limits)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_COLOURS["rule"], linewidth=1, clip_on=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_major_formatter(FormatStrFormatter(y_format))
    axes.tick_params(bottom=False, left=False, labelsize=_FONT, pad=6)
    axes.set_xlabel(x_name, fontsize=_FONT, labelpad=6)
    figure.text(0, 1 - _FONT / height, y_name, fontsize=_FONT)
    return axes


def _svg(axes: "Axes", key: str, title: str) -> str:
    """Write a figure as an svg element with a title for screen readers."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    figure = axes.get_figure(root=True)
    assert figure is not None, "the axes were added to one"
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = ET.fromstring(buffer.getvalue())
    view = svg.attrib["viewBox"]
    referenced = {value[1:] for element in svg.iter() for name, value in element.items() if name.endswith("href")}
    for parent in list(svg.iter()):
        for child in list(parent):
            if _name(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in svg.iter():
        _embed(element, key, referenced)
    svg.attrib = {"viewBox": view, "role": "img", "aria-labelledby": key}
    heading = ET.Element("title", {"id": key})
    heading.text = title
    svg.insert(0, heading)
    ET.indent(svg, space="")
    text = ET.tostring(svg, encoding="unicode", method="html")
    for name, colour in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _embed(element: ET.Element, key: str, referenced: set[str]) -> None:
    """Remove namespaces, fonts and unused identifiers, and make the others unique in a page of many charts."""
    element.tag = _name(element.tag)
    element.attrib = {_name(name): value for name, value in element.items()}
    if (identifier := element.attrib.pop("id", None)) in referenced:
        element.set("id", f"{key}-{identifier}")
    if "href" in element.attrib:
        element.set("href", f"#{key}-{element.attrib['href'][1:]}")
    if element.tag == "text":
        anchor = re.search(r"text-anchor: \w+", element.get("style", ""))
        element.set("style", anchor[0] if anchor else "")
        del element.attrib["transform"]  # a rotation by 0 degrees


def _name(qualified: str) -> str:
    """A tag or an attribute without its namespace."""
    return qualified.rpartition("}")[2]
