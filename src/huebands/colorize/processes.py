"""Runs work on photos side by side in processes, with bounded memory; a process that is killed costs one photo."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
_CONTEXT = multiprocessing.get_context("spawn")


class KilledError(RuntimeError):
    """The process that worked on a photo was killed."""


class UnpreparedError(RuntimeError):
    """A process cannot work at all, on whatever photo; the message says why."""


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

    Raises:
        UnpreparedError: when `prepare` fails in a process, or the process is killed meanwhile.
    """
    processes = _Processes(jobs, prepare)
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
                future = processes.submit(function, following[0])
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
                processes.end()
                processes.prepared()
                processes = _Processes(1, prepare)
                result = _result_of(processes.submit(function, item))
                is_broken = isinstance(result, BrokenProcessPool)
                if is_broken and not processes.prepared():
                    raise UnpreparedError("a process was killed while it loaded the model, maybe for want of memory")
                yield item, KilledError("its process was killed, maybe for want of memory") if is_broken else result
            processes.end()
            processes = _Processes(jobs, prepare)
    finally:
        processes.end()


class _Processes:
    """New processes, and what became of their preparation."""

    def __init__(self, jobs: int, prepare: Callable[[], None]) -> None:
        # Of each process: why it cannot work, or None.
        self._preparations: SimpleQueue[str | None] = SimpleQueue(ctx=_CONTEXT)
        self._executor = ProcessPoolExecutor(jobs, _CONTEXT, _begin, (prepare, self._preparations))

    def submit(self, function: Callable[[Item], Any], item: Item) -> "Future[Any]":
        """Let a process run a function."""
        try:
            return self._executor.submit(function, item)
        except BrokenProcessPool as error:
            broken = Future[Any]()
            broken.set_exception(error)
            return broken

    def end(self) -> None:
        """Wait for what runs."""
        self._executor.shutdown(cancel_futures=True)

    def prepared(self) -> int:
        """How many processes were prepared since the last call.

        Raises:
            UnpreparedError: when one could not be.
        """
        count = 0
        while not self._preparations.empty():
            if (reason := self._preparations.get()) is not None:
                raise UnpreparedError(reason)
            count += 1
        return count


def _begin(prepare: Callable[[], None], preparations: "SimpleQueue[str | None]") -> None:
    """Prepare a process: it leaves Ctrl-C to the first process, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        prepare()
    except Exception as error:
        preparations.put(str(error) or type(error).__name__)
        os._exit(1)  # the executor would write the whole traceback
    preparations.put(None)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _result_of(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error
