"""The model card: what a package is, its data, its figures and what it does not promise.

The text is in card.md.j2.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from huebands.data.params import SPLITS
from huebands.metrics.report import METRICS, in_words
from huebands.models.parameters import build
from huebands.models.params import ModelParams
from huebands.models.registry import network_class, objective_class
from huebands.package.documents.templates import interval, levels, percent, render

_MODES = {"per_channel": "each channel's values", "joint": "pixels, all channels at once"}

Row = tuple[object, ...]  # the cells of a row of a table


def write_card(
    config: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    calibration: Mapping[str, Any],
    photos: Sequence[Mapping[str, Any]],
    with_hints: Mapping[str, Any] | None = None,
) -> str:
    """Write the card as Markdown; equal arguments give equal text.

    Args:
        config: config of the package.
        evaluation: figures on the test split: {metric: {"model", "low", "high", "grey", ...: value}, "photos": n}.
        calibration: the content of calibration.json.
        photos: rows of the manifest, with split, source and licence.
        with_hints: the content of calibration-hints.json; None: the package has none.
    """
    lineage, certificate = config["lineage"], calibration["certificate"]
    model: ModelParams = build(ModelParams, lineage["params"]["model"])
    network = network_class(model.network.name)
    return render(
        "huebands.package.documents",
        "card.md.j2",
        config=config,
        size=config["preprocessing"]["image_size"],
        network=network.describe(model.network),
        judged_by_inception=network.judged_by_inception(model.network),
        objective=objective_class(model.objective.name).describe(model.objective),
        train=lineage["params"]["train"],
        lineage=lineage,
        calibration=calibration,
        evaluation=evaluation,
        splits=list(SPLITS),
        photos=_photos(photos),
        figures=_figures(evaluation),
        kid_error=in_words(evaluation["kid"]["standard_error"]) if "kid" in evaluation else "",
        coverage=[
            *(_coverage(_MODES[row["mode"]], row) for row in certificate["curve"]),
            *(_coverage(f"{_MODES[row['mode']]}, in each group", row) for row in certificate["grouped"]),
        ],
        least=_least_covered(certificate["strata"]),
        with_hints=with_hints,
        coverage_with_hints=[
            _coverage(_MODES[row["mode"]], row)
            for row in (with_hints or {"certificate": {"curve": ()}})["certificate"]["curve"]
        ],
    )


def _photos(photos: Sequence[Mapping[str, Any]]) -> list[Row]:
    """How many photos of each source and licence are in each split."""
    counts = Counter((str(photo["source"]), str(photo["licence"]), photo["split"]) for photo in photos)
    origins = sorted({(source, licence) for source, licence, _ in counts})
    return [(*origin, *(counts[*origin, split] for split in SPLITS)) for origin in origins]


def _figures(evaluation: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for metric in METRICS:
        if metric.key in evaluation:
            words = {name: in_words(value) for name, value in evaluation[metric.key].items()}
            ends = f"{words['low']} to {words['high']}"
            rows.append((metric.title, words["model"], ends, words["grey"], words.get("truth", "")))
    return rows


def _coverage(label: str, row: Mapping[str, Any]) -> Row:
    return (
        label,
        f"{row['alpha']:g}",
        percent(1 - row["alpha"]),
        percent(row["coverage"]),
        interval((row["coverage_low"], row["coverage_high"])),
        *(levels(width) for width in (row["width"], *row["widths"])),
    )


def _least_covered(strata: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The least covered group with at least 1% of the pixels."""
    groups = [row for row in strata if row["mode"] == "per_channel" and row["share"] >= 0.01]
    return min(groups, key=lambda row: float(row["coverage"]))
