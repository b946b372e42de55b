"""The report of a calibration: what its bands reached on the test photos, in figures and pictures."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from huebands.conformal.calibration import Calibration
from huebands.conformal.summary import curve_rows, metrics_of
from huebands.files import atomic
from huebands.plots.bands import BandStrip, draw_heatmaps
from huebands.plots.pictures import draw_coverage


def write_report(folder: Path, calibration: Calibration, strips: Sequence[BandStrip]) -> None:
    """Write metrics.json, coverage.csv, coverage.png and heatmaps.png.

    Args:
        folder: of the report, replaced as a whole.
        calibration: with its certificate.
        strips: photos whose bands are shown.
    """
    rows, tests = curve_rows(calibration.certificate), calibration.certificate["test_photos"]
    with atomic.replace_folder(folder) as new:
        atomic.write_text(new / "metrics.json", json.dumps(metrics_of(calibration), indent=2, allow_nan=False) + "\n")
        atomic.write_text(new / "coverage.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
        draw_coverage(new / "coverage.png", rows, f"{calibration.photos} calibration photos, {tests} test photos")
        draw_heatmaps(new / "heatmaps.png", strips, calibration.certificate["alpha"])
