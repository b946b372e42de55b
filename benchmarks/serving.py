"""The service under load, beside the bare `Colorizer` and a plain U-Net, in one run on one machine.

`bentoml serve` answers 512 x 512 photos from 1, 4 and 16 clients, each of which sends its next request at once. The
bare call runs in a process like a worker process and takes turns with a single client, so that a noisy machine treats
both alike. The plain U-Net is pix2pix's (54 million parameters, 256 x 256) in eager float32: the network alone, without
decoding, bands or files.
"""

import argparse
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.models.networks import unet
from huebands.photos.formats import SUFFIXES
from huebands.photos.write import encode_png

SIDE = 512
EXAMPLES = Path(__file__).parents[1] / "src/huebands/serving/page/examples"
CLIENTS = (1, 4, 16)
READY_WITHIN = 180  # seconds


def photo() -> bytes:
    """The first of the page's examples as a JPEG of 512 x 512 pixels."""
    path = min(path for path in EXAMPLES.iterdir() if path.suffix in SUFFIXES)
    buffer = io.BytesIO()
    Image.open(path).convert("L").resize((SIDE, SIDE)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def serve(processes: int | None) -> Iterator[str]:
    """Run `bentoml serve` on a free port; gives the address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "huebands.service:Huebands", "--host", "127.0.0.1"]
    environment = os.environ | {"BENTOML_DO_NOT_TRACK": "true"}
    if processes is not None:
        environment["HUEBANDS_PROCESSES"] = str(processes)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=log, stderr=log)
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + READY_WITHIN
            while not _ready(url):
                if server.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise SystemExit(f"the service does not start:\n{log.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def ask(client: httpx.Client, path: str, content: bytes) -> None:
    """Send the photo, and read the whole answer."""
    client.post(path, files={"image": ("photo.jpg", content)}).raise_for_status()


def seconds_of(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def load(url: str, path: str, content: bytes, clients: int, seconds: float) -> tuple[list[float], float]:
    """Send requests from so many clients for so long; gives the latencies, and photos a second."""
    latencies: list[list[float]] = [[] for _ in range(clients)]
    start = time.perf_counter()

    def run(own_latencies: list[float]) -> None:
        with httpx.Client(base_url=url, timeout=300) as client:
            while time.perf_counter() - start < seconds:
                own_latencies.append(seconds_of(lambda: ask(client, path, content)))

    threads = [threading.Thread(target=run, args=(own_latencies,)) for own_latencies in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    pooled = [latency for own_latencies in latencies for latency in own_latencies]
    return pooled, len(pooled) / elapsed


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--rounds", type=int, default=25, help="of turns between service and bare call")
    parser.add_argument("--processes", type=int, help="worker processes; default: the service's")
    arguments = parser.parse_args()
    content, colorizer = photo(), Colorizer.load()
    with serve(arguments.processes) as url, httpx.Client(base_url=url, timeout=300) as client:
        processes = arguments.processes or len(os.sched_getaffinity(0))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
        colorizer = Colorizer.load()  # its engines take as many threads as the service's
        print(f"{colorizer.source}, {processes} processes of {torch.get_num_threads()} threads, {SIDE} x {SIDE} photos")
        compare(client, colorizer, content, arguments.rounds)
        for path in ("/colorize", "/bands"):
            for clients in CLIENTS:
                latencies, rate = load(url, path, content, clients, arguments.seconds)
                p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) * 1e3
                print(
                    f"{path} from {clients} clients: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms,"
                    f" {rate:.1f} photos/s ({len(latencies)} photos)"
                )


def compare(client: httpx.Client, colorizer: Colorizer, content: bytes, rounds: int) -> None:
    """Let the service, the bare call, the networks and the plain U-Net take turns."""
    size, density = colorizer.package.config["preprocessing"]["image_size"], colorizer.density
    pix2pix = unet.Params(name="unet", filters=64, depth=8, dropout=0.5, norm="batch")
    plain_unet = unet.Network(pix2pix, 256).eval().requires_grad_(False)
    zeros = {side: torch.zeros(1, 1, side, side) for side in (256, size, density.image_size)}
    contestants: dict[str, Callable[[], object]] = {
        "service /colorize": lambda: ask(client, "/colorize", content),
        "service /bands": lambda: ask(client, "/bands", content),
        "bare: decode, colorize, PNG": lambda: encode_png(colorizer.colorize(content).rgb),
        "bare: decode, colorize": lambda: colorizer.colorize(content),
        "its networks": lambda: (
            colorizer.colours.compiled.run(zeros[size]),
            density.run(zeros[density.image_size]),
        ),
        "plain U-Net, eager float32": lambda: plain_unet(zeros[256]),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    with torch.inference_mode():
        for turn in range(rounds + 3):
            for name, contestant in contestants.items():
                seconds = seconds_of(contestant)
                if turn >= 3:  # the first ones warm up
                    times[name].append(seconds)
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in median.items():
        print(f"  {name}: {seconds * 1e3:.1f} ms")
    answer = median["service /colorize"]
    print(f"  /colorize beside the bare call: {answer / median['bare: decode, colorize, PNG']:.2f} times")
    print(f"  /colorize beside the bare call without PNG: {answer / median['bare: decode, colorize']:.2f} times")
    print(f"  /bands beside /colorize: {median['service /bands'] / answer:.2f} times")
    print(f"  time of /colorize outside the networks: {1 - median['its networks'] / answer:.0%}")
    eager = median["plain U-Net, eager float32"]
    print(f"  plain U-Net beside the networks: {eager / median['its networks']:.2f} times")
    print(f"  plain U-Net beside all of /colorize: {eager / answer:.2f} times")


if __name__ == "__main__":
    main()
