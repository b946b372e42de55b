"""Shows how far a long piece of work is: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

_LOG_SECONDS = 30.0


def follow(sizes: Iterable[int], label: str, total: int, done: int) -> Iterator[int]:
    """Pass on the sizes of finished pieces of work, and show their sum on stderr.

    Args:
        sizes: photos of each piece, as it gets finished.
        label: of the work.
        total: photos of all the work.
        done: photos that were finished before.
    """
    if done:
        tqdm.write(f"{label}: goes on after {done} of {total} photos", file=sys.stderr)
    bar = tqdm(desc=label, total=total, initial=done, unit="photos", disable=not sys.stderr.isatty())
    spoken = time.monotonic()
    with bar:
        for size in sizes:
            done += size
            bar.update(size)
            if bar.disable and time.monotonic() - spoken >= _LOG_SECONDS:
                spoken = time.monotonic()
                print(f"{label}: {done} of {total} photos", file=sys.stderr, flush=True)
            yield size
