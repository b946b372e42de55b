"""A worker process answers or refuses each task."""

import numpy as np
import pytest

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import Guarantee
from huebands.photos.read import announced_pixels
from huebands.photos.write import encode_png
from huebands.serving.workers import worker
from huebands.serving.workers.jobs import Answer, Job, Refusal
from huebands.serving.workers.messages import Done, Task, TooLarge

PHOTO = encode_png(np.arange(20 * 30, dtype=np.uint32).astype(np.uint8).reshape(20, 30))


@pytest.fixture
def do_task(tiny_package):
    return worker.prepare(Colorizer.load(tiny_package))


def task(content=PHOTO, alone=False):
    job = Job(kind="bands", content=content, name="cat", guarantee=Guarantee(alpha=0.5, mode="joint"))
    return Task(job, alone)


def test_a_task_is_answered_or_refused(do_task):
    done = do_task(task())
    assert isinstance(done, Done) and isinstance(done.outcome, Answer)
    assert (done.outcome.measurements.width, done.outcome.measurements.height) == (30, 20)
    assert isinstance(do_task(task(b"no photo")).outcome, Refusal)


def test_a_large_photo_is_processed_alone(do_task, monkeypatch):
    monkeypatch.setattr(worker, "LARGE", 20 * 30)
    assert isinstance(do_task(task()), Done)
    monkeypatch.setattr(worker, "LARGE", 20 * 30 - 1)
    assert do_task(task()) == TooLarge()
    assert isinstance(do_task(task(alone=True)), Done)


@pytest.mark.parametrize(("content", "pixels"), [(PHOTO, 600), (PHOTO[:45], 600), (PHOTO[:20], 0), (b"", 0), (b"x", 0)])
def test_the_header_announces_the_pixels(content, pixels):
    assert announced_pixels(content) == pixels
