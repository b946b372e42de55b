"""Outside colorizers: a command from a grey file to a colour file, with errors that name what went wrong."""

import shlex
import sys
import time

import numpy as np
import pytest

from huebands.comparison.external import OutsideError, outside_candidate
from tiny_photos import SIZE, photo_set

PHOTOS = photo_set(3).photos
TINT = """
import sys
from pathlib import Path
from PIL import Image
source, target = map(Path, sys.argv[1:3])
files = [(source, target)] if source.is_file() else [(path, target / path.name) for path in sorted(source.iterdir())]
for grey, colour in files:
    image = Image.open(grey)
    assert image.mode == "L"
    Image.merge("RGB", (image.point(lambda level: min(level + 20, 255)), image, image)).save(colour)
"""


@pytest.fixture
def command(tmp_path):
    """Write a Python script; gives the command NAME=COMMAND that runs it with the placeholders."""

    def write(script, placeholders="{grey} {colour}"):
        path = tmp_path / "an outside colorizer.py"
        path.write_text(script)
        return f"tint={shlex.join([sys.executable, str(path)])} {placeholders}"

    return write


def colorize_all(text, timeout=60):
    candidate = outside_candidate(text, PHOTOS, timeout)
    return [candidate.colorize(photo.name, photo.grey) for photo in PHOTOS]


@pytest.mark.parametrize("placeholders", ["{grey} {colour}", "{greys} {colours}"])
def test_a_command_gets_grey_and_its_colours_are_not_changed(command, placeholders):
    for photo, rgb in zip(PHOTOS, colorize_all(command(TINT, placeholders)), strict=True):
        assert rgb.shape == (SIZE, SIZE, 3)
        assert (rgb[..., 1] == photo.grey).all() and (rgb[..., 2] == photo.grey).all()
        assert (rgb[..., 0] == np.minimum(photo.grey.astype(int) + 20, 255)).all()


@pytest.mark.parametrize(("placeholders", "runs"), [("{grey} {colour}", 3), ("{greys} {colours}", 1)])
def test_a_command_for_files_runs_once_a_photo_and_one_for_folders_once(command, tmp_path, placeholders, runs):
    log = tmp_path / "log"
    colorize_all(command(TINT + f"open({str(log)!r}, 'a').write('run\\n')", placeholders))
    assert log.read_text().count("run") == runs


def test_a_placeholder_may_be_part_of_a_word_and_no_shell_reads_the_command(command, tmp_path):
    script = "import sys\nassert sys.argv[3] == '$HOME;'\nsys.argv[1] = sys.argv[1].removeprefix('--in=')\n" + TINT
    assert len(colorize_all(command(script, "--in={grey} {colour} '$HOME;'"))) == 3


def test_nothing_is_left_behind(command, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    colorize_all(command(TINT))
    with pytest.raises(OutsideError):
        colorize_all(command("raise SystemExit(1)", "{greys} {colours}"))
    assert [path.name for path in tmp_path.iterdir()] == ["an outside colorizer.py"]


WRITE = "import sys\nfrom pathlib import Path\nfrom PIL import Image\ncolour = sys.argv[2]\n"
FAILURES = {
    "import sys; print('loading'); sys.exit('no weights\\n')": r"ended with exit code 1; .*: no weights$",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": r"was ended by signal 9; it wrote nothing to stderr$",
    "import sys; print('a warning', file=sys.stderr)": r"wrote no colour file; .*: a warning$",
    WRITE + "Path(colour).write_text('no image')": r"the colour file is not an image",
    WRITE + "Image.new('RGB', (5, 9)).save(colour)": rf"has 5 x 9 pixels, not {SIZE} x {SIZE}",
}


@pytest.mark.parametrize("script", FAILURES)
def test_a_failure_names_command_photo_reason_and_last_line(command, script):
    with pytest.raises(OutsideError, match=rf"^tint: 0\.png: .*{FAILURES[script]}"):
        colorize_all(command(script))


def test_a_file_that_a_folder_lacks_is_named_with_its_photo(command):
    script = TINT.replace("for grey, colour in files:", "for grey, colour in files[:2]:")
    with pytest.raises(OutsideError, match=r"tint: 2\.png \(00003\.png\): the command wrote no colour file"):
        colorize_all(command(script, "{greys} {colours}"))


def test_a_command_that_takes_too_long_ends_with_the_processes_that_it_started(command, tmp_path):
    alive = tmp_path / "alive"
    child = f"import time; time.sleep(2); open({str(alive)!r}, 'w')"
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    start = time.monotonic()
    with pytest.raises(OutsideError, match=r"tint: 0\.png: took more than 0\.5 seconds"):
        colorize_all(command(script), timeout=0.5)
    time.sleep(max(0, 3 - (time.monotonic() - start)))
    assert not alive.exists()


def test_the_timeout_of_one_run_for_all_photos_grows_with_their_number(command):
    assert len(colorize_all(command("import time\ntime.sleep(1.2)\n" + TINT, "{greys} {colours}"), timeout=1)) == 3


def test_a_command_that_does_not_exist_is_named():
    with pytest.raises(OutsideError, match=r"tint: 0\.png: the command nowhere/infer cannot be run: No such file"):
        colorize_all("tint=nowhere/infer {grey} {colour}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("infer.py {grey} {colour}", "must be NAME=COMMAND"),
        ("=infer.py {grey} {colour}", "must be NAME=COMMAND"),
        ("x=", "must be NAME=COMMAND"),
        ("x=infer.py {grey}", "must hold {grey} and {colour}, or {greys} and {colours}"),
        ("x=infer.py {grey} {colours}", "must hold"),
        ("x=infer.py {grey} {colour} {greys} {colours}", "must hold"),
        ("x=infer.py 'open {grey} {colour}", "cannot be split into words"),
    ],
)
def test_a_command_that_cannot_work_is_refused_at_once(text, reason):
    with pytest.raises(OutsideError) as caught:
        outside_candidate(text, PHOTOS, 60)
    assert text in str(caught.value) and reason in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_must_be_positive(timeout):
    with pytest.raises(OutsideError, match="timeout"):
        outside_candidate("x=infer.py {grey} {colour}", PHOTOS, timeout)
