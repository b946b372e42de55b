"""The limits of the service: fixed ones, and those that come from the environment or fit the machine."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_BODY = 64 * 2**20  # bytes of a request body
MAX_STALL = 30.0  # seconds in which a body must bring MIN_RATE times as many bytes, and a client take a piece
MAX_UPLOAD = 120.0  # seconds that a whole upload may take
MIN_RATE = 4 * 2**10  # bytes/s: half of what a slow mobile uplink of 64 kbit/s carries
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class LimitError(ValueError):
    """An environment variable has a value that is not allowed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits that an operator may set.

    Attributes:
        processes: worker processes.
        threads: threads of each process.
        queue: photos that may wait beside those that a worker process has.
        timeout: seconds that a photo may take, and seconds that it may wait.
        held_bytes: bytes of uploads and answers that are in memory at one time.
    """

    processes: int
    threads: int
    queue: int
    timeout: float
    held_bytes: int

    @property
    def requests(self) -> int:
        """How many requests may upload, wait, be worked on or receive their answer at one time."""
        return 4 * (self.processes + self.queue)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Limits":
        """Read HUEBANDS_PROCESSES, HUEBANDS_QUEUE, HUEBANDS_TIMEOUT (seconds) and HUEBANDS_HELD_MEGABYTES.

        Raises:
            LimitError: names the variable and its value.
        """

        def number(name: str, default: int, lowest: int, highest: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isascii() or not text.isdecimal() or not lowest <= int(text) <= highest:
                raise LimitError(f"{name} (={text!r}) must be a whole number in [{lowest}, {highest}]")
            return int(text)

        cores = usable_cores()
        processes = number("HUEBANDS_PROCESSES", cores, 1, 1024)
        return cls(
            processes=processes,
            threads=max(cores // processes, 1),
            queue=number("HUEBANDS_QUEUE", 16, 0, 10_000),
            timeout=number("HUEBANDS_TIMEOUT", 300, 1, 300),
            held_bytes=number("HUEBANDS_HELD_MEGABYTES", 512, 64, 1_000_000) * 2**20,
        )


def usable_cores(quota: Path = _QUOTA) -> int:
    """How many cores this process may use, by its affinity and by its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
        return max(min(cores, math.ceil(int(share) / int(period))), 1)
    except (OSError, ValueError):  # no such file, or "max" in it
        return cores
