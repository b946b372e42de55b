"""Seconds and memory of one job of the service by the photo's size, each in a process of its own (Linux only).

The process does what a worker process does: it loads the model, warms up, and gets one photo. "before" is the memory it
holds until then, "peak" the most that it holds while it decodes, colorizes and encodes.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import read_package
from huebands.serving.workers import worker
from huebands.serving.workers.jobs import Answer, Job, Kind
from huebands.serving.workers.messages import Done, Task
from measurement import machine, write

SIZES = ("8x8", "512x512", "2048x2048", "8000x6250", "6250x8000", "1x50000000", "50000000x1")  # width x height
_LONGEST_JPEG = 65_500  # pixels a side
_RESET_PEAK = "5"  # what resets VmHWM when it is written to /proc/self/clear_refs


def main() -> None:
    """Print one line for each size, and write them down where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", help="folder of the model package; the default one when left out")
    parser.add_argument("--kind", choices=get_args(Kind), default="bands", help="what is asked for (default: bands)")
    parser.add_argument("--photo", type=Path, help="work on this one, in this process, and print JSON")
    parser.add_argument("--report", type=Path, help="folder for sizes.json and sizes.csv; none when left out")
    parser.add_argument("sizes", nargs="*", default=SIZES, help=f"width x height, in pixels (default: {SIZES})")
    options = parser.parse_args()
    colorizer = Colorizer.load(options.model)
    folder = str(colorizer.package.folder)
    if options.photo is not None:
        content = options.photo.read_bytes()
        print(json.dumps(measure(folder, colorizer.package.package_sha256, options.kind, content)))
        return
    print(f"/{options.kind} with {colorizer.source}; width x height, megabytes of 10^6 bytes; {machine()}")
    rows = []
    for size in options.sizes:
        width, height = map(int, size.split("x"))
        print(f"{size:>12}", end=" ", flush=True)
        with tempfile.NamedTemporaryFile() as file:
            file.write(photo_file(width, height))
            file.flush()
            arguments = ["--model", folder, "--kind", options.kind, "--photo", file.name]
            output = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE).stdout
        figures = json.loads(output)
        print(describe(figures), flush=True)
        before, peak = figures["before_mb"] / 1e3, figures["peak_mb"] / 1e3
        row = {"seconds": f"{figures['seconds']:.2g}", "peak_gb": f"{peak:.2f}", "photo_gb": f"{peak - before:.2f}"}
        rows.append({"width": width, "height": height, **row})
    if options.report:
        command = "python benchmarks/sizes.py --report reports/benchmarks"
        note = f"The request is /{options.kind}. Each photo has a process of its own, which has warmed up."
        write(options.report / "sizes", command, {}, rows, note, model=str(colorizer.source))


def describe(figures: Mapping[str, Any]) -> str:
    """The figures of `measure` as one line."""
    before, peak = figures["before_mb"], figures["peak_mb"]
    steps = ", ".join(f"{step} {duration:.2f}" for step, duration in figures["steps"].items())
    return (
        f"{figures['seconds']:7.2f} s ({steps}; {figures['processor_seconds']:.2f} of a processor);"
        f" before {before:,.0f} MB, peak {peak:,.0f} MB (+{peak - before:,.0f});"
        f" {figures['in_mb']:.1f} MB in, {figures['out_mb']:.1f} MB out"
    )


def measure(folder: str, sha256: str, kind: Kind, content: bytes) -> dict[str, Any]:
    """Run one job: its time and memory."""
    do_task = worker.prepare(Colorizer(read_package(Path(folder), sha256), folder))
    job = Job(kind=kind, content=content, name="photo", guarantee=Guarantee())
    memory_before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    start, processor_start = time.perf_counter(), time.process_time()
    reply = do_task(Task(job, alone=True))
    seconds, processor = time.perf_counter() - start, time.process_time() - processor_start
    assert isinstance(reply, Done) and isinstance(reply.outcome, Answer), reply
    outcome = reply.outcome
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "steps": dict(outcome.measurements.seconds),
        "before_mb": memory_before,
        "peak_mb": megabytes("VmHWM"),
        "in_mb": len(content) / 1e6,
        "out_mb": len(outcome.body) / 1e6,
    }


def megabytes(name: str) -> float:
    """A line of this process's memory: VmRSS is what it holds now, VmHWM the most that it held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def photo_file(width: int, height: int) -> bytes:
    """A colour photo of soft patches with some noise: as JPEG, where that can be so large."""
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (min(height, 40), min(width, 40), 3), dtype=np.uint8)
    image = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    noise = random.integers(-4, 5, (min(height, 512), min(width, 512), 1), dtype=np.int16)
    values = np.asarray(image).astype(np.int16)
    repeats = (-(-height // noise.shape[0]), -(-width // noise.shape[1]), 1)
    values += np.tile(noise, repeats)[:height, :width]
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    if max(width, height) <= _LONGEST_JPEG:
        image.save(buffer, "JPEG", quality=90)
    else:
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
