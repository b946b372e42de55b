"""Mutated files and forms are refused or answered, memory does not grow, and the next valid one is answered."""

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import numpy as np
import psutil
import pytest

from form_mutation import forms
from huebands.photos.limits import pixel_limit
from huebands.photos.read import ImageError, read_photo
from huebands.photos.write import encode_png
from in_process import ANSWER_WITHIN, build_in_process
from mutation import mutants

FEW_PIXELS = 1_000_000  # limit for most inputs: one that announces more pixels takes a second
EVERY = 50  # every 50th input may have as many pixels as the service allows
HANG = 60.0  # seconds: far more than any input takes, also on a slow machine
GROWTH = 100 * 2**20  # bytes that the allocator may keep; a leak of 10 kB per input would be twice that


def read_all(inputs: Iterable[tuple[str, bytes]]) -> None:
    """Read each file, and check the contract of `read_photo`."""
    for number, (name, content) in enumerate(inputs):
        limit = FEW_PIXELS if number % EVERY else pixel_limit()
        start = time.perf_counter()
        try:
            photo = read_photo(content, "mutant", limit)
        except ImageError as error:
            assert str(error).startswith("mutant: ") and error.reason, name
            assert len(error.reason.splitlines()) == 1, (name, error.reason)
            assert not isinstance(error.__cause__, Warning | AssertionError), name
        except BaseException as error:
            raise AssertionError(name) from error
        else:
            height, width, channels = photo.shape
            assert photo.dtype == np.uint8 and channels == 3 and 0 < height * width <= limit, name
        assert time.perf_counter() - start < HANG, name


def resident() -> int:
    """Resident memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


@asynccontextmanager
async def client_of(package: Path) -> Iterator[httpx.AsyncClient]:
    """A client of the application in this process; errors of the application are raised here."""
    transport = httpx.ASGITransport(build_in_process(package))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


async def ask(client: httpx.AsyncClient, content: bytes, path: str = "/bands") -> httpx.Response:
    with anyio.fail_after(ANSWER_WITHIN):
        return await client.post(path, files={"image": ("cat.png", content)}, data={"alpha": "0.2"})


def check(response: httpx.Response, name: str) -> None:
    """Check the contract: an answer, or a refusal of one line."""
    assert response.status_code in (200, 400, 413, 415, 422), (name, response.status_code, response.text)
    if response.status_code != 200:
        assert set(response.json()) == {"error"}, name
        assert len(response.json()["error"].splitlines()) == 1, name


def ask_all(package: Path, requests: Iterable[tuple[str, dict]], every: int) -> None:
    """Send the requests to the routes for photos in turn, and after `every` requests a valid one."""
    valid_photo = encode_png(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8))

    async def run() -> None:
        async with client_of(package) as client:
            expected = (await ask(client, valid_photo)).content
            paths = itertools.cycle(("/colorize", "/bands", "/explore"))
            for number, (name, request) in enumerate(requests):
                with anyio.fail_after(ANSWER_WITHIN):
                    response = await client.post(next(paths), **request)
                check(response, name)
                if number % every == 0:
                    assert (await ask(client, valid_photo)).content == expected, name
            assert (await ask(client, valid_photo)).content == expected

    anyio.run(run)


def small_enough(inputs: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, dict]]:
    """Make requests of files, without large photos: they take long and test nothing more."""
    for name, content in inputs:
        if not is_large(content):
            yield name, {"files": {"image": ("mutant.png", content)}}


def is_large(content: bytes) -> bool:
    try:
        read_photo(content, max_pixels=100_000)
    except ImageError as error:
        return "more than 100,000" in error.reason and "blocks" not in error.reason
    return False


def as_requests(inputs: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, dict]]:
    """Make requests of mutated forms."""
    for name, (content_type, body) in inputs:
        yield name, {"content": body, "headers": {"content-type": content_type}}


def test_mutated_files_are_refused_or_read() -> None:
    read_all(itertools.islice(mutants(seed=1), 300))


def test_mutated_files_and_forms_are_refused_and_good_ones_served(tiny_package: Path) -> None:
    ask_all(tiny_package, small_enough(itertools.islice(mutants(seed=2), 60)), every=30)
    ask_all(tiny_package, as_requests(itertools.islice(forms(seed=2), 240)), every=120)


@pytest.mark.slow
def test_twenty_thousand_mutated_files_leave_no_memory_behind() -> None:
    read_all(itertools.islice(mutants(seed=3), 2_000))
    bytes_before = resident()
    read_all(itertools.islice(mutants(seed=4), 20_000))
    assert resident() - bytes_before < GROWTH


@pytest.mark.slow
def test_thousands_of_mutated_requests_leave_no_memory_behind(tiny_package: Path) -> None:
    ask_all(tiny_package, small_enough(itertools.islice(mutants(seed=5), 300)), every=100)
    bytes_before = resident()
    ask_all(tiny_package, small_enough(itertools.islice(mutants(seed=6), 2_000)), every=100)
    ask_all(tiny_package, as_requests(itertools.islice(forms(seed=6), 4_000)), every=100)
    assert resident() - bytes_before < GROWTH
