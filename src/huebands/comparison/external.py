"""Colorizers of other projects: any command that maps a grey PNG file to a colour file, without a shell."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from huebands.comparison.candidates import Candidate
from huebands.comparison.own_photos import ComparisonError, Photo
from huebands.photos.read import ImageError, read_photo
from huebands.photos.write import encode_png

FILE_PLACEHOLDERS, FOLDER_PLACEHOLDERS = ("{grey}", "{colour}"), ("{greys}", "{colours}")
_TAIL = 4096  # bytes at the end of stderr that are searched for the last line


class OutsideError(ComparisonError):
    """An outside colorizer failed, or gave a wrong result."""


def outside_candidate(text: str, photos: Sequence[Photo], timeout: float) -> Candidate:
    """Make a candidate of a command.

    Args:
        text: "NAME=COMMAND". The command holds {grey} and {colour}, files to read and to write, and runs once a photo;
            or {greys} and {colours}, folders of such files, and runs once, at the first photo.
        photos: all photos of the comparison.
        timeout: seconds a photo.

    Returns:
        A candidate whose `colorize` raises `OutsideError` with the command's name, the photo, what was wrong and the
        last line that the command wrote to stderr.

    Raises:
        OutsideError: when the text is no such command.
    """
    name, _, command = text.partition("=")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise OutsideError(f"--command {text}: cannot be split into words ({error})") from error
    if not name or not words:
        raise OutsideError(f"--command {text}: must be NAME=COMMAND")
    if not timeout > 0:
        raise OutsideError(f"timeout (={timeout:g}) must be above 0 seconds")
    placeholders = {
        placeholder
        for placeholder in (*FILE_PLACEHOLDERS, *FOLDER_PLACEHOLDERS)
        if any(placeholder in word for word in words)
    }
    if placeholders == set(FILE_PLACEHOLDERS):
        colorize: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]] = _OneByOne(name, words, timeout)
    elif placeholders == set(FOLDER_PLACEHOLDERS):
        colorize = _AllAtOnce(name, words, timeout, photos)
    else:
        raise OutsideError(
            f"--command {text}: must hold {' and '.join(FILE_PLACEHOLDERS)}, or {' and '.join(FOLDER_PLACEHOLDERS)}"
        )
    return Candidate(name, "command", f"The command `{command}`.", {"command": command}, colorize)


class _OneByOne:
    """Runs the command once for each photo."""

    def __init__(self, name: str, words: Sequence[str], timeout: float) -> None:
        self._name, self._words, self._timeout = name, words, timeout

    def __call__(self, photo_name: str, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        subject = f"{self._name}: {photo_name}"
        with tempfile.TemporaryDirectory(prefix="huebands-") as folder:
            grey, colour = Path(folder) / "grey.png", Path(folder) / "colour.png"
            grey.write_bytes(encode_png(grey_HW))
            paths = dict(zip(FILE_PLACEHOLDERS, (grey, colour), strict=True))
            last_line = _run(self._words, paths, self._timeout, subject)
            return _read(colour, grey_HW.shape, subject, last_line)


class _AllAtOnce:
    """Runs the command once for all photos; the results stay encoded."""

    def __init__(self, name: str, words: Sequence[str], timeout: float, photos: Sequence[Photo]) -> None:
        self._name, self._words, self._timeout, self._photos = name, words, timeout, photos
        self._results: dict[str, bytes] = {}

    def __call__(self, photo_name: str, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self._results:
            self._results = self._colorize_all()
        return read_photo(self._results[photo_name])

    def _colorize_all(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory(prefix="huebands-") as folder:
            greys, colours = Path(folder) / "greys", Path(folder) / "colours"
            greys.mkdir()
            colours.mkdir()
            files = {photo.name: f"{number:05d}.png" for number, photo in enumerate(self._photos, 1)}
            for photo in self._photos:
                (greys / files[photo.name]).write_bytes(encode_png(photo.grey))
            paths = dict(zip(FOLDER_PLACEHOLDERS, (greys, colours), strict=True))
            last_line = _run(self._words, paths, self._timeout * len(files), f"{self._name}: all {len(files)} photos")
            results = {}
            for photo in self._photos:
                subject = f"{self._name}: {photo.name} ({files[photo.name]})"
                rgb = _read(colours / files[photo.name], photo.grey.shape, subject, last_line)
                results[photo.name] = encode_png(rgb)
            return results


def _run(words: Sequence[str], paths: Mapping[str, Path], timeout: float, subject: str) -> str:
    """Run a command; gives the last line of its stderr, as the end of a sentence."""
    filled = [_fill(word, paths) for word in words]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            # In a session of its own, so that processes that the command starts can be ended with it.
            process = subprocess.Popen(
                filled, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )
        except OSError as error:
            raise OutsideError(f"{subject}: the command {words[0]} cannot be run: {error.strerror}") from error
        try:
            code = process.wait(timeout)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise OutsideError(f"{subject}: took more than {timeout:g} seconds{_last_line(errors)}") from error
        last_line = _last_line(errors)
    if code != 0:
        ending = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise OutsideError(f"{subject}: the command {ending}{last_line}")
    return last_line


def _fill(word: str, paths: Mapping[str, Path]) -> str:
    for placeholder, path in paths.items():
        word = word.replace(placeholder, str(path))
    return word


def _read(path: Path, shape: tuple[int, ...], subject: str, last_line: str) -> NDArray[np.uint8]:
    """Read a result, which must have the size of its photo; it is scored without a change."""
    if not path.is_file():
        raise OutsideError(f"{subject}: the command wrote no colour file{last_line}")
    try:
        rgb = read_photo(path)
    except ImageError as error:
        raise OutsideError(f"{subject}: the colour file {error.reason}{last_line}") from error
    if rgb.shape[:2] != shape:
        actual, expected = (f"{width} x {height}" for height, width in (rgb.shape[:2], shape))
        raise OutsideError(f"{subject}: the colour file has {actual} pixels, not {expected}{last_line}")
    return rgb


def _last_line(errors: IO[bytes]) -> str:
    """Give the last line of a command's stderr as the end of a sentence."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL))
    lines = errors.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; its last line on stderr: {last}" if last else "; it wrote nothing to stderr"
