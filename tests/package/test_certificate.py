"""The certificate's page: it needs no other file, reads no text as HTML, and shows every figure and hash."""

import copy
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from huebands.conformal.groups import PARTITIONS
from huebands.package.documents.certificate import write_page

VOID = {"meta"}
CONFIG = {"name": "photos", "lineage": {}}
HOSTILE = "</title></style><script>alert(1)</script> & \"quotes\" 'and' <!-- größe"
HASHES = ("tables_sha256", "weights_sha256", "distribution_sha256", "preprocessing_sha256", "data_sha256")
MODES = ("per_channel", "joint")
WORST = {"per_channel": "L 40 to 60, chroma from 35", "joint": "L 20 to 40, chroma 20 to 35"}


def curve_row(mode, alpha):
    coverage = 1 - alpha + 0.004
    widths = [15 / alpha**0.5, 9 / alpha**0.5, 21 / alpha**0.5]
    return {
        "mode": mode,
        "alpha": alpha,
        "steps": [40, 40, 40],
        "coverage": coverage,
        "coverage_low": coverage - 0.014,
        "coverage_high": min(coverage + 0.011, 1),
        "exact_low": coverage - 0.031,
        "exact_high": min(coverage + 0.024, 1),
        "p_value": alpha / 3,
        "width": sum(widths) / 3,
        "widths": widths,
    }


def stratum(mode, partition, group, index, count):
    coverage = 0.62 if group == WORST[mode] else 0.96 - 0.012 * (index % 9)
    return {
        "mode": mode,
        "partition": partition,
        "group": group,
        "share": 1 / count,
        "photos": 150 - 3 * index,
        "coverage": coverage,
        "low": coverage - 0.03,
        "high": min(coverage + 0.03, 1),
        "grouped_coverage": max(coverage, 0.9) + 0.004,
    }


def source_row(mode, source):
    """The second source is covered less."""
    short = source == "data/photos"
    coverage = 0.787 if short else 0.913
    return {
        "source": source,
        "mode": mode,
        "alpha": 0.1,
        "photos": 54 if short else 97,
        "coverage": coverage,
        "exact_low": coverage - 0.06,
        "exact_high": coverage + 0.04,
        "p_value": 0.00231 if short else 1.0,
        "p_holm": 0.00462 if short else 1.0,
        "width": 44.4,
    }


def certified():
    """The content of calibration.json; one group has no test pixels, and one too few to be named as least covered."""
    strata = [
        stratum(mode, partition, group, index, len(names))
        for mode in MODES
        for partition, names in PARTITIONS.items()
        for index, group in enumerate(names)
        if group != "L below 20, chroma from 35"
    ]
    for row in strata:
        if row["group"] == "L from 80, chroma from 35":
            row.update(share=0.0004, coverage=0.313, low=0.113, high=0.613)
    shares = [0.02, 0.1, 0.22, 0.25, 0.18, 0.1, 0.06, 0.04, 0.02, 0.01]
    return {
        "format": 2,
        **{key: f"{index:064x}" for index, key in enumerate(HASHES, start=0xABC)},
        "photos": 163,
        "smallest_alpha": 1 / 164,
        "shape": {"adaptivity": 0.5},
        "groups": {group: 160 - 4 * index for index, group in enumerate(sum(PARTITIONS.values(), ()))},
        "merged": {"L below 20, chroma from 35": "L below 20, chroma 20 to 35"},
        "certificate": {
            "alpha": 0.1,
            "test_photos": 151,
            "curve": [curve_row(mode, alpha) for mode in MODES for alpha in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)],
            "grouped": [{**curve_row(mode, 0.1), "coverage": 0.937} for mode in MODES],
            "sources": [source_row(mode, source) for mode in MODES for source in ("BIDS/BSDS500", "data/photos")],
            "strata": strata,
            "worst_photos": [
                {
                    "id": f"{index:016x}",
                    "title": f"A boat on the lake, {index}",
                    "coverage": 0.4 + 0.03 * index,
                    "width": 41.5,
                }
                for index in range(10)
            ],
            "width_distribution": {
                "edges": [0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256],
                "R": shares,
                "G": shares[::-1],
                "B": shares[5:] + shares[:5],
            },
            "likeness": {"below": 0.05, "share": 0.0662},
        },
    }


def with_maps(description, names=("expected-error", "width")):
    """Add what was measured of the maps of uncertainty."""
    figures = {"sparsification": 0.4321, "sparsification_low": 0.41, "sparsification_high": 0.46}
    figures |= {"rank_correlation": 0.4567, "rank_correlation_low": 0.43, "rank_correlation_high": 0.48}
    rows = [{"map": name, "error": error, "photos": 150, **figures} for name in names for error in ("ab", "ciede2000")]
    maps = {"rows": rows}
    if "expected-error" in names:
        bins = [{"share": 0.1, "predicted": 2.0 * index + 1.25, "observed": 2.0 * index + 1.5} for index in range(10)]
        maps |= {"reliability": bins, "calibration_error": 0.25}
    description["certificate"]["maps"] = maps
    return description


class Document(HTMLParser):
    """Reads a page, and fails at the first closing tag that does not match the last open one."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def read(description, name="photos", remark=""):
    return Document(write_page({"name": name, "lineage": {"remark": remark} if remark else {}}, description))


def test_tags_are_balanced_and_the_page_can_be_read_aloud():
    page = read(certified())
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == len(page.of("main")) == 1
    assert len(page.of("table")) == len(page.of("caption"))
    assert all(heading["scope"] in ("col", "row", "rowgroup") for heading in page.of("th"))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    drawings = [svg for svg in page.of("svg") if svg.get("role") == "img"]
    assert len(drawings) == 5, "coverage of two modes, widths of three channels"
    assert {svg["aria-labelledby"] for svg in drawings} <= set(identifiers)
    assert all("aria-hidden" in svg for svg in page.of("svg") if svg not in drawings)


def test_the_page_needs_no_other_file_or_host_and_no_script():
    text = write_page(CONFIG, certified())
    assert not re.search(r"https?:|//|url\(|@import|<script|\ssrc=|\shref=(?!\"#)", text)


def test_charts_have_all_that_they_refer_to_and_the_colours_of_the_page():
    page = read(certified())
    identifiers = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {use["href"][1:] for use in page.of("use")} <= identifiers
    styles = [attributes["style"] for _, attributes in page.tags if "style" in attributes]
    assert styles and not any("#" in style for style in styles)
    assert not any("font" in text["style"] for text in page.of("text"))


def test_equal_certificates_give_equal_pages():
    description = certified()
    before = copy.deepcopy(description)
    assert write_page(CONFIG, description) == write_page(CONFIG, certified())
    assert description == before


def test_package_and_service_load_neither_jinja2_nor_matplotlib():
    code = "import huebands.package.read, huebands.package.write, huebands.package.choose, huebands.colorize.colorizer"
    code += "; import sys; print([name for name in sys.modules if name.partition('.')[2] == 'package.documents'])"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout == "[]\n"
    code = "import huebands.package.documents.certificate, sys; print('matplotlib' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "False\n"


@pytest.mark.parametrize("place", ["name", "remark", "title", "id", "group", "merged", "hash"])
def test_no_text_is_read_as_html(place):
    description, name, remark = certified(), "photos", ""
    if place == "name":
        name = HOSTILE
    elif place == "remark":
        remark = HOSTILE
    elif place in ("title", "id"):
        description["certificate"]["worst_photos"][0][place] = HOSTILE
    elif place == "group":
        description["groups"][HOSTILE] = 31
    elif place == "merged":
        description["merged"]["L below 20, chroma from 35"] = HOSTILE
    else:
        description["data_sha256"] = HOSTILE
    page = read(description, name, remark)
    assert not page.of("script")
    assert HOSTILE in page.text


def test_the_page_says_which_photos_decided_what_and_has_the_remark_on_the_model():
    plain, remarked = read(certified()).text, read(certified(), remark="The test photos were looked at twice.").text
    assert "decided nothing in the pipeline." in plain.replace("\n", " ") and "A remark on this model" not in plain
    assert "A remark on this model says" in remarked and "The test photos were looked at twice." in remarked


def test_the_promise_names_the_alphas_that_are_supported():
    promise = read(certified()).text
    assert "163 calibration photos of this model" in promise
    assert "from 0.6% (1/164) upwards" in promise
    assert "on 151 test photos" in promise


def test_every_row_of_the_curve_is_in_the_page():
    description = certified()
    text = read(description).text
    for row in description["certificate"]["curve"]:
        assert f"{row['coverage']:.1%}" in text
        assert f"{row['exact_low']:.1%} to {row['exact_high']:.1%}" in text
        assert all(f"{width:.1f}" in text for width in row["widths"])


def test_the_page_shows_the_exact_test_or_that_an_older_certificate_has_none():
    description = certified()
    assert "p of the exact test" in read(description).text and "0.0333" in read(description).text
    for row in description["certificate"]["curve"]:
        del row["p_value"]
    assert read(description).text.count("not measured") == len(MODES)


def test_the_page_has_a_row_for_each_source_and_none_for_older_certificates():
    description = certified()
    text = read(description).text
    assert text.count("BIDS/BSDS500") == text.count("0.00462") == 2, "one in each mode"
    assert "72.7% to 82.7%" in text and "Test photos by their source, at alpha 0.1" in text
    del description["certificate"]["sources"]
    assert "Test photos by their source, at alpha 0.1: none." in read(description).text


@pytest.mark.parametrize("mode", MODES)
def test_a_sentence_names_the_least_covered_large_group(mode):
    text = read(certified()).text
    noun = "values" if mode == "per_channel" else "pixels"
    assert f"{WORST[mode]} (lightness x chroma), 62.0% of its {noun} (95% interval 59.0% to 65.0%)" in text


def test_a_small_group_with_the_least_coverage_is_in_the_tables_only():
    text = read(certified()).text
    assert text.count("11.3% to 61.3%") == len(MODES)
    assert "test pixels: L from 80" not in text


def test_the_grid_has_five_rows_of_five_and_a_dash_where_there_are_no_pixels():
    description = certified()
    text = write_page(CONFIG, description)
    grids = re.findall(r'<table class="grid">(.*?)</table>', text, re.DOTALL)
    assert len(grids) == 2 * len(MODES), "promised to all pixels, and to every group"
    for grid in grids:
        body = grid.split("<tbody>")[1]
        rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in body.split("<tr>")[1:]]
        assert [len(row) for row in rows] == [5] * 5
        assert [(number, row.index("–")) for number, row in enumerate(rows) if "–" in row] == [(0, 4)]
    assert ">62.0%</td>" in grids[0].split("L 40 to 60")[1].split("</tr>")[0]


def test_a_cell_is_tinted_by_its_distance_from_the_promise():
    description = certified()
    for row in description["certificate"]["strata"]:
        row.update(
            coverage={"L below 20, chroma below 5": 0.5, "L below 20, chroma 5 to 10": 0.97}.get(row["group"], 0.9)
        )
    grid = write_page(CONFIG, description).split('<table class="grid">')[1]
    tints = re.findall(r"rgb\(var\(--(\w+)\) / ([\d.]+)\)", grid.split("</tbody>")[0])
    assert tints[:3] == [("short", "0.55"), ("ample", "0.26"), ("ample", "0.00")]


def test_hashes_merged_groups_and_worst_photos_are_in_the_page():
    description = certified()
    text = read(description).text
    assert all(description[key] in text for key in HASHES)
    assert "A boat on the lake, 0" in text and "40.0%" in text
    assert re.search(r"is merged .*L below 20, chroma from 35.*L below 20, chroma 20 to 35", text)
    assert "6.6% of the test photos are unlike" in text


@pytest.mark.parametrize("key", ["curve", "grouped", "strata", "worst_photos"])
def test_an_empty_list_gives_a_sentence(key):
    description = certified()
    full = read(description).text.count("none")
    description["certificate"][key] = []
    assert read(description).text.count("none") > full


def test_a_page_of_empty_lists_says_none():
    description = certified()
    description.update(groups={}, merged={})
    description["certificate"].update(curve=[], grouped=[], strata=[], worst_photos=[])
    description["certificate"]["width_distribution"] = {"edges": [], "R": [], "G": [], "B": []}
    page = read(description)
    assert len([svg for svg in page.of("svg") if svg.get("role") == "img"]) == 0
    assert page.text.count("none") >= 12


def test_one_alpha_and_one_bin_are_enough_for_charts():
    description = certified()
    certificate = description["certificate"]
    certificate["curve"] = [curve_row("joint", 0.1)]
    certificate["width_distribution"] = {"edges": [0, 256], "R": [1.0], "G": [0.0], "B": [1.0]}
    page = read(description)
    assert len([svg for svg in page.of("svg") if svg.get("role") == "img"]) == 4
    (band, marker) = page.of("use")
    assert "fill-opacity" in band["style"] and "fill-opacity" not in marker["style"], "one alpha, one point"


def test_the_maps_are_described_by_their_figures_and_a_chart():
    text, page = write_page(CONFIG, with_maps(certified())), read(with_maps(certified()))
    assert "expected and observed errors of tenths of the pixels differ by 0.25 on average" in page.text
    assert "<span>Expected error</span></th><td>in the plane of a and b</td><td>0.43 (0.41 to 0.46)</td>" in text
    assert "<td>0.46 (0.43 to 0.48)</td><td>150</td>" in text
    assert ">19.25</th><td>19.50</td><td>10.0%</td>" in text
    drawings = [svg["aria-labelledby"] for svg in page.of("svg") if svg.get("role") == "img"]
    assert len(drawings) == 6 and "reliability" in drawings
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {use["href"][1:] for use in page.of("use")} <= set(identifiers)


def test_a_model_without_an_expected_error_has_the_figures_of_its_widths_alone():
    page = read(with_maps(certified(), ["width"]))
    assert "Band width" in page.text and "0.43 (0.41 to 0.46)" in page.text
    assert "Where it says 6" not in page.text
    assert len([svg for svg in page.of("svg") if svg.get("role") == "img"]) == 5


def test_a_map_that_could_not_be_measured_has_no_figure():
    description = with_maps(certified(), ["width"])
    for row in description["certificate"]["maps"]["rows"]:
        row.update(sparsification=None, sparsification_low=None, sparsification_high=None, photos=0)
    assert "<td>none</td><td>0.46 (0.43 to 0.48)</td><td>0</td>" in write_page(CONFIG, description)


def test_an_older_certificate_says_nothing_of_maps():
    assert "guess" not in read(certified()).text
