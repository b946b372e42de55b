"""A folder of photos by one process and by several: the ratio of their seconds, and memory over the run (Linux only).

    python benchmarks/batch.py [--photos N] [--megapixels M] [--jobs N] [--model FOLDER]

Memory is that of all processes of a run, shared pages counted once. It is taken every half second; the second quarter
of the run is compared with the last.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measurement import machine
from sizes import photo_file

_EVERY = 0.5  # seconds


def main() -> None:
    """Make the photos, colorize them twice, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=200, help="number of photos (default: 200)")
    parser.add_argument("--megapixels", type=float, default=1.0, help="of each photo (default: 1)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (default: the cores)")
    parser.add_argument("--model", help="folder of the model package; the default one when left out")
    options = parser.parse_args()
    side = round((options.megapixels * 1e6) ** 0.5)
    print(f"{options.photos} photos of {side} x {side}; {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        photos.mkdir()
        content = photo_file(side, side)
        for number in range(options.photos):
            # JPEG ends at its last marker: what follows makes each file another one
            (photos / f"{number}.jpg").write_bytes(content + number.to_bytes(4, "big"))
        seconds = {}
        for jobs in (1, options.jobs):
            seconds[jobs], memory = run(photos, Path(folder, f"results-{jobs}"), jobs, options.model)
            early, late = (memory[len(memory) * start // 4 : len(memory) * end // 4] for start, end in ((1, 2), (3, 4)))
            print(
                f"--jobs {jobs}: {seconds[jobs]:.1f} s, {options.photos * side**2 / 1e6 / seconds[jobs]:.2f} MP/s;"
                f" {max(memory):,.0f} MB at most, {statistics.mean(early):,.0f} MB in the second quarter,"
                f" {statistics.mean(late):,.0f} MB in the last"
            )
        print(f"{options.jobs} processes are {seconds[1] / seconds[options.jobs]:.2f} times as fast as one")


def run(photos: Path, output: Path, jobs: int, model: str | None) -> tuple[float, list[float]]:
    """Colorize a folder; gives the seconds, and the megabytes of all processes every half second."""
    words = ["colorize", photos, "--output", output, "--jobs", jobs, *(["--model", model] if model else [])]
    program = "from huebands.cli import main; raise SystemExit(main())"
    start, memory = time.perf_counter(), list[float]()
    command = [sys.executable, "-c", program, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory.append(megabytes(process.pid))
            time.sleep(_EVERY)
    if process.returncode:
        raise SystemExit(f"batch: huebands colorize failed with exit code {process.returncode}")
    return time.perf_counter() - start, memory


def megabytes(pid: int) -> float:
    """The memory of a process and those that it started, MB of 10^6 bytes."""
    process = Path(f"/proc/{pid}")
    try:
        lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
        children = (process / f"task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:  # it has ended
        return 0.0
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
    return own + sum(megabytes(int(child)) for child in children)


if __name__ == "__main__":
    main()
