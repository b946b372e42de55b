"""Work side by side in processes: each item comes back once, memory is bounded, and a killed process costs one item."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from huebands.colorize.processes import KilledError, UnpreparedError, side_by_side


def prepare():
    """Nothing has to be loaded."""


def work(folder, item):
    """Note when an item is worked on; some end the process, or raise."""
    (folder / f"{item}.begun").touch()
    if item == "kill" or (item == "kill once" and not (folder / "killed").exists()):
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "bad":
        raise ValueError("bad item")
    time.sleep(0.05)
    running = len(list(folder.glob("*.begun")))
    (folder / f"{item}.begun").unlink()
    return running


def run(folder, items, jobs=2, cost=lambda item: 1.0, budget=10.0):
    return dict(side_by_side(items, partial(work, folder), prepare, jobs, cost, budget))


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path


def test_each_item_comes_back_once_with_its_result_or_exception(folder):
    results = run(folder, ["a", "bad", "b", "c"])
    assert results.keys() == {"a", "bad", "b", "c"}
    assert isinstance(results.pop("bad"), ValueError)
    assert all(1 <= running <= 3 for running in results.values())


def test_items_above_the_budget_run_alone(folder):
    costs = {"a": 4.0, "b": 7.0, "c": 20.0, "d": 1.0}
    assert set(run(folder, list(costs), cost=costs.get).values()) == {1}


def test_a_killed_process_costs_one_item(folder):
    results = run(folder, ["a", "kill", "b", "kill once", "c"])
    assert results.keys() == {"a", "kill", "b", "kill once", "c"}
    assert isinstance(results.pop("kill"), KilledError)
    assert all(isinstance(running, int) for running in results.values())


def test_no_item_is_taken_before_a_process_is_free(folder):
    taken = []

    def items():
        for number in range(6):
            taken.append(number)
            yield str(number)

    for ended, _ in enumerate(side_by_side(items(), partial(work, folder), prepare, 1, lambda item: 1.0, 10.0), 1):
        assert len(taken) <= ended + 3
    assert len(taken) == 6


def fail():
    """The model cannot be loaded."""
    raise ValueError("model: no such folder")


def be_killed():
    """The model needs more memory than there is."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("unable", "reason"), [(fail, "model: no such folder"), (be_killed, "killed while it loaded the model")]
)
def test_processes_that_cannot_begin_end_the_work_with_the_reason(folder, unable, reason, capfd):
    with pytest.raises(UnpreparedError, match=reason):
        list(side_by_side("abcdef", partial(work, folder), unable, 2, lambda item: 1.0, 10.0))
    assert capfd.readouterr().err == "", "the command says it, in one line"
    assert not list(folder.iterdir())
