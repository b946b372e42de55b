"""The main loop of a worker process: it receives tasks and sends replies, until the HTTP process ends."""

import logging
import os
import pickle
import queue
import signal
import socket
import threading
from collections.abc import Callable

from huebands.serving.workers.messages import LENGTH, Failed, Ready, Reply, Task, encode

_log = logging.getLogger("huebands.serving")


def run(prepare: Callable[[], Callable[[Task], Reply]]) -> None:
    """Reply to the tasks that come through standard input, a socket, until its other end is closed.

    Args:
        prepare: loads the model and gives the function that runs a task.
    """
    # The signals of a stop reach every process of the group; the HTTP process alone knows when all work is done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    try:
        do_task = prepare()
    except Exception as error:
        connection.sendall(encode(Failed(str(error) or type(error).__name__)))
        raise
    connection.sendall(encode(Ready()))
    while True:
        connection.sendall(_reply(do_task, tasks.get()))


def _reply(do_task: Callable[[Task], Reply], task: Task) -> bytes:
    try:
        return encode(do_task(task))
    except Exception as error:
        _log.exception("a photo could not be colorized", extra={"request": task.job.request_id})
        return encode(Failed(type(error).__name__))


def _receive(connection: socket.socket, tasks: "queue.SimpleQueue[Task]") -> None:
    """Put tasks into the queue, and end this process with the HTTP process, even in the middle of a photo."""
    try:
        with connection.makefile("rb") as file:
            while len(head := file.read(LENGTH.size)) == LENGTH.size:
                (size,) = LENGTH.unpack(head)
                content = file.read(size)
                if len(content) < size:
                    break
                tasks.put(pickle.loads(content))
    finally:
        os._exit(0)
