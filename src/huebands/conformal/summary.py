"""The figures of a calibration that are compared between runs: metrics.json and coverage.csv, as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from huebands.conformal.bands import CHANNELS
from huebands.conformal.calibration import Calibration

_LEAST_SHARE = 0.01  # of the pixels: a smaller cell is not named as the least covered


def metrics_of(calibration: Calibration) -> dict[str, Any]:
    """Sum up a calibration with its certificate, at the certificate's alpha."""
    certificate = calibration.certificate
    alpha = certificate["alpha"]
    figures = {
        "alpha": alpha,
        "photos": {"calibration": calibration.photos, "test": certificate["test_photos"]},
        "smallest_alpha": round(calibration.smallest_alpha, 6),
        "joint_offsets": dict(zip(CHANNELS, calibration.shape.joint_offsets, strict=True)),
        **{row["mode"]: _headline(row) for row in certificate["curve"] if row["alpha"] == alpha},
        "grouped": {row["mode"]: _headline(row) for row in certificate["grouped"]},
        "sources": _by_source(certificate["sources"]),
        "worst_stratum": _least_covered(certificate["strata"]),
        "unlike": certificate["likeness"]["share"],
        **_figures_of_maps(certificate["maps"]),
    }
    if (around := certificate.get("around_hints")) is not None:
        nearest = around[0]
        figures["nearest_to_hints"] = {key: nearest[key] for key in ("coverage", "width", "width_without")}
    return figures


def curve_rows(certificate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of coverage.csv: what was promised and what was measured, for each mode and alpha."""
    return [
        {
            "alpha": row["alpha"],
            "mode": row["mode"],
            "nominal": round(1 - row["alpha"], 10),
            "coverage": row["coverage"],
            "low": row["coverage_low"],
            "high": row["coverage_high"],
            "width": row["width"],
            **{f"width_{name}": width for name, width in zip(CHANNELS, row["widths"], strict=True)},
        }
        for row in certificate["curve"]
    ]


def sentences_of(calibration: Calibration) -> Iterator[str]:
    """Describe the coverage and the width of the bands of each mode, from the certificate."""
    certificate = calibration.certificate
    alpha, hints = certificate["alpha"], "" if calibration.law is None else "with hints, "
    rows = [(row["mode"], row) for row in certificate["curve"] if row["alpha"] == alpha]
    rows += [(f"{row['mode']}, each group", row) for row in certificate["grouped"]]
    for name, row in rows:
        yield (
            f"{hints}{name} at alpha {alpha:g}: covers {row['coverage']:.1%} "
            f"({row['coverage_low']:.1%} to {row['coverage_high']:.1%}), width {row['width']:.1f} of 255 levels"
        )


def _headline(row: Mapping[str, Any]) -> dict[str, Any]:
    widths = dict(zip(CHANNELS, row["widths"], strict=True))
    return {**{key: row[key] for key in ("coverage", "coverage_low", "coverage_high", "width")}, "widths": widths}


def _by_source(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """{source: {"photos": n, mode: its coverage, width and p-values}}."""
    summary = {row["source"]: {"photos": row["photos"]} for row in rows}
    for row in rows:
        summary[row["source"]][row["mode"]] = {key: row[key] for key in ("coverage", "width", "p_value", "p_holm")}
    return summary


def _figures_of_maps(maps: Mapping[str, Any]) -> dict[str, Any]:
    """For each map {"sparsification": {error: value}, "rank_correlation": ...}; "-" in its name becomes "_"."""
    figures: dict[str, Any] = {}
    for row in maps["rows"]:
        figures_of_map = figures.setdefault(row["map"].replace("-", "_"), {})
        for name in ("sparsification", "rank_correlation"):
            figures_of_map.setdefault(name, {})[row["error"]] = row[name]
    if "calibration_error" in maps:
        figures["expected_error"]["calibration_error"] = maps["calibration_error"]
    return figures


def _least_covered(strata: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The least covered cell of lightness and chroma, per_channel."""
    cells = [row for row in strata if row["mode"] == "per_channel" and row["partition"] == "lightness x chroma"]
    least_covered = min((row for row in cells if row["share"] >= _LEAST_SHARE), key=lambda row: row["coverage"])
    return {key: least_covered[key] for key in ("group", "coverage", "standard_error", "grouped_coverage")}
