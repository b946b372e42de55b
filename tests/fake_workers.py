"""A process for `web.pool` that does what its jobs say; run as a program it is that process."""

import os
import signal
import sys
import time
from pathlib import Path

from huebands.serving.workers.messages import Done, Failed, TooLarge, serve
from huebands.serving.workers.process import Process

LARGE = b"large"


def fake_process(start="fine"):
    """A process that was not started yet; start is "fine", or "fail" or "end" to come to nothing."""
    return Process(lambda: [sys.executable, __file__, start], dict(os.environ))


def prepare():
    if sys.argv[1] == "fail":
        raise ValueError("the package is not sound")
    if sys.argv[1] == "end":
        os._exit(3)
    return answer


def answer(task):
    """Do what a job says.

    "echo" gives the rest back with the number of the process; "sleep" sleeps; "die" ends the process; "die once FILE"
    ends it unless the file is there; "raise" fails; "large" is refused unless alone, then it is as "sleep".
    """
    what, *rest = task.job.split(b" ", 1)
    match what:
        case b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"once" if not Path(os.fsdecode(rest[0])).exists():
            Path(os.fsdecode(rest[0])).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case b"raise":
            raise RuntimeError("no luck")
        case b"failed":
            return Failed("said so")
        case b"large" if not task.alone:
            return TooLarge()
        case b"sleep" | b"large":
            time.sleep(float(rest[0]))
    return Done((task.job, os.getpid()))


if __name__ == "__main__":
    serve(prepare)
