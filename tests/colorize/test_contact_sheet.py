"""The contact sheet: what is most worth a look comes first, names are shown as text, and links lead to the results."""

import re
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from huebands.colorize.contact_sheet import make_sheet
from huebands.colorize.manifest import Manifest, Record
from huebands.colorize.mark import is_result

NAME = "<b>&\udcff %.png"


@pytest.fixture
def manifest(tmp_path):
    manifest = Manifest.read(tmp_path)

    def add(name, **values):
        record = {"likeness": 0.5, "mean_width": 40.0, "width": 8, "height": 6, "own_colour": "none"} | values
        manifest.add(Record(photo=name, result=name, settings={}, **record))

    add("plain")
    add("wide", mean_width=70.0, expected_error=12.0)
    add("unlike", likeness=0.01)
    add("coloured", own_colour="colour")
    add("tinted", own_colour="tinted", mean_width=60.0)
    add("failed", error="failed: is empty", mean_width=None)
    Image.fromarray(np.full((60, 900, 3), 200, np.uint8)).save(tmp_path / f"{NAME}.colorized.png")
    (tmp_path / f"{NAME}.uncertainty.png").write_text("damaged")
    add(NAME, mean_width=1.0, files=(f"{NAME}.colorized.png", f"{NAME}.uncertainty.png", "gone.npz"))
    return manifest


def test_what_is_most_worth_a_look_comes_first(manifest):
    page = make_sheet(manifest, 0.05)
    names = re.findall("<h2>(.*?)</h2>", page)
    assert names == ["failed", "unlike", "tinted", "coloured", "wide", "plain", "&lt;b&gt;&amp;\\udcff %.png"]
    assert "failed: is empty" in page and "expected error 12.0" in page
    assert page.count("which was not used") == page.count("tinted, and taken") == page.count("(p = 0.010)") == 1


def test_links_lead_to_the_results_that_are_there(manifest, tmp_path):
    page = make_sheet(manifest, 0.05)
    links = re.findall('href="(.*?)"', page)
    assert [unquote(link, errors="surrogateescape") for link in links] == [
        f"{NAME}.colorized.png",
        f"{NAME}.uncertainty.png",
    ]
    assert page.count("<img") == 1, "the damaged picture is left out"
    assert "<b>" not in page


def test_the_page_is_a_result(manifest, tmp_path):
    (tmp_path / "huebands.html").write_text(make_sheet(manifest, 0.05), encoding="utf-8")
    assert is_result(tmp_path / "huebands.html")
    (tmp_path / "huebands.html").write_text("<!doctype html>\n<title>mine</title>")
    assert not is_result(tmp_path / "huebands.html")
