"""The messages between the HTTP process and a worker process: pickles, each preceded by its length.

Both ends are processes of this service on one machine, joined by a socket pair that no other process can open.
"""

import pickle
import struct
from dataclasses import dataclass

from huebands.serving.workers.jobs import Job, Outcome

LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Task:
    """A job for a worker process; `alone`: no other worker process has a large photo."""

    job: Job
    alone: bool


@dataclass(frozen=True)
class Ready:
    """The model is loaded and warmed up."""


@dataclass(frozen=True)
class Done:
    """The job is done."""

    outcome: Outcome


@dataclass(frozen=True)
class TooLarge:
    """The photo is so large that it must be the only large one; nothing was done yet."""


@dataclass(frozen=True)
class Failed:
    """Loading the model or doing the job raised an error; the log has its traceback."""

    reason: str


Reply = Ready | Done | TooLarge | Failed


def encode(message: Task | Reply) -> bytes:
    """Encode a message, preceded by its length."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content
