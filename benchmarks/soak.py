"""Sends the service twice its capacity for minutes: is any accepted photo lost, does memory grow?

    python benchmarks/soak.py --minutes 10

Serves the default model and measures its capacity (closed loop, photos of 512x512, /colorize and /bands in turn). Then
it sends twice that, without waiting for answers (open loop). One request in twenty hangs up, one is no photo and one is
cut off. Every answer must equal the first one for the same photo; a 503 must say when to try again; no other answer is
allowed. Memory and open files of every process are read from /proc, so this needs Linux. The exit code is 1 when
something was lost, an answer was wrong or memory grew by more than GROWTH.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from huebands.photos.write import encode_png

CLIENTS = 16  # that measure the capacity
MEASURED = 15.0  # seconds
OVERLOAD = 2.0  # times that
EVERY = 2.0  # seconds between two samples of memory
GROWTH = 0.05  # of a process's memory, from the first third to the last one
READY_WITHIN = 120.0  # seconds
HANG_UP_AFTER = 0.05  # seconds
PATHS = ("/colorize", "/bands")
TEXT, CUT, HANG_UP = 3, 9, 15  # of each twenty requests


@dataclass
class Outcomes:
    """The outcomes of the requests."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)  # reasons
    seconds: list[float] = field(default_factory=list)  # of correct answers


@dataclass
class Sample:
    """The memory and open files of one process at one time."""

    seconds: float
    megabytes: float
    files: int


def make_photos(count: int = 6, side: int = 512) -> list[bytes]:
    """Smooth colours with some noise, as PNG."""
    random = np.random.default_rng(0)
    positions = np.linspace(0, 1, side)
    photos = []
    for _ in range(count):
        waves = [
            np.sin(random.uniform(2, 20) * positions[:, None] + random.uniform(2, 20) * positions[None] + phase)
            for phase in random.uniform(0, 6, 3)
        ]
        levels = 128 + 90 * np.stack(waves, axis=-1) + random.normal(0, 6, (side, side, 3))
        photos.append(encode_png(np.clip(levels, 0, 255).astype(np.uint8)))
    return photos


@contextlib.contextmanager
def served() -> Iterator[tuple[str, int]]:
    """Serve the default model; gives the address and the ID of the first process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "huebands.service:Huebands", "--host", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        environment = os.environ | {"BENTOML_DO_NOT_TRACK": "true"}
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + READY_WITHIN
            while not is_ready(address):
                if server.poll() is not None or time.monotonic() > end:
                    sys.exit(f"the service is not ready:\n{(Path(folder) / 'log').read_text()[-2000:]}")
                time.sleep(0.2)
            yield address, server.pid
        finally:
            server.terminate()
            server.wait(60)


def is_ready(address: str) -> bool:
    """Whether the service accepts photos."""
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def sample(first: int, since: float) -> dict[str, Sample]:
    """Sample a process and all its descendants, by role and process ID."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    samples = {}
    for pid in parents:
        ancestor = pid
        while ancestor in parents and ancestor != first:
            ancestor = parents[ancestor]
        with contextlib.suppress(OSError):
            if ancestor == first:
                folder = Path("/proc") / str(pid)
                resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
                files = len(list((folder / "fd").iterdir()))
                samples[f"{role(folder)} {pid}"] = Sample(time.monotonic() - since, resident, files)
    return samples


def role(folder: Path) -> str:
    """The role of a process in the service."""
    command = (folder / "cmdline").read_bytes().decode(errors="replace")
    roles = {
        "huebands.serving.workers.worker": "colorizing",
        "_bentoml_impl.worker.service": "HTTP",
        "bentoml": "supervisor",
    }
    return next((name for module, name in roles.items() if module in command), "other")


async def post(client: httpx.AsyncClient, path: str, content: bytes) -> httpx.Response:
    """Send a photo."""
    return await client.post(path, files={"image": ("photo.png", content)})


async def measure_capacity(
    client: httpx.AsyncClient, photos: list[bytes], digests: dict[tuple[str, int], str]
) -> float:
    """Photos a second of clients that wait for each answer."""
    end, answered = time.monotonic() + MEASURED, 0

    async def send(number: int) -> None:
        nonlocal answered
        while time.monotonic() < end:
            number += 1
            path, photo = PATHS[number % 2], number // 2 % len(photos)
            response = await post(client, path, photos[photo])
            if response.status_code == 200:
                digest = hashlib.sha256(response.content).hexdigest()
                assert digests.setdefault((path, photo), digest) == digest, "equal photos, unequal answers"
                answered += 1
            else:
                assert response.status_code == 503, response.text
                await asyncio.sleep(0.1)

    await asyncio.gather(*(send(number) for number in range(CLIENTS)))
    return answered / MEASURED


async def send_one(
    client: httpx.AsyncClient, number: int, photos: list[bytes], digests: dict[tuple[str, int], str], outcomes: Outcomes
) -> None:
    """Send the request of this number, and record its outcome."""
    path, photo, kind = PATHS[number % 2], number // 2 % len(photos), number % 20
    content = {TEXT: b"no photo", CUT: photos[photo][:5000]}.get(kind, photos[photo])
    start = time.monotonic()
    try:
        async with asyncio.timeout(HANG_UP_AFTER if kind == HANG_UP else None):
            response = await post(client, path, content)
    except TimeoutError:
        outcomes.counts["hung up"] += 1
        return
    except httpx.TransportError as error:
        outcomes.lost.append(repr(error))
        return
    status = response.status_code
    if status == 503:
        outcomes.counts["refused"] += 1
        if not response.headers.get("retry-after", "").isdecimal():
            outcomes.lost.append("a 503 does not say when to try again")
    elif kind in (TEXT, CUT):
        outcomes.counts["no photos"] += 1
        if status not in (415, 422):
            outcomes.lost.append(f"a file that is no photo got {status}: {response.text[:200]}")
    elif status != 200:
        outcomes.lost.append(f"{status}: {response.text[:200]}")
    elif hashlib.sha256(response.content).hexdigest() != digests[path, photo]:
        outcomes.lost.append("a wrong answer")
    else:
        outcomes.counts["answered"] += 1
        outcomes.seconds.append(time.monotonic() - start)


async def ticks(rate: float, minutes: float) -> AsyncIterator[int]:
    """Yield the numbers of requests, each when it is due."""
    start = time.monotonic()
    for number in range(int(rate * minutes * 60)):
        await asyncio.sleep(max(start + number / rate - time.monotonic(), 0))
        yield number


async def watch(first: int, samples: dict[str, list[Sample]]) -> None:
    """Record memory and open files, until cancelled."""
    start = time.monotonic()
    while True:
        for name, process_sample in (await asyncio.to_thread(sample, first, start)).items():
            samples[name].append(process_sample)
        await asyncio.sleep(EVERY)


async def soak(address: str, first: int, minutes: float) -> tuple[float, Outcomes, dict[str, list[Sample]]]:
    """Measure, then overload; gives photos a second, the outcomes of the requests, and memory over time."""
    photos, outcomes, samples = make_photos(), Outcomes(), defaultdict[str, list[Sample]](list)
    digests: dict[tuple[str, int], str] = {}
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=address, timeout=330, limits=unlimited) as client:
        capacity = await measure_capacity(client, photos, digests)
        watcher = asyncio.create_task(watch(first, samples))
        async with asyncio.TaskGroup() as group:
            async for number in ticks(OVERLOAD * capacity, minutes):
                group.create_task(send_one(client, number, photos, digests, outcomes))
        watcher.cancel()
        for (path, photo), digest in digests.items():
            response = await post(client, path, photos[photo])
            if hashlib.sha256(response.content).hexdigest() != digest:
                outcomes.lost.append(f"after the end: {response.status_code}")
    return capacity, outcomes, samples


def growth(samples: list[Sample]) -> float:
    """Share by which memory grew from the first third to the last; the median withstands single large answers."""
    third = max(len(samples) // 3, 1)
    first, last = (
        statistics.median(item.megabytes for item in some_samples)
        for some_samples in (samples[:third], samples[-third:])
    )
    return last / first - 1


def main() -> int:
    """Run the soak test, and print its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    with served() as (address, first):
        capacity, outcomes, samples = asyncio.run(soak(address, first, minutes))
    offered = int(OVERLOAD * capacity * minutes * 60)
    print(f"{capacity:.1f} photos/s from {CLIENTS} clients; then {OVERLOAD * capacity:.1f}/s for {minutes:g} minutes")
    print(f"{offered} requests: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.counts.most_common()))
    if len(outcomes.seconds) > 1:
        cuts = statistics.quantiles(outcomes.seconds, n=100)
        print(f"seconds to an answer: p50 {cuts[49]:.2f}, p95 {cuts[94]:.2f}, p99 {cuts[98]:.2f}")
        print(f"{len(outcomes.seconds) / (minutes * 60):.1f} photos/s were answered meanwhile")
    print(f"{'process':<20}{'MB first':>10}{'MB last':>10}{'growth':>9}{'files':>7}{'':>3}last")
    grown = False
    for name, process_samples in sorted(samples.items()):
        share, edge = growth(process_samples), (process_samples[0], process_samples[-1])
        grown = grown or share > GROWTH
        print(
            f"{name:<20}{edge[0].megabytes:>10.0f}{edge[1].megabytes:>10.0f}{share:>9.1%}"
            f"{edge[0].files:>7}{edge[1].files:>7}"
        )
    print(f"lost: {len(outcomes.lost)}; memory {'grew' if grown else 'is flat'} (limit {GROWTH:.0%})")
    for reason, count in Counter(outcomes.lost).most_common(10):
        print(f"  {count} x {reason}")
    return 1 if outcomes.lost or grown else 0


if __name__ == "__main__":
    sys.exit(main())
