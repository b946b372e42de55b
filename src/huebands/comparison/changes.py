"""What a branch or a training changes, as Markdown: the certificate's verdict, metrics and pictures (`make changes`).

    python -m huebands.comparison.changes BASE [RAW]

BASE is the commit to compare with. RAW is the address of the repository's files by commit, such as
https://github.com/OWNER/NAME/raw; with it, pictures that differ are shown beside those of BASE.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from huebands.comparison.experiments import ExperimentError, run_dvc, run_git
from huebands.package import schema
from huebands.package.documents.certificate import PROMISE, promise_rows, rows_at_alpha
from huebands.package.documents.templates import markdown_row
from huebands.registry.reports import StageFolders, read_report

CALIBRATIONS = {  # what to put behind a row's heading, and the file
    "": StageFolders().calibration / schema.CALIBRATION[1],
    ", on photos with hints": StageFolders().calibration / schema.HINTS_CALIBRATION[1],
}
PICTURES = (
    Path("reports/evaluate/sheet.png"),
    Path("reports/calibrate/coverage.png"),
    Path("reports/calibrate/heatmaps.png"),
)
_HEAD = 2  # lines of a table above its rows
_LEAST_P = 0.05  # of the exact test; a smaller one speaks against the promise

Certificates = Mapping[str, Mapping[str, Any]]  # by the keys of `CALIBRATIONS`


def main(base: str, raw: str = "") -> None:
    """Print what the tree changes against a commit; exits with one line when git or DVC fails."""
    try:
        print("\n\n".join(describe_changes(_short(base), raw)))
    except (ExperimentError, OSError) as error:
        raise SystemExit(f"changes: {error}") from error


def _short(commit: str) -> str:
    """The start of a full hash; names such as "HEAD~1" stay."""
    return commit[:12] if re.fullmatch("[0-9a-f]{40}", commit) else commit


def describe_changes(base: str, raw: str = "") -> list[str]:
    """Describe what the tree changes.

    Args:
        base: a commit.
        raw: address of the repository's files by commit; "": pictures are named only.

    Returns:
        The blocks of the Markdown text.

    Raises:
        ExperimentError: when git or DVC fails.
        OSError: when the calibration cannot be read.
    """
    metrics = run_dvc("metrics", "diff", "--md", "--precision", "4", base).strip()
    return [
        *_certificate(base),
        "## Metrics",
        metrics if len(metrics.splitlines()) > _HEAD else f"No metric differs from `{base}`.",
        "## Pictures",
        *_pictures(base, raw),
    ]


def _certificate(base: str) -> list[str]:
    listed = run_git("ls-tree", "--name-only", base, "--", *map(Path.as_posix, CALIBRATIONS.values())).splitlines()
    now = _read(lambda path: read_report(path) if path.exists() or path == CALIBRATIONS[""] else None)
    before = _read(
        lambda path: json.loads(run_git("show", f"{base}:{path.as_posix()}")) if path.as_posix() in listed else None
    )
    return describe_certificates(now, before, base)


def _read(read: Callable[[Path], Any]) -> Certificates:
    """The certificates of the calibrations that are there."""
    contents = {where: read(path) for where, path in CALIBRATIONS.items()}
    return {where: content["certificate"] for where, content in contents.items() if content is not None}


def describe_certificates(now: Certificates, before: Certificates, base: str) -> list[str]:
    """Describe what the certificates say, beside those of a commit.

    Args:
        now: sections `certificate` of the calibrations.
        before: those of the commit; empty where it has no calibrated model.
        base: the commit.
    """
    blocks = ["## Certificate", _verdict(now)]
    if before == now:
        return [*blocks, f"The certificate is that of `{base}`.", _table({"here": now})]
    if not before:
        return [*blocks, f"`{base}` has no calibrated model.", _table({"here": now})]
    return [*blocks, _table({f"`{base}`": before, "here": now})]


def _verdict(certificates: Certificates) -> str:
    """Whether one of the tests at the certificates' alpha speaks against a promise, corrected for their number."""
    at = f"At alpha {certificates['']['alpha']:g}"
    rows = [row for certificate in certificates.values() for row in rows_at_alpha(certificate)]
    tests = [row["p_value"] for row in rows if "p_value" in row]
    if not tests:
        return f"{at} the promise was measured on no test photo."
    p = min(1.0, len(tests) * min(tests))
    says = "speaks against the promise" if p <= _LEAST_P else "does not speak against the promise"
    return f"{at} the exact test {says} (p {p:.3g}, corrected for {len(tests)} tests)."


def _table(models: Mapping[str, Certificates]) -> str:
    rows = [
        (f"{heading}{where}", *cells, model)
        for model, certificates in models.items()
        for where, certificate in certificates.items()
        for heading, *cells in promise_rows(certificate)
    ]
    rows.sort(key=lambda row: row[0])  # stable: the modes together, the commit before what is here
    head = (*PROMISE, "Model")
    return "\n".join(map(markdown_row, (head, ["---"] * len(head), *rows)))


def _pictures(base: str, raw: str) -> list[str]:
    changed = [picture for picture in PICTURES if run_git("diff", "--name-only", base, "--", picture.as_posix())]
    if not changed:
        return [f"No picture differs from `{base}`."]
    if not raw:
        return ["\n".join(f"- {picture.as_posix()}" for picture in changed)]
    commits = [run_git("rev-parse", commit).strip() for commit in (base, "HEAD")]
    rows = [[f"![{path}]({raw}/{commit}/{path})" for commit in commits] for path in map(Path.as_posix, changed)]
    return ["\n".join(map(markdown_row, ((f"`{base}`", "here"), ("---", "---"), *rows)))]


if __name__ == "__main__":
    main(*sys.argv[1:])
