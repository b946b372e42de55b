"""Runs work on photos side by side in processes, with bounded memory; a process that is killed costs one photo."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar

Item = TypeVar("Item")


class KilledError(RuntimeError):
    """The process that worked on a photo was killed."""


def side_by_side(
    items: Iterable[Item],
    function: Callable[[Item], Any],
    prepare: Callable[[], None],
    jobs: int,
    cost: Callable[[Item], float],
    budget: float,
) -> Iterator[tuple[Item, Any]]:
    """Run a function for each item in one of several new processes.

    Args:
        items: are taken as processes get free.
        function: can be pickled, as all that follows.
        prepare: called once in each process.
        jobs: number of processes.
        cost: of an item.
        budget: of all items that are worked on at a time; one alone may cost more.

    Yields:
        Each item with what the function gave, or with its exception, in the order in which they end. Where processes
        are killed, the items that they may have worked on run once more, one by one, and that which kills its process
        again has a `KilledError`.
    """
    executor = _executor(jobs, prepare)
    try:
        running: dict[Future[Any], Item] = {}
        costs: dict[Future[Any], float] = {}
        source = ((item, cost(item)) for item in items)
        following = next(source, None)
        while running or following is not None:
            while (
                following is not None
                and len(running) <= jobs  # one waits, so that no process does
                and (not running or sum(costs.values()) + following[1] <= budget)
            ):
                future = executor.submit(function, following[0])
                running[future], costs[future] = following
                following = next(source, None)
            lost = list[Item]()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item, _ = running.pop(future), costs.pop(future)
                result = _result_of(future)
                if isinstance(result, BrokenProcessPool):
                    lost.append(item)
                else:
                    yield item, result
            if not lost:
                continue
            lost += running.values()
            running.clear()
            costs.clear()
            for item in lost:
                executor.shutdown()
                executor = _executor(1, prepare)
                result = _result_of(executor.submit(function, item))
                is_broken = isinstance(result, BrokenProcessPool)
                yield item, KilledError("its process was killed, maybe for want of memory") if is_broken else result
            executor.shutdown()
            executor = _executor(jobs, prepare)
    finally:
        executor.shutdown(cancel_futures=True)


def _executor(jobs: int, prepare: Callable[[], None]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (prepare,))


def _begin(prepare: Callable[[], None]) -> None:
    """Prepare a process: it leaves Ctrl-C to the first process, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _result_of(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error
