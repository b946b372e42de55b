"""Runs of many photos: side by side in processes, gone on with after a stop of any kind."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huebands import cli
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.complaint import INTERRUPTED
from huebands.colorize.manifest import NAME
from tiny_photos import tiny_photo


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of twelve photos, one of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        path = folder / f"{number % 3}/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(tiny_photo(number)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    return folder


def command(package, photos, output, *arguments):
    words = ("colorize", photos, "--output", output, "--model", package, *arguments)
    return [sys.executable, "-c", "from huebands.cli import main; raise SystemExit(main())", *map(str, words)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def results(output):
    """The files of the results, and what the manifest says of each photo without the time it took."""
    files = {path.relative_to(output): path.read_bytes() for path in output.rglob("*.*") if path.name != NAME}
    lines = {}
    for text in (output / NAME).read_text().splitlines():
        line = json.loads(text)
        lines[line["result"]] = {key: value for key, value in line.items() if key != "seconds"}
    return files, lines


def wait_for_lines(output, count):
    for _ in range(3000):
        if (output / NAME).exists() and (output / NAME).read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    raise AssertionError("no lines came")


@pytest.fixture(scope="module")
def undisturbed(tiny_package, photos, tmp_path_factory):
    """A run in one process, and its results."""
    output = tmp_path_factory.mktemp("undisturbed")
    return run(tiny_package, photos, output, "--jobs", 1), results(output)


def test_processes_give_what_one_process_gives(tiny_package, photos, tmp_path, undisturbed):
    plain, expected = undisturbed
    several = run(tiny_package, photos, tmp_path / "out", "--jobs", 2)
    assert results(tmp_path / "out") == expected
    assert plain.returncode == several.returncode == 2
    assert several.stderr == plain.stderr
    assert [len(run.stdout.splitlines()) for run in (plain, several)] == [12, 12]
    lines = expected[1]
    assert len(lines) == 12 and lines["2/11"]["error"].startswith(f"{photos}/2/11.png: ")
    assert lines["0/0"]["photo"] == f"{photos}/0/0.png" and lines["0/0"]["mean_width"] > 0

    again = run(tiny_package, photos, tmp_path / "out", "--jobs", 2)
    assert "done before: 11 of 12 photos" in again.stdout, "what failed is tried again"
    assert results(tmp_path / "out") == expected


def test_only_what_changed_is_done_again(tiny_package, photos, tmp_path, capsys):
    photos = shutil.copytree(photos, tmp_path / "photos")

    def done(*arguments):
        cli.main([str(word) for word in command(tiny_package, photos, tmp_path / "out", "--jobs", 1, *arguments)[3:]])
        return capsys.readouterr().out

    done()
    Image.fromarray(tiny_photo(99)).save(photos / "0/0.png")
    (tmp_path / "out/1/1.bands.npz").unlink()
    Image.fromarray(tiny_photo(98)).save(photos / "0/new.png")
    output = done()
    assert "done before: 9 of 13 photos" in output
    assert [Path(line.split(" -> ")[0]).name for line in output.splitlines()[1:4]] == ["0.png", "new.png", "1.png"]
    assert "done before" not in done("--alpha", 0.2)
    assert "done before" not in done("--alpha", 0.2, "--overwrite")
    assert "done before: 12 of 13 photos" in done("--alpha", 0.2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(tiny_package, photos, tmp_path, undisturbed, jobs):
    arguments = (tiny_package, photos, tmp_path / "out", "--jobs", jobs)
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_lines(tmp_path / "out", 1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode != 2:  # it was faster
        assert process.returncode == INTERRUPTED
        assert errors.count("\n") == 1 and "; the same command goes on" in errors
    run(*arguments)
    assert results(tmp_path / "out") == undisturbed[1]


def test_a_reader_that_goes_away_ends_the_run_quietly(tiny_package, photos, tmp_path):
    arguments = command(tiny_package, photos, tmp_path / "out", "--jobs", 2)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == cli.BROKEN_PIPE
    assert all(line.startswith(f"huebands: {photos}") for line in errors.splitlines()), "of the damaged photo alone"


def test_an_output_that_is_full_is_told_in_one_line(tiny_package, photos, tmp_path):
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            command(tiny_package, photos / "0", tmp_path / "out"), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (process.returncode, process.stderr) == (2, "huebands: standard output: No space left on device\n")


def kill_after(seconds, arguments, output):
    """Kill a run with SIGKILL some seconds after its first line; its processes end too."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_lines(output, 1)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout
    time.sleep(seconds)
    process.kill()
    process.wait()
    for _ in range(500):
        if not any(is_alive(int(pid)) for pid in children.split()):
            return
        time.sleep(0.02)
    raise AssertionError("processes outlive the run")


def is_alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_killed_run_is_gone_on_with(tiny_package, photos, tmp_path, undisturbed):
    arguments = (tiny_package, photos, tmp_path / "out", "--jobs", 2)
    kill_after(0.02, arguments, tmp_path / "out")
    run(*arguments)
    assert results(tmp_path / "out") == undisturbed[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_many_photos_that_is_killed_at_random_moments_is_gone_on_with(
    tiny_package, tmp_path, undisturbed_hundred, seed
):
    folder, expected = undisturbed_hundred
    arguments, draw = (tiny_package, folder, tmp_path / "out", "--jobs", 2), random.Random(seed)
    for _ in range(3):
        kill_after(draw.uniform(0, 2), arguments, tmp_path / "out")
    run(*arguments)
    assert results(tmp_path / "out") == expected


@pytest.fixture(scope="module")
def undisturbed_hundred(tiny_package, tmp_path_factory):
    folder, output = tmp_path_factory.mktemp("hundred"), tmp_path_factory.mktemp("results")
    for number in range(100):
        grey = np.random.default_rng(number).integers(0, 256, (60, 80), np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")
    run(tiny_package, folder, output, "--jobs", 1)
    return folder, results(output)


def test_processes_that_cannot_load_the_model_end_the_run_in_one_line(
    tiny_package, photos, tmp_path, monkeypatch, capfd
):
    package, load = shutil.copytree(tiny_package, tmp_path / "tiny"), Colorizer.load

    def load_and_lose(source):
        colorizer = load(source)
        (package / "config.json").unlink()
        return colorizer

    monkeypatch.setattr(Colorizer, "load", load_and_lose)
    words = ["colorize", photos, "--output", tmp_path / "out", "--model", package, "--jobs", 2]
    assert cli.main([*map(str, words)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "config.json" in line and line.endswith("; stopped after 0 of 12 photos, the same command goes on")
