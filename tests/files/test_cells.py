"""Tables that people open in a spreadsheet hold no formula, whatever the photos are called."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from huebands.comparison import table
from huebands.comparison.compare import compare
from huebands.files.cells import cell
from tiny_photos import PlainScorer, painter, photo_set

SOURCES = Path(__file__).parents[2] / "src/huebands"
# Their tables have columns of ours, and numbers or words of ours below them.
WITHOUT_NAMES = {"colorize/calibration_report.py", "data/dataset.py", "training/report.py"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "=HYPERLINK(0)"])
def test_a_text_like_a_formula_becomes_plain_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, -0.5, np.float64(-2.5), None, True, "cat.jpg", "a=b", "", "'=1"])
def test_numbers_and_other_texts_stay(value):
    assert cell(value) is value


def test_a_table_of_numbers_stays_as_it_is():
    frame = pd.DataFrame({"name": ["a"], "value": [-0.1234], "count": [-3], "missing": [np.nan]})
    assert frame.map(cell).to_csv(index=False) == frame.to_csv(index=False)


def test_the_table_of_a_comparison_holds_no_formula():
    photos = photo_set(1)
    photos = replace(photos, photos=(replace(photos.photos[0], name='=cmd|"/c calc"!A1.png'),))
    comparison = compare(photos, [painter("@shift", -3)], PlainScorer(), lambda line: None)
    header, row = csv.reader(io.StringIO(table.to_csv(comparison)))
    assert row[:2] == ['\'=cmd|"/c calc"!A1.png', "'@shift"]
    assert all(np.isfinite(float(figure)) for figure in row[2:]) and len(row) == len(header)


def test_every_table_with_names_of_files_is_written_by_cells():
    writers = {
        path.relative_to(SOURCES).as_posix(): text
        for path in SOURCES.rglob("*.py")
        if any(
            word in (text := path.read_text(encoding="utf-8")) for word in ("csv.writer", "csv.DictWriter", ".to_csv(")
        )
    }
    assert writers.keys() > WITHOUT_NAMES
    careless = {name for name, text in writers.items() if "import cell\n" not in text}
    assert careless == WITHOUT_NAMES, "write names of files through files/cells.py"
