import errno
import io
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from drawn_pages import typeset
from huebands import __version__, cli
from huebands.colorize import arguments
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hints import HintRequest, Point
from huebands.conformal.error_map import MAPS
from huebands.conformal.guarantee import MODES
from huebands.package.read import read_package
from huebands.registry.connection import NoAnswerError
from joint_density import with_joint_density
from painted_hints import with_hints
from reference_colours import with_reference
from several_colourings import with_samples
from tiny_package import write_uncalibrated
from tiny_photos import PlainScorer, tiny_photo, write_prepared


@pytest.fixture
def colorize(tiny_package, tmp_path, monkeypatch, capsys):
    """Run `huebands colorize` in an empty folder; returns exit code, output lines and error lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, model=tiny_package, command="colorize"):
        named = [] if model is None else ["--model", str(model)]
        named += ["--jobs", "1"] if command == "colorize" and "--jobs" not in arguments else []
        try:
            code = cli.main([command, *map(str, arguments), *named])
        except SystemExit as end:
            code = end.code
        output, errors = capsys.readouterr()
        return code, output.splitlines(), errors.splitlines()

    return run


def write_photo(path, shade=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), shade, np.uint8)).save(path)
    return path


def results(folder, stem):
    return [folder / f"{stem}.{ending}" for ending in ("colorized.png", "bands.npz", "uncertainty.png", "report.json")]


def test_a_photo_gets_four_files_in_the_current_folder(colorize, tiny_package, tmp_path):
    write_photo(tmp_path / "photos/cat.png")
    code, output, errors = colorize("photos/cat.png")
    assert (code, errors) == (0, [])
    assert all(path.is_file() for path in results(tmp_path, "cat"))
    assert output[0].startswith(f"model: {tiny_package} (tiny, package ")
    assert output[1].startswith("photos/cat.png -> cat.colorized.png (8 x 6, bands ")


def test_samples_are_written_and_measured(colorize, tiny_package, tmp_path, monkeypatch):
    photo, several = write_photo(tmp_path / "cat.png"), with_samples(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: several)
    code, output, errors = colorize(photo, "--samples", 2, "--seed", 3)
    assert (code, errors) == (0, [])
    expected = several.colorize(np.full((6, 8), 100, np.uint8), samples=2, seed=3)
    for number, sample in enumerate(expected.samples, 1):
        np.testing.assert_array_equal(np.array(Image.open(tmp_path / f"cat.sample-{number}.png")), sample)
    shares = ", ".join(f"{share:.1%}" for share in expected.samples_outside)
    assert f"; outside the bands: {shares} of the samples' channel values" in output[1]
    lines = colorize(tmp_path, "--overwrite", "--samples", 2, "--seed", 3)[1]
    assert [line.split(" -> ")[0] for line in lines[1:2]] == [str(photo)], "samples are results, not photos"
    assert lines[2:] == ["passed over: 7 files of earlier results"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "2"], "which knows one colouring only"),
        (["--samples", "9"], "samples (=9) must be an integer in [1, 8]"),
        (["--samples", "-1"], "samples (=-1) must be an integer in [1, 8]"),
        (["--seed", "1"], "--seed (=1) is that of the samples: give --samples too"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(colorize, tmp_path, arguments, message):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), *arguments)
    assert (code, output, len(errors)) == (2, [], 1)
    assert message in errors[0] and not results(tmp_path, "cat")[0].exists()


@pytest.fixture
def hinting(tiny_package, monkeypatch):
    """A model that takes hints, in place of any that is named."""
    colorizer = with_hints(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: colorizer)
    return colorizer


def test_hints_colour_the_photo_and_the_guarantee_is_not_claimed(colorize, hinting, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    picture = Image.new("RGBA", (8, 6))
    picture.putpixel((7, 5), (60, 60, 200, 255))
    picture.save(tmp_path / "hints.png")
    code, output, errors = colorize(photo, "--hint", "1,1,#c83c3c", "--hints", tmp_path / "hints.png")
    assert (code, errors) == (0, [])
    request = HintRequest((Point(1, 1, (200, 60, 60)),), tmp_path / "hints.png")
    expected = hinting.colorize(np.full((6, 8), 100, np.uint8), hints=request)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "cat.colorized.png")), expected.rgb)
    assert "; the guarantee does not reach this photo" in output[1]
    for x, y in expected.hints.unusual:
        assert f"({x}, {y})" in output[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hint", "1,1"], "hint (='1,1') must have the form X,Y,#RRGGBB"),
        (["--hint", "8,1,#ffffff"], "hint (=8,1) must lie on the photo: x in [0, 7], y in [0, 5]"),
        (["--hints", "none.png"], "none.png: No such file or directory"),
        (["dog.png", "--hint", "1,1,#ffffff"], "hints are for one photo, and 2 are given"),
    ],
)
def test_hints_that_do_not_fit_are_refused(colorize, hinting, tmp_path, arguments, message):
    write_photo(tmp_path / "dog.png")
    code, _, errors = colorize(write_photo(tmp_path / "cat.png"), *arguments)
    assert (code, len(errors)) == (2, 1)
    assert message in errors[0] and not results(tmp_path, "cat")[0].exists()


def test_a_reference_photo_gives_its_colours(colorize, tiny_package, tmp_path, monkeypatch):
    colorizer = with_reference(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: colorizer)
    Image.fromarray(tiny_photo(0)).save(tmp_path / "like.png")
    photo = write_photo(tmp_path / "photos/cat.png")
    code, output, errors = colorize(tmp_path / "photos", "--like", "like.png")
    assert (code, errors) == (0, [])
    expected = colorizer.colorize(photo, like=Exemplar.read(tmp_path / "like.png"))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "cat.colorized.png")), expected.rgb)
    assert "; the guarantee does not reach this photo" in output[1]
    code, output, errors = colorize(photo, "--like", "none.jpg")
    assert (code, output, len(errors)) == (2, [], 1) and "reference none.jpg" in errors[0]


@pytest.mark.parametrize("arguments", [["--hint", "1,1,#ffffff"], ["--like", "none.jpg"]])
def test_a_model_without_guidance_refuses_it_before_the_work(colorize, tmp_path, arguments):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), *arguments)
    assert (code, output, len(errors)) == (2, [], 1)
    assert "has the network unet, which takes none" in errors[0]


def test_output_alpha_and_mode_are_used(colorize, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    for name, extra in (("a", ["--alpha", "0.3"]), ("b", ["--alpha", "0.3", "--mode", "joint"])):
        assert colorize(photo, "--output", f"out/{name}", *extra)[0] == 0
    archives = [np.load(results(tmp_path / "out" / name, "cat")[1]) for name in "ab"]
    assert archives[0]["alpha"] == 0.3
    assert not np.array_equal(archives[0]["R"], archives[1]["R"])


def test_bands_with_delta_or_grouped_contain_those_without(colorize, tmp_path):
    photo = tmp_path / "cat.png"
    Image.fromarray(tiny_photo(0)).save(photo)
    options = {"plain": [], "sure": ["--delta", "0.1"], "grouped": ["--grouped"], "both": ["--delta=.1", "--grouped"]}
    bands = {}
    for name, extra in options.items():
        assert colorize(photo, "--alpha", "0.5", "--output", name, *extra)[0] == 0
        with np.load(results(tmp_path / name, "cat")[1]) as archive:
            bands[name] = np.stack([archive[channel] for channel in "RGB"])
    for wide, narrow in (("sure", "plain"), ("grouped", "plain"), ("both", "sure"), ("both", "grouped")):
        assert (bands[wide][..., 0] <= bands[narrow][..., 0]).all()
        assert (bands[wide][..., 1] >= bands[narrow][..., 1]).all()
    assert not np.array_equal(bands["sure"], bands["plain"])


def test_the_map_of_the_widths_is_chosen_by_name_and_one_that_the_model_lacks_is_refused(colorize, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    code, output, errors = colorize(photo, "--map", "width")
    assert (code, errors) == (0, [])
    assert output[0].endswith("; uncertainty.png shows the width")
    code, output, errors = colorize(photo, "--map", "expected-error", "--output", "none")
    assert (code, output) == (2, [])
    assert errors == ["huebands: map (='expected-error') must be width: the model has no joint colour density"]
    assert not (tmp_path / "none").exists()


def test_the_command_shows_the_expected_error_where_the_model_gives_it(colorize, tiny_package, tmp_path, monkeypatch):
    joint = with_joint_density(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: joint)
    code, output, _ = colorize(write_photo(tmp_path / "cat.png"))
    assert code == 0
    assert output[0].endswith("; uncertainty.png shows the expected error")
    mean = joint.colorize(tmp_path / "cat.png").expected_error.mean()
    assert f"of 255 levels wide, expected error {mean:.1f}" in output[1]
    with Image.open(tmp_path / "cat.uncertainty.png") as picture:
        assert picture.info["Title"] == "expected error"


def test_colour_of_the_photos_own_is_told(colorize, tmp_path):
    grey = np.random.default_rng(0).integers(60, 200, (64, 64, 1))
    Image.fromarray((grey * [1, 0.8, 0.55]).astype(np.uint8)).save(tmp_path / "sepia.png")
    Image.fromarray(tiny_photo(0)).save(tmp_path / "colour.png")
    write_photo(tmp_path / "grey.png")
    names = ("grey.png", "sepia.png", "colour.png")
    for options, endings in (
        ([], [" levels wide)", "; is tinted, and was taken as grey)", "; has colour of its own, which was not used)"]),
        (["--tinted"], [" levels wide)", " levels wide)", "; has colour of its own, which was not used)"]),
    ):
        code, output, errors = colorize(*names, *options, "--overwrite")
        assert (code, errors) == (0, [])
        told = [f"{line.rstrip(')').split('; unlike')[0]})" for line in output[1:]]
        assert [line.endswith(ending) for line, ending in zip(told, endings, strict=True)] == [True] * 3


def test_the_contact_sheet_shows_all_photos_of_the_folder(colorize, tmp_path):
    for name in ("a/x.png", "y.png"):
        write_photo(tmp_path / "photos" / name)
    colorize("photos/y.png", "--output", "out")
    code, output, errors = colorize("photos", "--output", "out", "--report")
    assert (code, errors, output[-1]) == (0, [], "contact sheet: out/huebands.html")
    page = (tmp_path / "out/huebands.html").read_text()
    assert page.count("<li>") == 2 and 'href="a/x.colorized.png"' in page
    (tmp_path / "out/huebands.html").write_text("mine")
    code, _, errors = colorize("photos", "--output", "out", "--report")
    assert code == 2 and "out/huebands.html: is there already" in errors[0]
    assert (tmp_path / "out/huebands.html").read_text() == "mine"


def test_the_maps_of_the_command_are_those_of_the_library():
    assert arguments.MAPS == MAPS


def test_the_command_warns_when_a_photo_is_unlike_the_calibration_photos(colorize, tmp_path, monkeypatch):
    photo = write_photo(tmp_path / "cat.png")
    for p, ending in ((0.05, "; unlike the calibration photos, p = 0.050)"), (0.1, " of 255 levels wide)")):
        monkeypatch.setattr("huebands.colorize.colorizer.p_value", lambda atypicality, table, p=p: p)
        code, output, errors = colorize(photo, "--overwrite")
        assert (code, errors) == (0, [])
        assert output[1].endswith(ending)


def test_the_command_tells_an_unlike_page_of_text(colorize, tmp_path, monkeypatch):
    Image.fromarray(typeset()[:400, :500]).save(tmp_path / "page.png")
    for p, told in ((0.05, True), (0.06, False)):
        monkeypatch.setattr("huebands.colorize.colorizer.p_value", lambda atypicality, table, p=p: p)
        code, output, errors = colorize("page.png", "--overwrite", "--report", "--output", "out")
        assert (code, errors) == (0, [])
        assert ("p = 0.050: it may be a page of text or a drawing)" in output[1]) is told
        assert json.loads((tmp_path / "out/page.report.json").read_text())["looks_drawn"] is told
        assert ("may be a page of text or a drawing" in (tmp_path / "out/huebands.html").read_text()) is told


def test_the_results_of_a_folder_keep_its_folders(colorize, tmp_path):
    write_photo(tmp_path / "photos/a.png")
    write_photo(tmp_path / "photos/deep/a.png")
    code, output, errors = colorize("photos", "--output", "out")
    assert (code, errors) == (0, [])
    assert [line.split(" (")[0] for line in output[1:]] == [
        "photos/a.png -> out/a.colorized.png",
        "photos/deep/a.png -> out/deep/a.colorized.png",
    ]
    assert all(path.is_file() for path in (*results(tmp_path / "out", "a"), *results(tmp_path / "out/deep", "a")))
    first = contents(tmp_path / "out")
    write_photo(tmp_path / "photos/0/a.png")
    assert colorize("photos", "--output", "out")[0] == 0
    assert first.items() <= contents(tmp_path / "out").items(), "a name does not depend on neighbours"


def test_results_in_the_folder_of_the_photos_are_not_photos(colorize, tmp_path):
    write_photo(tmp_path / "photos/a.png")
    write_photo(tmp_path / "photos/deep/b.png")
    assert colorize("photos", "--output", "photos")[1][3:] == []
    code, output, errors = colorize("photos", "--output", "photos")
    assert (code, errors) == (0, [])
    assert output[1:] == [
        "done before: 2 of 2 photos; --overwrite does them again",
        "passed over: 9 files of earlier results",
    ]
    assert not list(tmp_path.rglob("*colorized.colorized*"))


def test_what_is_no_photo_is_told_once_with_its_reason(colorize, tmp_path):
    folder = tmp_path / "scans"
    write_photo(folder / "a.png")
    Image.fromarray(tiny_photo(0)).save(folder / "without-ending", "JPEG")
    (folder / "notes\x1b[31m.txt").write_text("1")
    (folder / "nothing.txt").touch()
    (folder / "gone.jpg").symlink_to("none.jpg")
    (folder / "again").symlink_to(".")
    os.mkfifo(folder / "pipe.png")
    for hidden in (".DS_Store", "._a.png", "Thumbs.db", "@eaDir/a.png", ".trash/b.png"):
        write_photo(folder / "x.png").rename((folder / hidden).parent.mkdir(exist_ok=True) or folder / hidden)
    write_photo(folder / "b.png").rename(folder / "b.uncertainty.png")
    code, output, errors = colorize(folder, "--output", "out")
    assert (code, errors) == (0, [])
    assert [Path(line.split(" -> ")[0]).name for line in output[1:3]] == ["a.png", "without-ending"]
    assert output[3:] == [
        f"passed over: {folder}/again: a link to a folder",
        f"passed over: {folder}/b.uncertainty.png: has the name of a result, and was changed or made by something else;"
        " give its name if it is a photo",
        f"passed over: {folder}/gone.jpg: a link to nothing",
        f"passed over: {folder}/notes\\x1b[31m.txt: not a picture of a known format",
        f"passed over: {folder}/nothing.txt: empty",
        f"passed over: {folder}/pipe.png: not a file",
        "passed over: 5 hidden or system files and folders",
    ]


def test_a_subfolder_that_cannot_be_read_is_an_error(colorize, tmp_path, monkeypatch):
    write_photo(tmp_path / "scans/a.png")
    (tmp_path / "scans/locked").mkdir()
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    code, output, errors = colorize("scans")
    assert (code, len(output), errors) == (2, 2, ["huebands: scans/locked: Permission denied"])


def test_a_folder_that_cannot_be_written_is_found_before_the_work(colorize, tmp_path, monkeypatch):
    for name in ("a.png", "b/c.png"):
        write_photo(tmp_path / "photos" / name)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("out/b"))
    code, output, errors = colorize("photos", "--output", "out")
    assert (code, output, errors) == (2, [], ["huebands: out/b: Permission denied"])
    (tmp_path / "out/b").rmdir()
    (tmp_path / "out/b").touch()
    code, output, errors = colorize("photos", "--output", "out")
    assert (code, output, errors) == (2, [], ["huebands: out/b: File exists"])


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(colorize, tmp_path):
    for name in ("photos/a.png", "photos/b/c.png", "photos/d.png"):
        write_photo(tmp_path / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.bands.npz").touch()
    (tmp_path / "photos/notes.txt").touch()
    before = contents(tmp_path)
    code, output, errors = colorize("photos", "--output", "out", "--dry-run")
    assert code == 2
    assert output[1:] == [
        "photos/d.png -> out/d.colorized.png",
        "photos/b/c.png -> out/b/c.colorized.png",
        "passed over: photos/notes.txt: empty",
    ]
    assert len(errors) == 1 and "out/a.bands.npz: is there already" in errors[0]
    assert contents(tmp_path) == before and not (tmp_path / "out/b").exists()
    assert not (tmp_path / "out/huebands.jsonl").exists()
    colorize("photos/d.png", "--output", "out")
    code, output, _ = colorize("photos/d.png", "--output", "out", "--dry-run")
    assert (code, output[1:]) == (0, ["done before: 1 of 1 photos; --overwrite does them again"])


def test_bad_photos_are_named_in_one_line_each_and_the_others_are_colorized(colorize, tmp_path):
    write_photo(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:45])
    (tmp_path / "nothing").mkdir()
    bad = ["missing.png", "text.jpg", "empty.png", "cut.png", "nothing"]
    code, output, errors = colorize(*bad, "good.png")
    assert code == 2
    assert len(errors) == len(bad)
    for name in bad:
        (line,) = [line for line in errors if f"huebands: {name}: " in line]
        assert len(line) > len(f"huebands: {name}: ")
    assert all(path.is_file() for path in results(tmp_path, "good"))
    assert len(output) == 2


def test_photos_whose_results_would_share_a_name_are_refused_with_the_remedy(colorize, tmp_path):
    shades = {"a/cat.png": 10, "a/CAT.bmp": 90, "a/dog.png": 50, "b/dog.png": 150}
    for name, shade in shades.items():
        write_photo(tmp_path / name, shade)
    code, output, errors = colorize("a", "b/dog.png", "./a/dog.png", "--output", "out")
    assert (code, [line.split(" (")[0] for line in output[1:]]) == (2, [])
    assert errors == [
        "huebands: a/CAT.bmp: its results would have the name of those of a/cat.png, CAT; --full-names tells photos"
        " apart by their endings",
        "huebands: a/cat.png: its results would have the name of those of a/CAT.bmp, cat; --full-names tells photos"
        " apart by their endings",
        "huebands: a/dog.png: its results would have the name of those of b/dog.png, dog; --full-names tells photos"
        " apart by their endings",
        "huebands: b/dog.png: its results would have the name of those of a/dog.png, dog; --full-names tells photos"
        " apart by their endings",
    ]
    code, output, errors = colorize("a", "--output", "out", "--full-names")
    assert (code, errors) == (0, [])
    written = {line.split(" -> ")[0]: line.split(" -> ")[1].split(" (")[0] for line in output[1:]}
    assert written == {f"a/{name}": f"out/{name}.colorized.png" for name in ("CAT.bmp", "cat.png", "dog.png")}
    for name, path in written.items():
        assert abs(np.asarray(Image.open(tmp_path / path).convert("L")).mean() - shades[name]) < 30


def test_flat_results_lie_in_one_folder(colorize, tmp_path):
    for name in ("photos/a.png", "photos/deep/b.png"):
        write_photo(tmp_path / name)
    code, _, errors = colorize("photos", "--output", "out", "--flat")
    assert (code, errors) == (0, [])
    names = {path.name for stem in "ab" for path in results(tmp_path, stem)}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "huebands.jsonl"}
    write_photo(tmp_path / "photos/deep/a.png")
    code, output, errors = colorize("photos", "--output", "out", "--flat", "--full-names")
    assert (code, len(errors), len(output)) == (2, 2, 2)
    assert errors[0].endswith("a.png; without --flat, results keep the photos' folders")


def contents(folder):
    """The files below a folder without the manifest, which has times and errors."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "huebands.jsonl")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_photo_that_is_read_is_never_replaced(colorize, tmp_path):
    """The result of the first would be the second."""
    photos = [write_photo(tmp_path / name, shade) for name, shade in (("a.png", 50), ("a.colorized.png", 90))]
    before = contents(tmp_path)
    for options in ([], ["--overwrite"]):
        code, output, errors = colorize(*photos, *options)
        assert (code, len(output)) == (2, 2)
        assert errors == [
            "huebands: a.colorized.png: is an input, which no result replaces; choose another folder by --output"
        ]
        assert before.items() <= contents(tmp_path).items()
        assert not (tmp_path / "a.bands.npz").exists(), "all files of a photo are checked before the first is written"
    code, _, errors = colorize(*photos, "--output", "results")
    assert (code, errors) == (0, [])


@pytest.mark.parametrize("name", ["hints", "like"])
def test_hints_and_references_are_inputs_too(colorize, tiny_package, tmp_path, monkeypatch, name):
    colorizer = with_hints(tiny_package) if name == "hints" else with_reference(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: colorizer)
    photo, given = write_photo(tmp_path / "cat.png"), tmp_path / "cat.uncertainty.png"
    Image.new("RGBA", (8, 6), (200, 60, 60, 255)).convert("RGBA" if name == "hints" else "RGB").save(given)
    before = given.read_bytes()
    code, _, errors = colorize(photo, f"--{name}", given, "--overwrite")
    assert (code, len(errors)) == (2, 1) and "cat.uncertainty.png: is an input" in errors[0]
    assert given.read_bytes() == before


def test_an_input_is_recognised_under_every_name(colorize, tmp_path):
    write_photo(tmp_path / "scans/a.png")
    (tmp_path / "results").mkdir()
    (tmp_path / "linked").symlink_to("results")
    os.link(write_photo(tmp_path / "master.png"), tmp_path / "results/a.colorized.png")
    code, _, errors = colorize("scans/a.png", "master.png", "--output", "linked", "--overwrite")
    assert (code, len(errors)) == (2, 1) and "linked/a.colorized.png: is an input" in errors[0]


@pytest.mark.parametrize("ending", ["colorized.png", "bands.npz", "uncertainty.png", "sample-1.png"])
def test_a_file_that_is_no_result_is_replaced_only_when_told(colorize, tiny_package, tmp_path, monkeypatch, ending):
    several = with_samples(tiny_package)
    monkeypatch.setattr("huebands.colorize.colorizer.Colorizer.load", lambda source: several)
    photo, own = write_photo(tmp_path / "cat.png"), tmp_path / f"cat.{ending}"
    for make in (
        lambda: own.write_bytes(b""),
        lambda: own.write_text("notes"),
        lambda: write_photo(tmp_path / "own.png").replace(own),
        lambda: np.savez(tmp_path / "own.npz", R=1) or (tmp_path / "own.npz").replace(own),
    ):
        make()
        before = contents(tmp_path)
        code, _, errors = colorize(photo, "--samples", 1)
        assert (code, errors) == (
            2,
            [
                f"huebands: cat.{ending}: is there already and is not a result of huebands as it was written; choose"
                " another folder by --output, or replace it by --overwrite"
            ],
        )
        assert contents(tmp_path) == before
    code, _, errors = colorize(photo, "--samples", 1, "--overwrite")
    assert (code, errors) == (0, [])
    first = contents(tmp_path)
    assert colorize(photo, "--samples", 1, "--alpha", 0.2)[0] == 0, "results are written anew"
    assert contents(tmp_path).keys() == first.keys() and contents(tmp_path) != first


def test_a_retouched_result_is_no_result(colorize, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    colorize(photo)
    path = results(tmp_path, "cat")[0]
    picture = Image.open(path)
    texts = PngInfo()
    for keyword, words in picture.text.items():
        texts.add_text(keyword, words)
    picture.save(path, pnginfo=texts, compress_level=9)
    assert colorize(photo, "--alpha", 0.2)[0] == 0, "the pixels are what they were"
    picture.putpixel((0, 0), (1, 2, 3))
    picture.save(path, pnginfo=texts)
    before = path.read_bytes()
    code, output, _ = colorize(photo, "--alpha", 0.2)
    assert (code, output[1:]) == (0, ["done before: 1 of 1 photos; --overwrite does them again"])
    code, _, errors = colorize(photo)
    assert (code, len(errors)) == (2, 1) and "cat.colorized.png: is there already" in errors[0]
    assert path.read_bytes() == before
    assert colorize(photo, "--alpha", 0.2)[1][1].startswith("done before"), "a refusal changes nothing"


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link(colorize, tmp_path, there):
    photo, master, place = write_photo(tmp_path / "cat.png"), tmp_path / "master.png", results(tmp_path, "cat")[0]
    if there:
        colorize(photo)
        place.replace(master)
    place.symlink_to(master)
    before = contents(tmp_path)
    code, _, errors = colorize(photo)
    assert (code, len(errors)) == (2, 1) and "cat.colorized.png: is there already and is a link; " in errors[0]
    assert contents(tmp_path) == before
    assert colorize(photo, "--overwrite")[0] == 0
    assert not place.is_symlink() and place.is_file(), "the link itself is replaced"
    assert master.exists() == there and (not there or master.read_bytes() == before["master.png"])


def test_a_folder_in_the_place_of_a_result_is_named(colorize, tmp_path):
    (tmp_path / "cat.bands.npz").mkdir()
    code, _, errors = colorize(write_photo(tmp_path / "cat.png"), "--overwrite")
    assert (code, len(errors)) == (2, 1) and "cat.bands.npz: is a folder" in errors[0]


def test_a_file_that_comes_during_the_work_is_not_replaced(colorize, tmp_path, monkeypatch):
    photo, place = write_photo(tmp_path / "cat.png"), results(tmp_path, "cat")[2]
    choose = Colorizer.choose

    def slow(*arguments):
        place.write_text("someone's")
        return choose(*arguments)

    monkeypatch.setattr(Colorizer, "choose", slow)
    code, _, errors = colorize(photo)
    assert (code, len(errors)) == (2, 1) and "cat.uncertainty.png: is there already" in errors[0]
    assert place.read_text() == "someone's"
    assert not list(tmp_path.glob(".*")), "nothing half written stays"


@pytest.mark.parametrize("option", ["alpha", "delta"])
@pytest.mark.parametrize("text", ["0", "1", "2", "10", "-0.1", "nan", "inf", "x", "", "%", "0%", "100%", "10%%", "0,1"])
def test_what_is_no_share_gives_an_error_of_one_line_that_says_how_to_write_it(colorize, tmp_path, option, text):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), "--alpha=0.5", f"--{option}={text}")
    assert (code, output, len(errors)) == (2, [], 1)
    assert f"--{option}: (={text!r}) must be a share between 0 and 1, written as 0.1 or as 10%" in errors[0]


@pytest.mark.parametrize("alpha", ["1e-9", "4%"])
def test_an_alpha_below_the_smallest_gives_an_error_of_one_line_with_the_range(colorize, tmp_path, alpha):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), f"--alpha={alpha}")
    assert (code, output, len(errors)) == (2, [], 1)
    assert "[0.05, 1)" in errors[0]


def test_a_percentage_is_the_same_alpha(colorize, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    assert colorize(photo, "--alpha", "0.29")[0] == 0
    code, output, _ = colorize(photo, "--alpha", "29%")
    assert (code, output[-1]) == (0, "done before: 1 of 1 photos; --overwrite does them again")


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"huebands {__version__}\n")


def test_a_delta_that_needs_more_photos_gives_an_error_of_one_line_with_the_remedy(colorize, tmp_path):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), "--delta", "0.1")
    assert (code, output, len(errors)) == (2, [], 1)
    assert "19 photos" in errors[0] and "take a larger delta" in errors[0]


def test_a_package_without_calibration_gives_an_error_of_one_line(colorize, tmp_path):
    write_uncalibrated(tmp_path / "earlier")
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), model="earlier")
    assert (code, output, len(errors)) == (2, [], 1)
    assert "earlier: has no calibration, so no bands" in errors[0]


@pytest.mark.parametrize("model", ["nowhere", "models:/a/b/c", "."])
def test_a_bad_model_gives_an_error_of_one_line(colorize, tmp_path, model):
    code, output, errors = colorize(write_photo(tmp_path / "cat.png"), model=model)
    assert (code, output, len(errors)) == (2, [], 1)
    assert model in errors[0]


def test_an_output_that_is_a_file_gives_an_error_of_one_line(colorize, tmp_path):
    photo = write_photo(tmp_path / "cat.png")
    code, _, errors = colorize(photo, "--output", photo)
    assert (code, len(errors)) == (2, 1)
    assert str(photo) in errors[0]


def test_a_name_that_cannot_be_printed_does_not_stop_the_command(colorize, tmp_path, monkeypatch):
    photos = [write_photo(tmp_path / name) for name in ("\udcff.png", "größe.png", "cat.png")]
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", console)
    assert colorize(*photos)[0] == 0
    assert all(results(tmp_path, photo.stem)[2].is_file() for photo in photos)
    console.seek(0)
    assert "gr\\xf6\\xdfe.png -> " in console.read()


def test_a_full_disk_gives_an_error_of_one_line_that_names_the_file(colorize, tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    photo = write_photo(tmp_path / "cat.png")
    monkeypatch.setattr(os, "fsync", fsync)
    code, _, errors = colorize(photo)
    colorized = results(tmp_path, "cat")[0]
    line = "cat.colorized.png: No space left on device; stopped after 0 of 1 photos, the same command goes on"
    assert (code, errors) == (2, [f"huebands: {line}"])
    assert not colorized.exists()


@pytest.mark.parametrize("arguments", [[], ["--mode", "some"], ["cat.png", "--alhpa", "0.1"]])
def test_wrong_usage_gives_an_error_of_one_line(colorize, arguments):
    code, output, errors = colorize(*arguments)
    assert (code, output, len(errors)) == (2, [], 1)


def test_the_modes_are_those_of_the_calibration():
    assert arguments.MODES == MODES


def modules_after(code, folder):
    """Run Python code in a fresh interpreter, and return the names of all modules that it has loaded."""
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n' + ' '.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return {name.split(".")[0] for name in ended.stdout.splitlines()[-1].split()}


def test_help_imports_no_heavy_module(tmp_path):
    loaded = modules_after("from huebands.cli import main; main(['--help'])", tmp_path)
    assert "huebands" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "mlflow", "dvc", "bentoml", "great_expectations", "matplotlib"}


def test_colorizing_loads_no_module_of_the_pipeline_or_the_service(tiny_package, tmp_path):
    write_photo(tmp_path / "cat.png")
    loaded = modules_after(
        f"from huebands.cli import main; main(['colorize', 'cat.png', '--model', {str(tiny_package)!r}])", tmp_path
    )
    assert (tmp_path / "cat.bands.npz").is_file()
    assert "torch" in loaded
    heavy = {"mlflow", "dvc", "bentoml", "great_expectations", "mapie", "torchvision", "pandas", "matplotlib"}
    assert not loaded & heavy


@pytest.mark.parametrize("mode", MODES)
def test_coverage_confirms_the_promise_on_photos_like_the_calibration_photos(colorize, tmp_path, mode):
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        noise = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"photos/{seed}.png")
    code, output, errors = colorize("photos", "--alpha", "0.3", "--mode", mode, command="coverage")
    assert (code, errors) == (0, [])
    assert output[1].startswith("photos/0.png: ") and "covered" in output[1]
    assert output[7].startswith("6 photos: ") and "70.0% promised" in output[7]
    assert output[8].endswith("nothing here speaks against the promise")
    assert any(line.startswith("exchangeable with the calibration photos") for line in output[9:])


def test_coverage_exits_with_1_when_the_promise_is_broken(colorize, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(9):
        strange = np.zeros((20, 20, 3), np.uint8)  # pure red and blue from dark to bright
        strange[:, :10, 0] = strange[:, 10:, 2] = np.linspace(100, 255 - number, 20)[:, None]
        Image.fromarray(strange).save(tmp_path / f"photos/{number}.png")
    code, output, errors = colorize("photos", "--alpha", "0.3", command="coverage")
    assert (code, errors) == (1, [])
    assert any(line.endswith("the promise does NOT hold on these photos") for line in output)


def test_coverage_names_photos_that_it_cannot_measure(colorize, tmp_path):
    write_photo(tmp_path / "photos/grey.png")
    (tmp_path / "photos/text.jpg").write_text("no image")
    code, _, errors = colorize("photos", "nowhere", command="coverage")
    assert (code, len(errors)) == (2, 3)
    for line, words in zip(errors, ("nowhere: ", "text.jpg: ", "no photo could be measured; give"), strict=True):
        assert words in line
    code, output, errors = colorize("photos", "--alpha", "1%", command="coverage")
    assert (code, output, len(errors)) == (2, [], 1)
    assert "[0.05, 1)" in errors[0]


def test_coverage_leaves_out_grey_and_tinted_photos_and_counts_them(colorize, tmp_path):
    write_photo(tmp_path / "photos/grey.png")
    grey = np.linspace(20, 230, 1600).reshape(40, 40, 1)
    for name, tone in (("sepia", (1, 0.8, 0.55)), ("cyanotype", (0.35, 0.6, 0.9))):
        Image.fromarray((grey * tone).astype(np.uint8)).save(tmp_path / f"photos/{name}.png")
    code, output, errors = colorize("photos", command="coverage")
    assert (code, errors) == (2, ["huebands: no photo could be measured; give photos in colour"])
    tinted = "left out: is tinted: its colours follow its lightness, as in a sepia print or a cyanotype"
    assert output[1:] == [
        f"photos/cyanotype.png: {tinted}",
        "photos/grey.png: left out: is grey or nearly so (a mean chroma below 5, the least of the calibration photos)",
        f"photos/sepia.png: {tinted}",
        "left out: 3 of 3 photos, whose true colours are not known",
    ]
    Image.fromarray(tiny_photo(0)).save(tmp_path / "photos/true.png")
    code, output, errors = colorize("photos", "--alpha", "0.3", command="coverage")
    assert (code in (0, 1), errors) == (True, [])
    assert output[5] == "left out: 3 of 4 photos, whose true colours are not known"
    assert output[6].startswith("1 photos: ")


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Run `huebands compare` in a folder with a prepared dataset; returns exit code, output lines and error lines."""
    write_prepared(tmp_path / "data/prepared", {"train": [tiny_photo(0)], "test": [tiny_photo(1), tiny_photo(2)]})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huebands.comparison.command.PhotoScorer", PlainScorer)

    def run(*arguments, tracked=False):
        try:
            code = cli.main(["compare", *map(str, arguments), *([] if tracked else ["--no-tracking"])])
        except SystemExit as end:
            code = end.code
        output, errors = capsys.readouterr()
        return code, output.splitlines(), errors.splitlines()

    return run


def compared_names(folder):
    return list(json.loads((folder / "metrics.json").read_text())["candidates"])


def test_comparing_without_arguments_takes_the_baselines_and_the_default_package(compare, tiny_package, tmp_path):
    shutil.copytree(tiny_package, tmp_path / "models/generator")
    shutil.copytree(tiny_package.with_name("tiny-trained"), tmp_path / "models/seed")
    code, output, errors = compare()
    assert (code, errors) == (0, [])
    assert compared_names(tmp_path / "reports/compare") == ["grey", "lightness", "neighbours", "seed", "generator"]
    assert output[0].startswith("photo 1 of 2, test0.png: CIEDE2000 grey ")
    assert output[-1].startswith("test split of data/prepared, 2 photos of 16 x 16 pixels -> reports/compare/metrics")


def test_comparing_without_arguments_takes_the_best_release_too(compare, tiny_package, tmp_path):
    for name in ("generator", "release/good"):
        shutil.copytree(tiny_package, tmp_path / "models" / name)
    shutil.copytree(tiny_package.with_name("tiny-trained"), tmp_path / "models/seed")
    hashes = {"good": {"package_sha256": read_package(tiny_package).package_sha256}}
    (tmp_path / "models/release/index.json").write_text(json.dumps({"best": "good", "packages": hashes}))
    assert compare()[0] == 0
    assert compared_names(tmp_path / "reports/compare")[4:] == ["generator", "good"]


def test_comparing_takes_named_candidates_outside_commands_and_a_folder(compare, tiny_package, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(tiny_photo(3, 40)).save(tmp_path / "photos/a.png")
    script = "import shutil, sys; shutil.copy(*sys.argv[1:])"
    (tmp_path / "copy.py").write_text(script)
    outside = f"outside={sys.executable} copy.py {{grey}} {{colour}}"
    code, _, errors = compare(
        "grey", f"mine={tiny_package}", "--command", outside, "--photos", "photos", "--size", "32", "--output", "out"
    )
    assert (code, errors) == (0, [])
    assert compared_names(tmp_path / "out") == ["grey", "mine", "outside"]
    content = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (content["size"], content["dataset"]["name"]) == (32, "photos of photos")
    assert content["candidates"]["outside"] == content["candidates"]["grey"]


def test_comparing_names_bad_photos_and_continues(compare, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(tiny_photo(3)).save(tmp_path / "photos/good.png")
    write_photo(tmp_path / "photos/grey.png")
    (tmp_path / "photos/text.jpg").write_text("no image")
    code, output, errors = compare("grey", "--photos", "photos", "--size", "16")
    assert code == 2
    assert [line.split(": ")[:2] for line in errors] == [["huebands", "photos/text.jpg"]]
    assert any(line.startswith("grey.png: has no colour and is left out") for line in output)
    assert json.loads((tmp_path / "reports/compare/metrics.json").read_text())["photos"] == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["grey", "grey"], "2 candidates are called grey"),
        (["nowhere"], "nowhere: no such folder"),
        (["grey", "--photos", "nowhere"], "nowhere: no such folder"),
        (["grey", "--size", "64"], "size (=64) needs --photos"),
        (["grey", "--split", "train"], "split (='train') must be one of test, val"),
        (["grey", "--split", "val", "--photos", "."], "split (='val') is one of data/prepared"),
        (["grey", "--photos", "data", "--size", "64"], "holds no photo with colour"),
        (["lightness", "--train", "nowhere"], "dvc repro prepare"),
        (["grey", "--command", "x=y {grey}"], "must hold {grey} and {colour}"),
        (["grey", "--command", "x=nowhere/y {grey} {colour}"], "x: test0.png: the command nowhere/y cannot be run"),
        (["grey", "--timeout", "soon"], "--timeout"),
    ],
)
def test_candidates_that_cannot_be_compared_give_an_error_of_one_line(compare, tmp_path, arguments, reason):
    code, _, errors = compare(*arguments)
    assert (code, len(errors)) == (2, 1)
    assert reason in errors[0]
    assert not (tmp_path / "reports/compare/metrics.json").exists()


def test_comparing_again_replaces_its_own_files_and_no_others(compare, tmp_path):
    assert compare("grey")[0] == 0
    assert compare("grey", "lightness")[0] == 0
    folder = tmp_path / "reports/compare"
    assert compared_names(folder) == ["grey", "lightness"]
    before = (folder / "metrics.json").read_bytes()
    (folder / "photos.csv").write_text("with notes of mine\n")
    code, output, errors = compare("grey")
    assert (code, output) == (2, []), "it is told before the work"
    assert errors == [
        "huebands: reports/compare/photos.csv: is there already and is not a result of huebands as it was written;"
        " choose another folder by --output, or replace it by --overwrite"
    ]
    assert (folder / "photos.csv").read_text() == "with notes of mine\n"
    assert (folder / "metrics.json").read_bytes() == before
    assert compare("grey", "--overwrite")[0] == 0
    assert compared_names(folder) == ["grey"] and (folder / "photos.csv").read_text().startswith("photo,candidate,")


def test_comparing_replaces_no_metrics_of_another_program(compare, tmp_path):
    (tmp_path / "metrics.json").write_text('{"photos": 3, "huebands": "0"}')
    code, _, errors = compare("grey", "--output", ".")
    assert (code, len(errors)) == (2, 1) and "metrics.json: is there already" in errors[0]
    assert not (tmp_path / "photos.csv").exists()


def test_comparing_logs_one_run_per_candidate(compare, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr("huebands.registry.runs.log_runs", lambda *arguments: logged.append(arguments) or "run1")
    code, output, _ = compare("grey", "lightness", "--experiment", "mine", tracked=True)
    ((experiment, parent, children),) = logged
    assert (code, experiment) == (0, "mine")
    assert parent.name == "compare test split of data/prepared, 2 photos of 16 x 16 pixels"
    assert {path.name for path in parent.reports} == {"metrics.json", "photos.csv", "table.md", "index.html"}
    assert [child.name for child in children] == ["grey", "lightness"]
    for run in (parent, *children):
        (dataset,) = run.datasets
        assert (dataset.name, dataset.source) == ("test split of data/prepared", "data/prepared")
    value = json.loads((tmp_path / "reports/compare/metrics.json").read_text())["candidates"]["grey"]["psnr"]["value"]
    assert children[0].metrics["psnr"] == pytest.approx(value, abs=1e-4)
    assert {"ssim_low", "ssim_high"} <= set(children[0].metrics)
    assert all(math.isfinite(value) for value in children[0].metrics.values()), "two photos bound no PSNR"
    assert children[0].params["kind"] == "grey"
    assert "MLflow run run1" in output[-1]


def test_a_store_that_does_not_answer_gives_an_error_of_one_line_and_the_files_are_written(
    compare, tmp_path, monkeypatch
):
    def refuse(*arguments):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10", "it is waited for, a minute and no longer"
        raise NoAnswerError("the store does not answer")

    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setattr("huebands.registry.runs.log_runs", refuse)
    code, _, errors = compare("grey", tracked=True)
    words = "reports/compare is written, but not logged: the store does not answer; run it again, or with --no-tracking"
    assert (code, errors) == (2, [f"huebands: {words}"])
    assert (tmp_path / "reports/compare/index.html").is_file()


def test_comparing_without_tracking_loads_no_mlflow(tmp_path):
    write_prepared(tmp_path / "data/prepared", {"test": [tiny_photo(1)]})
    code = "from huebands.comparison import command, compare; from huebands.cli import main"
    assert "mlflow" not in modules_after(f"{code}; main(['compare', 'nowhere', '--no-tracking'])", tmp_path)
