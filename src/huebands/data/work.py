"""Long work on many photos: done in pieces, on every core, and resumed after an interruption.

A piece is finished when its file exists. The files wait in a hidden folder beside the result, so a killed run goes on
where it was. What a piece gives depends on that piece alone: the number of processes changes nothing.
"""

import hashlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from huebands.data.progress import follow
from huebands.files import atomic

PIECE = 64  # photos: a second of work or two
_CODE = Path(__file__).parents[1]

Piece = TypeVar("Piece", bound=Sized)


@contextmanager
def unfinished(target: Path, key: str) -> Iterator[Path]:
    """Give the folder in which the work on `target` waits until all of it is done.

    It is removed when the block ends without an error. What an earlier run with another key, or other code, has left
    is removed at once.

    Args:
        target: folder that the work will make.
        key: of all that decides the work: parameters and sources.

    Raises:
        OSError: naming the file.
    """
    home = target.with_name(f".{target.name}.unfinished")
    home.mkdir(parents=True, exist_ok=True)
    with atomic.locked(home):
        # The key is in the path: a process that outlives a killed run writes where nobody reads.
        folder = home / hashlib.sha256(f"{_code_sha256()} {key}".encode()).hexdigest()[:16]
        for other in home.iterdir():
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        shutil.rmtree(home)


def finish(
    work: Callable[[Piece, Path], None],
    pieces: Sequence[Piece],
    folder: Path,
    label: str,
    processes: int | None = None,
) -> list[Path]:
    """Do the pieces of work that have no file yet, and show the progress.

    Args:
        work: writes a piece's file at the given path, as a whole; must be importable, to run in other processes.
        pieces: in the order of their files; the length of one is its number of photos.
        folder: of the files.
        label: for the progress.
        processes: how many work at a time; one a core when left out.

    Returns:
        The file of each piece.

    Raises:
        Exception: what `work` raises; the pieces that are finished stay.
    """
    files = [folder / f"{number:06d}" for number in range(len(pieces))]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    total, left = sum(map(len, pieces)), sum(len(pieces[number]) for number in missing)
    tasks = [(pieces[number], files[number]) for number in missing]
    count = min(processes or _cores(), len(tasks))
    sizes = _side_by_side(work, tasks, count) if count > 1 else _one_by_one(work, tasks)
    for _ in follow(sizes, label, total, total - left):
        pass
    return files


def _one_by_one(work: Callable[[Piece, Path], None], tasks: Sequence[tuple[Piece, Path]]) -> Iterator[int]:
    for piece, file in tasks:
        work(piece, file)
        yield len(piece)


def _side_by_side(
    work: Callable[[Piece, Path], None], tasks: Sequence[tuple[Piece, Path]], processes: int
) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")  # a forked process would inherit the threads' locks
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker) as pool:
        size_of = {pool.submit(work, piece, file): len(piece) for piece, file in tasks}
        try:
            for future in as_completed(size_of):
                future.result()
                yield size_of[future]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _end_with_parent() -> None:
    """End this process when its parent was killed; it would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _code_sha256() -> str:
    """Identify the code that decides what the work gives."""
    files = sorted([_CODE / "color.py", *(_CODE / "data").glob("*.py"), *(_CODE / "photos").glob("*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
