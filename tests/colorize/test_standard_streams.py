"""A photo from standard input, and a picture alone to standard output."""

import hashlib
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huebands import cli
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result_files import picture_of
from tiny_photos import tiny_photo


@pytest.fixture(scope="module")
def photo():
    """The bytes of a photo's file."""
    buffer = io.BytesIO()
    Image.fromarray(tiny_photo(0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def colorize(tiny_package, tmp_path, monkeypatch, capsysbinary):
    """Run `huebands colorize`; gives exit code, output and error lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, content=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = cli.main(["colorize", *map(str, arguments), "--model", str(tiny_package)])
        output, errors = capsysbinary.readouterr()
        return code, output, errors.decode().splitlines()

    return run


@pytest.fixture
def process(tiny_package, tmp_path):
    """Run it in a process of its own, whose streams are real ones; gives the same."""

    def run(*arguments, **streams):
        words = ["colorize", *map(str, arguments), "--model", str(tiny_package)]
        code = "import sys; from huebands.cli import main; sys.exit(main(sys.argv[1:]))"
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        ended = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, check=False, **streams)
        return ended.returncode, ended.stdout, ended.stderr.decode().splitlines()

    return run


def test_a_photo_goes_from_standard_input_to_standard_output(process, photo, tiny_package, tmp_path):
    code, output, errors = process("-", "--output", "-", input=photo)
    assert code == 0
    expected = Colorizer.load(tiny_package).colorize(photo)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(output))), expected.rgb)
    assert output.endswith(picture_of(expected)[-200:]), "nothing but the picture"
    assert [line.split(" (")[0] for line in errors] == [f"model: {tiny_package}", "<stdin> -> standard output"]
    assert not list(tmp_path.iterdir())


def test_a_photo_from_standard_input_is_called_stdin_in_a_folder(colorize, photo, tmp_path):
    (tmp_path / "dog.png").write_bytes(photo)
    code, output, errors = colorize("-", "dog.png", "--output", "out", "--jobs", "2", content=photo)
    assert (code, errors) == (0, [])
    assert b"<stdin> -> out/stdin.colorized.png (16 x 16, " in output
    names = {f"{stem}.{ending}" for stem in ("stdin", "dog") for ending in ("colorized.png", "bands.npz")}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}
    stdin, dog = (np.asarray(Image.open(tmp_path / f"out/{stem}.colorized.png")) for stem in ("stdin", "dog"))
    np.testing.assert_array_equal(stdin, dog)
    report = json.loads((tmp_path / "out/stdin.report.json").read_text())
    assert (report["photo"], report["photo_sha256"]) == ("<stdin>", hashlib.sha256(photo).hexdigest())
    assert b"done before: 1 of 1 photos" in colorize("-", "--output", "out", content=photo)[1]


def test_a_photo_that_standard_input_is_read_from_is_not_replaced(process, photo, tmp_path):
    (tmp_path / "stdin.colorized.png").write_bytes(photo)
    with (tmp_path / "stdin.colorized.png").open("rb") as file:
        code, _, errors = process("-", "--overwrite", stdin=file)
    assert code == 2 and errors[0].startswith("huebands: stdin.colorized.png: is an input, which no result replaces")
    assert (tmp_path / "stdin.colorized.png").read_bytes() == photo


def test_a_file_of_that_name_is_a_file(colorize, photo, tmp_path):
    for name in ("-", "<stdin>"):
        (tmp_path / name).write_bytes(photo)
    code, output, (line,) = colorize("./-", "--output", "./-")
    assert (code, output, line) == (2, b"", "huebands: -/huebands.jsonl: Not a directory")
    code, output, errors = colorize("./-", "<stdin>", "-", "--output", "out", content=photo)
    assert (code, errors) == (0, [])
    assert {path.name for path in (tmp_path / "out").glob("*.colorized.png")} == {
        "-.colorized.png",
        "<stdin>.colorized.png",
        "stdin.colorized.png",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-"], "-: standard input holds one photo, and is given 2 times"),
        (["-", "a.png", "--output", "-"], "--output - is for one photo, and 2 are given"),
        (["-", "--output", "-", "--samples", "2"], "--output -: gives one picture, and --samples needs a folder; name"),
        (["-", "--output", "-", "--report"], "--output -: gives one picture, and --report needs a folder; name"),
    ],
)
def test_what_the_streams_cannot_do_is_told_in_one_line(colorize, photo, tmp_path, arguments, message):
    (tmp_path / "a.png").write_bytes(photo)
    code, output, (line,) = colorize(*arguments, content=photo)
    assert (code, output) == (2, b"") and line.startswith(f"huebands: {message}")


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"no image", "is not an image of a known format")])
def test_bad_input_is_told_and_nothing_is_written(colorize, content, reason):
    code, output, errors = colorize("-", "--output", "-", content=content)
    assert (code, output) == (2, b"")
    assert errors[1].startswith(f"huebands: <stdin>: {reason}")


def test_a_picture_is_not_written_to_a_terminal(process, photo):
    terminal, stdout = pty.openpty()
    code, _, (line,) = process("-", "--output", "-", input=photo, stdout=stdout)
    os.close(stdout)
    os.close(terminal)
    assert code == 2 and line.startswith("huebands: --output -: standard output is a terminal; send it into a file")


def test_a_disk_that_is_full_is_told(process, photo):
    with Path("/dev/full").open("wb") as full:
        code, _, errors = process("-", "--output", "-", input=photo, stdout=full)
    assert (code, errors[-1]) == (2, "huebands: standard output: No space left on device")
