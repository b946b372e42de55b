"""A fake worker process for tests of the pool, controlled by the content of a job; this file is also its program."""

import os
import signal
import sys
import time
from pathlib import Path

from huebands.conformal.guarantee import Guarantee
from huebands.serving import json_log
from huebands.serving.workers import worker_loop
from huebands.serving.workers.jobs import Job
from huebands.serving.workers.messages import Done, TooLarge
from huebands.serving.workers.process import WorkerProcess


def fake_process(start="succeed"):
    """A worker process that has not started yet; its start will "succeed", "fail", "end" the process, or "hang"."""
    return WorkerProcess(lambda: [sys.executable, __file__, start], dict(os.environ))


def job(content, request_id="0123abcd"):
    """A job for a fake worker process."""
    guarantee = Guarantee(alpha=0.1, mode="joint")
    return Job(kind="bands", content=content, name="photo", request_id=request_id, guarantee=guarantee)


def prepare():
    if sys.argv[1] == "fail":
        raise ValueError("the package is not sound")
    if sys.argv[1] == "end":
        os._exit(3)
    if sys.argv[1] == "hang":
        time.sleep(60)
    return do_task


def do_task(task):
    """Follow the content of a job; the answer is the content and the process ID.

    "echo" does nothing; "sleep SECONDS" sleeps; "die" ends the process; "once FILE" ends it unless the file is there;
    "raise" fails; "large SECONDS" sleeps when it runs alone, and is refused otherwise.
    """
    command, *arguments = task.job.content.split(b" ", 1)
    match command:
        case b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"once" if not Path(os.fsdecode(arguments[0])).exists():
            Path(os.fsdecode(arguments[0])).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case b"raise":
            raise RuntimeError("no luck")
        case b"large" if not task.alone:
            return TooLarge()
        case b"sleep" | b"large":
            time.sleep(float(arguments[0]))
    return Done((task.job.content, os.getpid()))


if __name__ == "__main__":
    json_log.configure()
    worker_loop.run(prepare)
