"""The table of `samples.py`: which row is the narrowest valid band."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bands import OWN, RESPLIT
from huebands.conformal.guarantee import MODES, Mode
from huebands.statistics.holm import holm
from sample_bands import DENSITY

LEAST_P = 0.05  # of a valid row, corrected for the number of all
Rows = Sequence[Mapping[str, Any]]


def correct(rows: Sequence[dict[str, Any]]) -> None:
    """Add the p-values that Holm's method corrects for the number of all."""
    tested = [(row, mode) for row in rows for mode in MODES if math.isfinite(row[f"{mode}_p"])]
    for (row, mode), p in zip(tested, holm([row[f"{mode}_p"] for row, mode in tested]), strict=True):
        row[f"{mode}_p_holm"] = p


def narrowest_valid(rows: Rows, mode: Mode) -> Mapping[str, Any] | None:
    """The row of the own split with the narrowest bands among those whose promise is not found broken; None: none."""
    return min(valid_rows(rows, mode), key=lambda row: float(row[f"{mode}_width"]), default=None)


def valid_rows(rows: Rows, mode: Mode) -> Rows:
    """The rows of the own split whose promise is not found broken."""
    return [row for row in rows if row["study"] == OWN and row[f"{mode}_p_holm"] >= LEAST_P]


def print_report(rows: Rows, metadata: Mapping[str, Any]) -> None:
    """Print what was measured, the table and its answer, as Markdown."""
    for label, package in metadata["packages"].items():
        print(f"{label}: " + "; ".join(f"{name} {value}" for name, value in package.items()))
    print("; ".join(f"{name} {value}" for name, value in metadata.items() if name != "packages"), end="\n\n")
    for line in table(rows, metadata["packages"]):
        print(line)
    print("\nIn brackets: means over the re-splits. Bold: the narrowest valid band of each package.")
    for label, package in metadata["packages"].items():
        if not package["made of these data"]:
            print(f"\\* {label} was made of other data: its figures hold if it was trained on none of these photos.")
    for mode in MODES:
        print(answer(rows, mode))
    for row in rows:
        if row["refused"]:
            print(f"{row['name']}, {row['study']}: {row['refused']}")


def table(rows: Rows, packages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The lines of the table: one row a package and score."""
    columns = ["package", "bands", "chosen on val"]
    columns += [f"{name}, {mode}" for mode in MODES for name in ("width", "to the density's")]
    columns += [f"{name}, {mode}" for mode in MODES for name in ("covered", "p", "least covered cell")]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    resplits = {row["name"]: row for row in rows if row["study"] == RESPLIT}
    for row in rows:
        if row["study"] != OWN:
            continue
        label, resplit = row["package"], resplits[row["name"]]
        of_package = [other for other in rows if other["package"] == label]
        cells = [label + ("" if packages[label]["made of these data"] else " \\*"), row["score"], row["setting"]]
        for mode in MODES:
            mark = "**" if narrowest_valid(of_package, mode) is row else ""
            cells.append(f"{mark}{row[f'{mode}_width']:.1f}{mark} ({resplit[f'{mode}_width']:.1f})")
            is_density = row["score"] == DENSITY
            cells.append("" if is_density else f"{to_density(row, mode)} ({resplit[f'{mode}_relative']:+.1%})")
        for mode in MODES:
            cells.append(f"{row[f'{mode}_coverage']:.1%} ({resplit[f'{mode}_coverage']:.1%})")
            cells.append(f"{row[f'{mode}_p']:.2g}")
            least, error = row[f"{mode}_cell_least"], row[f"{mode}_cell_least_error"]
            cells.append(f"{least:.1%} ± {100 * error:.1f} ({resplit[f'{mode}_cell_least']:.1%})")
        yield f"| {' | '.join(cells)} |"


def to_density(row: Mapping[str, Any], mode: Mode) -> str:
    """A row's width relative to the density's, with its interval."""
    low, high = row[f"{mode}_relative_low"], row[f"{mode}_relative_high"]
    return f"{row[f'{mode}_relative']:+.1%} [{low:+.1%}, {high:+.1%}]"


def answer(rows: Rows, mode: Mode) -> str:
    """The sentence that names the narrowest valid band of all packages."""
    first = narrowest_valid(rows, mode)
    if first is None:
        return f"{mode}: no row is valid."
    valid_names = {row["name"] for row in valid_rows(rows, mode)}
    resplits = [row for row in rows if row["study"] == RESPLIT and row["name"] in valid_names]
    over_resplits = min(resplits, key=lambda row: float(row[f"{mode}_width"]))
    compared = ""
    if first["score"] != DENSITY:
        compared = f", {to_density(first, mode)} to the density's of the same package"
    return (
        f"{mode}: the narrowest valid bands are {first['name']}, {first[f'{mode}_width']:.1f} levels wide"
        f"{compared}; over the re-splits {over_resplits['name']}, {over_resplits[f'{mode}_width']:.1f} levels."
    )
