"""What goes between the process that speaks HTTP and one that colorizes: pickles, each behind its length.

Both ends are processes of ours on one machine, joined by a socket that nobody else can open.
"""

import logging
import os
import pickle
import queue
import signal
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huebands.serving.workers.jobs import Job, Outcome

LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Task:
    """A job for a process that colorizes; `alone`: no other large photo is in work."""

    job: Job
    alone: bool


@dataclass(frozen=True)
class Ready:
    """The model is loaded and warm."""


@dataclass(frozen=True)
class Done:
    """A job came to its end."""

    outcome: Outcome


@dataclass(frozen=True)
class TooLarge:
    """The photo is so large that it must be worked on alone; nothing was done yet."""


@dataclass(frozen=True)
class Failed:
    """Loading or a job ended in an error; the log has its traceback."""

    reason: str


Reply = Ready | Done | TooLarge | Failed


def encode(message: Task | Reply) -> bytes:
    """A message behind its length."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content


def serve(prepare: Callable[[], Callable[[Task], Reply]]) -> None:
    """Answer tasks that come through standard input, a socket, until its other end is closed.

    Args:
        prepare: loads what is needed and gives the function that does a task.
    """
    # A stop is told to every process of the group; only the one that speaks HTTP knows when work is done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    link = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(link, tasks), daemon=True).start()
    try:
        answer = prepare()
    except Exception as error:
        link.sendall(encode(Failed(str(error) or type(error).__name__)))
        raise
    link.sendall(encode(Ready()))
    while True:
        link.sendall(_try(answer, tasks.get()))


def _try(answer: Callable[[Task], Reply], task: Task) -> bytes:
    """Do a task and encode what comes of it."""
    try:
        return encode(answer(task))
    except Exception as error:
        logging.getLogger("huebands.serving").exception("a photo could not be worked on")
        return encode(Failed(type(error).__name__))


def _receive(link: socket.socket, tasks: "queue.SimpleQueue[Task]") -> None:
    """Read ahead, in a thread of its own: so the end of the parent ends this process in the middle of work too."""
    try:
        with link.makefile("rb") as file:
            while len(head := file.read(LENGTH.size)) == LENGTH.size:
                (size,) = LENGTH.unpack(head)
                content: Any = file.read(size)
                if len(content) < size:
                    break
                tasks.put(pickle.loads(content))
    finally:
        os._exit(0)
