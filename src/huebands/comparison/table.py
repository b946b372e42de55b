"""A comparison in figures: as JSON and CSV for machines, as Markdown and cells for people."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from huebands import __version__
from huebands.colorize.mark import VERSION_KEY
from huebands.comparison.candidates import TRUTH
from huebands.comparison.compare import Comparison
from huebands.files.cells import cell
from huebands.metrics.report import METRICS, OF_SETS, Estimate, Metric

ARROWS = {"higher": "↑", "lower": "↓", "": ""}
NOTES = (
    "Every candidate saw only the photos' grey of equal CIELAB lightness. ↑ higher is better, ↓ lower is better; the"
    " best of the candidates is marked.",
    "Ranges are 95% intervals over photos: how far a figure might lie from its value on other photos of the same kind.",
    "FID is biased on few photos: compare it within this table only. KID is not, and comes with its standard error.",
)


@dataclass(frozen=True)
class Cell:
    """A figure as text.

    Attributes:
        value: such as "10.11"; "" where there is none.
        spread: such as "9.02 to 11.3"; "" where there is none.
        best: whether no other candidate is better.
    """

    value: str
    spread: str = ""
    best: bool = False


def overall_cells(comparison: Comparison) -> dict[str, dict[str, Cell]]:
    """The figures over photos: {metric: {candidate: cell}}, with the truth's own."""
    table: dict[str, dict[str, Cell]] = {}
    for metric in METRICS:
        measured = {
            name: estimates[metric.key] for name, estimates in comparison.estimates.items() if metric.key in estimates
        }
        if not measured:
            continue
        values = {name: estimate.value for name, estimate in measured.items()}
        digits, best_names = _digits(values.values()), _best_names(metric, values)
        cells = {
            name: Cell(_format(estimate.value, digits), _spread(metric, estimate, digits), name in best_names)
            for name, estimate in measured.items()
        }
        if metric.key in comparison.truth:
            cells[TRUTH] = Cell(_format(comparison.truth[metric.key], digits))
        table[metric.key] = cells
    return table


def photo_cells(comparison: Comparison, index: int) -> dict[str, dict[str, Cell]]:
    """The figures of one photo: {metric: {candidate: cell}}, with the truth's own."""
    table: dict[str, dict[str, Cell]] = {}
    for metric in METRICS:
        if metric.key in OF_SETS:
            continue
        values = {name: scores[index].figures[metric.key] for name, scores in comparison.results.items()}
        digits, best_names = _digits(values.values()), _best_names(metric, values)
        cells = {name: Cell(_format(value, digits), best=name in best_names) for name, value in values.items()}
        truth = comparison.truths[index].figures
        if metric.key in truth:
            cells[TRUTH] = Cell(_format(truth[metric.key], digits))
        table[metric.key] = cells
    return table


def to_json(comparison: Comparison, hashes: Mapping[str, str]) -> str:
    """Write metrics.json; a figure that is infinite is null.

    Args:
        comparison: that is told.
        hashes: sha256 of the files beside it, by name.
    """
    metrics = {metric.key: metric for metric in METRICS}

    def figures(key: str, estimate: Estimate) -> dict[str, float | None]:
        return {name: metrics[key].rounded(value) for name, value in vars(estimate).items()}

    content = {
        VERSION_KEY: __version__,
        "files": dict(hashes),
        "photos": len(comparison.truths),
        "size": comparison.photos.size,
        "dataset": {"name": comparison.photos.name, "sha256": comparison.photos.sha256},
        TRUTH: {key: metrics[key].rounded(value) for key, value in comparison.truth.items()},
        "candidates": {
            name: {key: figures(key, estimate) for key, estimate in estimates.items()}
            for name, estimates in comparison.estimates.items()
        },
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Write photos.csv: one row for each photo and candidate."""
    metrics = [metric for metric in METRICS if metric.key not in OF_SETS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["photo", "candidate", *(metric.key for metric in metrics)])
    for index, photo in enumerate(comparison.photos.photos):
        for name, scores in comparison.results.items():
            figures = scores[index].figures
            writer.writerow(
                [cell(photo.name), cell(name), *(round(figures[metric.key], metric.decimals) for metric in metrics)]
            )
    return text.getvalue()


def to_markdown(comparison: Comparison) -> str:
    """Write table.md: a row for each candidate, a column for each metric."""
    cells = overall_cells(comparison)
    metrics = [metric for metric in METRICS if metric.key in cells]
    rows = [["", *(heading(metric) for metric in metrics)], ["---"] * (1 + len(metrics))]
    for name in (*comparison.estimates, TRUTH):
        rows.append([_escape(name), *(_markdown(cells[metric.key].get(name, Cell(""))) for metric in metrics)])
    lines = [f"# {_escape(comparison.photos.name)}: {summary(comparison)}", ""]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"{note}\n" for note in NOTES)]
    lines += [f"- {_escape(candidate.name)}: {_escape(candidate.description)}" for candidate in comparison.candidates]
    return "\n".join(lines) + "\n"


def summary(comparison: Comparison) -> str:
    """The number and size of the photos in words."""
    count, size = len(comparison.truths), comparison.photos.size
    colourless = len(comparison.photos.colourless)
    note = f", {colourless} without colour left out" if colourless else ""
    note += f", {len(comparison.photos.tinted)} tinted left out" if comparison.photos.tinted else ""
    return f"{count} photo{'s' if count > 1 else ''} of {size} x {size} pixels{note}"


def heading(metric: Metric) -> str:
    """A metric's name, unit and better direction, such as "PSNR, dB ↑"."""
    return f"{metric.name}{f', {metric.unit}' if metric.unit else ''}\u00a0{ARROWS[metric.better]}".strip()


def _best_names(metric: Metric, values: Mapping[str, float]) -> set[str]:
    """The candidates with the best value; none where neither direction is better."""
    if not metric.better:
        return set()
    best_value = (max if metric.better == "higher" else min)(values.values())
    return {name for name, value in values.items() if value == best_value}


def _digits(values: Iterable[float]) -> int:
    """The number of decimals that shows at least three digits of the largest value, the same for all."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0)
    return 2 if largest == 0 else min(max(2 - math.floor(math.log10(largest)), 2), 4)


def _format(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"


def _spread(metric: Metric, estimate: Estimate, digits: int) -> str:
    spread = f"{_format(estimate.low, digits)} to {_format(estimate.high, digits)}"
    return f"{spread}; s.e. {_format(estimate.standard_error, digits)}" if metric.key == "kid" else spread


def _markdown(cell: Cell) -> str:
    value = f"**{cell.value}**" if cell.best else cell.value
    return f"{value} ({cell.spread})" if cell.spread else value


def _escape(text: str) -> str:
    """Escape the signs that Markdown reads."""
    return "".join(f"\\{sign}" if sign in r"\`*_[]<>|#" else sign for sign in " ".join(text.split()))
