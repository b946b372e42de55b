"""Compares the project's worker pool with BentoML's own workers: lost photos, refusals and idle workers.

    python benchmarks/worker_pool.py [--seconds 45] [--report reports/benchmarks]

Two services colorize 512 x 512 photos in two processes each: the project's own, and `bento_workers.py`. Three
questions:
- kills: four clients send photos one after the other, and every 15 seconds a colorizing process is killed with SIGKILL.
  How many requests get no answer?
- a burst: 40 clients send one photo each at the same time. Do refusals say when to try again?
- two clients: both keep their connection and send photos one after the other. In how many of 20 rounds does one of
  BentoML's workers do all of the work while the other has none? The pool gives photos to any process that is idle.

The questions are about counts, which a busy machine does not change; no time is compared. Needs Linux, for /proc.
"""

import argparse
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

import measurement

CLIENTS, KILL_EVERY, BURST, ROUNDS, PHOTOS_A_ROUND = 4, 15.0, 40, 20, 3
READY_WITHIN = 180  # seconds
MODEL = "models/generator"


@dataclass(frozen=True)
class Contestant:
    """A service, and how its colorizing processes are known.

    Attributes:
        service: what `bentoml serve` takes.
        process: a part of the command line of each colorizing process.
    """

    service: str
    process: str


CONTESTANTS = {
    "the project's pool": Contestant("huebands.service:Huebands", "huebands.serving.workers.worker"),
    "BentoML's workers": Contestant("bento_workers:BentoWorkers", "_bentoml_impl.worker.service"),
}


def photo() -> bytes:
    """Smooth grey waves with noise, 512 x 512, as PNG."""
    side = np.linspace(0, 20, 512)
    levels = 128 + 90 * np.sin(side)[:, None] * np.cos(side) + np.random.default_rng(0).normal(0, 6, (512, 512))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def serve(contestant: Contestant) -> Iterator[tuple[str, int]]:
    """Serve a contestant; gives its address and the process id of `bentoml serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", contestant.service, "--host", "127.0.0.1"]
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"BENTOML_DO_NOT_TRACK": "true", "HUEBANDS_MODEL": MODEL, "HUEBANDS_PROCESSES": "2"}
    environment |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=log, stderr=log)
        try:
            address, end = f"http://127.0.0.1:{port}", time.monotonic() + READY_WITHIN
            while not is_ready(address):
                if server.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise SystemExit(f"{contestant.service} does not start:\n{log.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield address, server.pid
        finally:
            server.terminate()
            server.wait()


def is_ready(address: str) -> bool:
    """Whether a service takes photos."""
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def colorizing(first: int, contestant: Contestant) -> list[int]:
    """The process ids of the colorizing processes below `bentoml serve`."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace")
    return [pid for pid in commands if contestant.process in commands[pid] and is_below(pid, first, parents)]


def is_below(pid: int, first: int, parents: dict[int, int]) -> bool:
    """Whether a process is `first` or a descendant of it."""
    while pid in parents and pid != first:
        pid = parents[pid]
    return pid == first


def send(client: httpx.Client, content: bytes) -> tuple[str, httpx.Response | None]:
    """Send one photo; gives the outcome and the response."""
    try:
        response = client.post("/colorize", files={"image": ("photo.png", content, "image/png")})
    except httpx.TransportError:
        return "connection lost", None
    return ("answered" if response.status_code == 200 else f"status {response.status_code}"), response


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do the same in several threads."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kill_workers(address: str, first: int, contestant: Contestant, content: bytes, seconds: float) -> dict[str, int]:
    """Send photos from four clients while colorizing processes are killed; counts the outcomes and the kills."""
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        with httpx.Client(base_url=address, timeout=300) as client:
            while time.monotonic() < end:
                outcome, _ = send(client, content)
                outcomes[outcome] += 1
                if outcome != "answered":
                    time.sleep(0.2)

    def kill() -> None:
        time.sleep(KILL_EVERY / 3)
        while time.monotonic() < end - KILL_EVERY / 3:
            processes = colorizing(first, contestant)
            if processes:
                os.kill(min(processes), signal.SIGKILL)
                outcomes["kills"] += 1
            time.sleep(KILL_EVERY)

    killer = threading.Thread(target=kill)
    killer.start()
    in_threads(CLIENTS, work)
    killer.join()
    return dict(outcomes)


def burst(address: str, content: bytes) -> dict[str, int]:
    """Send 40 photos at once; counts the answers, the refusals, and the refusals with a time to try again."""
    outcomes: Counter[str] = Counter()
    together = threading.Barrier(BURST)

    def work(number: int) -> None:
        with httpx.Client(base_url=address, timeout=300) as client:
            together.wait()
            outcome, response = send(client, content)
            outcomes[outcome] += 1
            if response is not None and response.status_code != 200:
                outcomes["refused"] += 1
                outcomes["refused with Retry-After"] += "retry-after" in response.headers

    in_threads(BURST, work)
    return dict(outcomes)


def idle_rounds(address: str, content: bytes) -> int:
    """In how many rounds of two clients one of BentoML's workers answered both."""
    idle = 0
    for _ in range(ROUNDS):
        workers: set[str] = set()

        def work(number: int, workers: set[str] = workers) -> None:
            with httpx.Client(base_url=address, timeout=300) as client:
                for _ in range(PHOTOS_A_ROUND):
                    _, response = send(client, content)
                    if response is not None and "worker" in response.headers:
                        workers.add(response.headers["worker"])

        in_threads(2, work)
        idle += len(workers) == 1
    return idle


def main() -> None:
    """Print the outcomes of the requests; with --report, write them too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=45, help="of the kills (default: 45)")
    parser.add_argument("--report", type=Path, help="folder that worker_pool.json is written to")
    options = parser.parse_args()
    content, figures = photo(), dict[str, Any](burst=BURST, rounds=ROUNDS, clients=CLIENTS)
    for name, contestant in CONTESTANTS.items():
        with serve(contestant) as (address, first):
            result: dict[str, Any] = {"burst": burst(address, content)}
            if contestant.service.startswith("bento_workers"):
                result["rounds_with_an_idle_worker"] = idle_rounds(address, content)
            result["kills"] = kill_workers(address, first, contestant, content, options.seconds)
        print(f"{name}: {result}", flush=True)
        figures["pool" if "pool" in name else "bento"] = result
    if options.report:
        note = f"Two colorizing processes each, photos of 512x512 pixels, {options.seconds:g} seconds of kills."
        command = "python benchmarks/worker_pool.py --report reports/benchmarks"
        measurement.write(options.report / "worker_pool", command, figures, note=note, model=MODEL)


if __name__ == "__main__":
    main()
