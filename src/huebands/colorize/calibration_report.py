"""The report of a calibration: what its bands reached on the test photos, in figures and pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from huebands.conformal.calibration import Calibration
from huebands.conformal.summary import curve_rows, metrics_of
from huebands.files import atomic
from huebands.plots.bands import BandStrip, draw_heatmaps
from huebands.plots.pictures import draw_coverage


def write_report(folder: Path, measured: Sequence[tuple[Calibration, Sequence[BandStrip]]]) -> None:
    """Write metrics.json, coverage.csv, coverage.png and heatmaps.png.

    Those of photos with hints are the section "hints" of metrics.json, and files whose names end in -hints.

    Args:
        folder: of the report, replaced as a whole.
        measured: the calibration without hints and maybe one with hints, each with its certificate and with the photos
            whose bands are shown.
    """
    metrics: dict[str, Any] = {}
    with atomic.replace_folder(folder) as new:
        for calibration, strips in measured:
            rows, tests = curve_rows(calibration.certificate), calibration.certificate["test_photos"]
            ending, section = ("", metrics) if calibration.law is None else ("-hints", metrics.setdefault("hints", {}))
            section |= metrics_of(calibration)
            table, about = pd.DataFrame(rows), f"{calibration.photos} calibration photos, {tests} test photos"
            atomic.write_text(new / f"coverage{ending}.csv", table.to_csv(index=False, lineterminator="\n"))
            draw_coverage(new / f"coverage{ending}.png", rows, about)
            draw_heatmaps(new / f"heatmaps{ending}.png", strips, calibration.certificate["alpha"])
        atomic.write_text(new / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n")
