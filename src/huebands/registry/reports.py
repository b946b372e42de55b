"""Reads what the stages report: JSON figures, and the history of a training or a fit."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.package.schema import HINTS_CALIBRATION

RUN, HISTORY, PICTURES = "run.json", "history.csv", "pictures.png"  # of a training's report
METRICS = "metrics.json"  # of a stage's report


@dataclass(frozen=True, kw_only=True)
class StageFolders:
    """Folders that the stages beside the training have filled."""

    raw: Path = Path("data/raw")
    prepared: Path = Path("data/prepared")
    validate: Path = Path("reports/validate")
    density: Path = Path("models/density")
    fit: Path = Path("reports/density")  # report of the density's fit
    evaluate: Path = Path("reports/evaluate")
    calibration: Path = Path("models/calibration")  # tables and certificate
    calibrate: Path = Path("reports/calibrate")


def read_report(path: Path) -> dict[str, Any]:
    """Read a JSON report of a stage.

    Raises:
        FileNotFoundError: naming the file and the remedy.
    """
    report: dict[str, Any] = json.loads(_read(path))
    return report


def find_hints_report(folders: StageFolders) -> dict[str, Any] | None:
    """Read the content of calibration-hints.json; None where the network takes no hints."""
    path = folders.calibration / HINTS_CALIBRATION[1]
    return read_report(path) if path.exists() else None


def read_history(folder: Path) -> list[dict[str, float]]:
    """Read the curves of a training or a fit, one row an epoch; empty values are left out.

    Raises:
        FileNotFoundError: naming the file and the remedy.
    """
    rows = csv.DictReader(_read(folder / HISTORY).splitlines())
    return [{key: float(value) for key, value in row.items() if value} for row in rows]


def count_rows(path: Path) -> int:
    """Count the rows of a CSV table, below its header.

    Raises:
        FileNotFoundError: naming the file and the remedy.
    """
    return sum(1 for _ in csv.DictReader(_read(path).splitlines()))


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found; `dvc repro` makes it")
    return path.read_text(encoding="utf-8")
