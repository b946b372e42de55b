"""What a branch changes against a commit: the certificate's verdict, metrics and pictures, as Markdown."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from huebands.comparison import changes
from huebands.comparison.changes import CALIBRATIONS, PICTURES, describe_certificates, describe_changes

ROOT = Path(__file__).parents[2]
METRICS = Path("reports/calibrate/metrics.json")
RAW = "https://example.org/huebands/raw"
CALIBRATION, HINTED = CALIBRATIONS.values()
CERTIFICATE = json.loads((ROOT / CALIBRATION).read_text(encoding="utf-8"))["certificate"]


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the project's figures, as the current folder; HEAD~1 has no model."""
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main")
    run("git", "config", "user.email", "test@example.org")
    run("git", "config", "user.name", "test")
    run(sys.executable, "-m", "dvc", "init", "-q")
    Path("dvc.yaml").write_text(yaml.safe_dump({"metrics": [METRICS.as_posix()]}))
    commit()
    for path in (METRICS, *PICTURES):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, path)
    for path, coverage in ((CALIBRATION, 0.891), (HINTED, 0.892)):
        write_calibration(path, with_coverage(CERTIFICATE, coverage))
    commit()
    return tmp_path


def commit() -> None:
    run("git", "add", ".")
    run("git", "commit", "-qm", "changed")


def edit_json(path: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_calibration(path: Path, certificate: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"certificate": certificate}), encoding="utf-8")


def with_coverage(certificate: dict[str, Any], coverage: float) -> dict[str, Any]:
    """The certificate with other coverage."""
    return {**certificate, "curve": [{**row, "coverage": coverage} for row in certificate["curve"]]}


def with_p(certificate: dict[str, Any], *p_values: float) -> dict[str, Any]:
    """The certificate with other results of the tests at its alpha."""
    rows, given = [dict(row) for row in certificate["curve"]], iter(p_values)
    for row in rows:
        if row["alpha"] == certificate["alpha"]:
            row["p_value"] = next(given)
    return {**certificate, "curve": rows}


def test_what_has_not_changed_is_said(repository: Path) -> None:
    text = "\n".join(describe_changes("HEAD", RAW))
    assert "The certificate is that of `HEAD`." in text
    assert "No metric differs from `HEAD`." in text and "No picture differs from `HEAD`." in text
    assert "![" not in text


def test_a_branch_is_shown_beside_its_base(repository: Path) -> None:
    base = run("git", "rev-parse", "HEAD")
    edit_json(METRICS, lambda metrics: metrics["per_channel"].update(coverage=0.5))
    write_calibration(CALIBRATION, with_coverage(CERTIFICATE, 0.123))
    (picture := PICTURES[1]).write_bytes(b"another picture")
    commit()
    head = run("git", "rev-parse", "HEAD")
    text = "\n".join(describe_changes(base, RAW))
    assert "per_channel.coverage" in text and "0.5" in text
    for heading, coverage in (
        ("Each channel's values", ["89.1%", "12.3%"]),
        ("Each channel's values, on photos with hints", ["89.2%", "89.2%"]),
    ):
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith(f"| {heading} | 90.0%")]
        assert [row[2] for row in rows] == coverage
        assert [row[-1] for row in rows] == [f"`{base}` |", "here |"]
    shown = [line for line in text.splitlines() if "![" in line]
    assert shown == [f"| ![{picture}]({RAW}/{base}/{picture}) | ![{picture}]({RAW}/{head}/{picture}) |"]
    assert f"- {picture}" in "\n".join(describe_changes(base)).splitlines(), "without an address it is named"


def test_a_base_without_a_model_is_told(repository: Path) -> None:
    text = "\n".join(describe_changes("HEAD~1"))
    assert "`HEAD~1` has no calibrated model." in text
    assert all(f"- {picture}" in text for picture in PICTURES)


@pytest.mark.parametrize(
    ("p_values", "says"),
    [
        ((0.02, 0.9), "speaks against the promise (p 0.04, corrected for 2 tests)"),
        ((0.9, 0.03), "does not speak against the promise (p 0.06, corrected for 2 tests)"),
        ((0.9, 0.7), "does not speak against the promise (p 1, corrected for 2 tests)"),
    ],
)
def test_the_verdict_allows_for_the_number_of_tests(p_values: tuple[float, float], says: str) -> None:
    blocks = describe_certificates({"": with_p(CERTIFICATE, *p_values)}, {"": CERTIFICATE}, "main")
    assert blocks[1] == f"At alpha 0.1 the exact test {says}."


def test_a_promise_that_is_broken_with_hints_alone_is_told() -> None:
    now = {"": with_p(CERTIFICATE, 0.5, 0.9), ", on photos with hints": with_p(CERTIFICATE, 0.01, 0.9)}
    blocks = describe_certificates(now, {}, "main")
    says = "speaks against the promise (p 0.04, corrected for 4 tests)"
    assert blocks[1] == f"At alpha 0.1 the exact test {says}."


def test_a_certificate_without_tests_promises_and_shows_no_measurement() -> None:
    curve = [{key: value for key, value in row.items() if key != "p_value"} for row in CERTIFICATE["curve"]]
    blocks = describe_certificates({"": {**CERTIFICATE, "curve": curve}}, {}, "main")
    assert blocks[1] == "At alpha 0.1 the promise was measured on no test photo."


def test_a_commit_is_named_by_the_start_of_its_hash(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = run("git", "rev-parse", "HEAD")
    changes.main(base)
    assert f"No metric differs from `{base[:12]}`." in capsys.readouterr().out


def test_an_unknown_base_ends_in_one_line(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^changes: `dvc metrics diff .* nowhere` failed with exit code"):
        changes.main("nowhere")
