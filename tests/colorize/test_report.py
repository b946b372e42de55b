"""The report beside a result, and what the archive of its bands tells: all that is needed to read them later."""

import hashlib
import io
import json
import math

import numpy as np
import pytest

from huebands import __version__
from huebands.colorize.border import Border
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.mark import is_result
from huebands.colorize.report import REPORT, Origin, arrays_of, describe, encode, files_of
from huebands.colorize.sampling import Sampling
from huebands.files import npz
from several_colourings import with_samples

GREY = np.arange(600, dtype=np.uint8).reshape(20, 30)
SHA256 = hashlib.sha256(b"a photo").hexdigest()


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return Colorizer.load(tiny_package)


def origin(**values):
    return Origin(**{"photo": "größe.png", "photo_sha256": SHA256, "own_colour": "tinted", **values})


def written(colorizer, origin, **guarantee):
    """The report and the arrays, as they are read from the files."""
    files = dict(files_of(colorizer.package, origin, colorizer.colorize(GREY, **guarantee), "a"))
    return json.loads(files[f"a{REPORT}"]), np.load(io.BytesIO(bytes(files["a.bands.npz"])), allow_pickle=False)


def test_both_files_tell_the_promise_the_model_and_the_photo(colorizer):
    border = Border(top=3, bottom=0, left=0, right=2)
    report, arrays = written(
        colorizer, origin(border=border, border_is_cropped=True), alpha=0.5, mode="joint", delta=0.1, grouped=True
    )
    sha256 = colorizer.package.package_sha256
    assert report["model"] == {"name": "tiny", "package_sha256": sha256}
    assert report["border"] == {"top": 3, "bottom": 0, "left": 0, "right": 2, "cropped": True}
    assert arrays["border"].tolist() == [3, 0, 0, 2]
    expected = {
        "alpha": 0.5,
        "mode": "joint",
        "delta": 0.1,
        "grouped": True,
        "photo": "größe.png",
        "photo_sha256": SHA256,
        "own_colour": "tinted",
        "huebands": __version__,
    }
    assert {name: report[name] for name in expected} == expected
    assert {name: arrays[name].item() for name in expected} == expected
    assert (arrays["model"].item(), arrays["package_sha256"].item()) == ("tiny", sha256)
    assert arrays["likeness"] == report["likeness"]["p_value"]
    assert arrays["promise"] == report["promise"]
    for words in ("its pixels that leave their bands is at most 0.5", "probability 0.9", "each group"):
        assert words in report["promise"]
    assert arrays["R"].shape == (20, 30, 2)


def test_what_there_is_not_is_told_as_well(colorizer):
    report, arrays = written(colorizer, origin(own_colour="none"))
    assert (report["border"], report["delta"], report["own_colour"]) == (None, None, "none")
    assert math.isnan(arrays["delta"]) and not arrays["border"].any() and not arrays["grouped"]
    assert "samples" not in report


def test_what_holds_in_place_of_the_guarantee_is_told(tiny_package):
    several = with_samples(tiny_package)
    result = several.colorize(GREY, samples=2, seed=7)
    report = describe(several.package, origin(sampling=Sampling(count=2, seed=7)), result)
    assert report["samples"]["seed"] == 7 and len(report["samples"]["outside"]) == 2


def test_a_name_that_is_no_text_is_kept(colorizer):
    report, arrays = written(colorizer, origin(photo="\udcff.png"))
    assert report["photo"] == arrays["photo"].item() == "\udcff.png"


def test_a_report_is_known_as_a_result(colorizer, tmp_path):
    path = tmp_path / f"a{REPORT}"
    report = describe(colorizer.package, origin(), colorizer.colorize(GREY))
    path.write_bytes(encode(report))
    assert is_result(path)
    for text in ('{"photo": "a"}', '{"huebands": 1}', "[1]", "notes", ""):
        path.write_text(text)
        assert not is_result(path)


def test_the_arrays_need_no_pickle(colorizer):
    report = describe(colorizer.package, origin(), colorizer.colorize(GREY))
    assert npz.encode(arrays_of(report), 0)
