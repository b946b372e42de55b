"""A training that was killed continues its MLflow run; one without a checkpoint starts anew."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from huebands.training import followed_run
from huebands.training.followed_run import Follower, UnfinishedTraining

CONFIG = {
    "lineage": {
        "data": "noise",
        "params": {
            "model": {"network": {"name": "unet"}, "objective": {"name": "cgan"}},
            "train": {"epochs": 3},
        },
    }
}


class Run:
    """An MLflow run that remembers what it was given."""

    started: ClassVar[list[tuple[str | None, str]]] = []  # run ids asked for, with the times of their start

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.tags, self.epochs, self.pictures = dict[str, str](), list[float](), list[tuple[str, int]]()

    @classmethod
    def start(cls, start_run: partial[Any], started_at: str, say: object, keep_id: Callable[[str], None]) -> "Run":
        run_id = start_run.keywords["run_id"]
        assert start_run.keywords["started_at"] == started_at
        cls.started.append((run_id, started_at))
        run = cls(run_id or f"run{len(cls.started)}")
        keep_id(run.run_id)
        return run

    def watch_system(self) -> None:
        """Nothing."""

    def log_tag(self, name: str, value: str) -> None:
        self.tags[name] = value

    def log_history(self, rows: list[dict[str, float]]) -> None:
        self.epochs += [row["epoch"] for row in rows]

    def log_picture(self, path: Path, epoch: int) -> None:
        self.pictures.append((path.name, epoch))


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    """The run ids that were asked for, with the times of their start."""
    monkeypatch.setattr(Run, "started", [])
    monkeypatch.setattr(followed_run, "LiveRun", Run)
    return Run.started


def test_a_run_is_resumed_where_there_is_a_checkpoint(tmp_path: Path, runs: list[tuple[str | None, str]]) -> None:
    for _ in range(2):
        unfinished = UnfinishedTraining(tmp_path / "checkpoints")
        unfinished.start_run("huebands", CONFIG, [])
        unfinished.checkpoint.touch()
        unfinished.pictures.mkdir(exist_ok=True)
        (unfinished.pictures / "epoch-0001.png").touch()
    assert [run_id for run_id, _ in runs] == [None, "run1"]
    assert runs[0][1] == runs[1][1], "the time of the first start stays"
    unfinished.remove()
    assert not unfinished.folder.exists()


def test_without_a_checkpoint_nothing_of_an_earlier_run_is_left(
    tmp_path: Path, runs: list[tuple[str | None, str]]
) -> None:
    unfinished = UnfinishedTraining(tmp_path / "checkpoints")
    unfinished.start_run("huebands", CONFIG, [])
    unfinished.pictures.mkdir()
    (unfinished.pictures / "epoch-0001.png").touch()
    unfinished.start_run("huebands", CONFIG, [])
    assert [run_id for run_id, _ in runs] == [None, None]
    assert not unfinished.pictures.exists()


def test_a_warning_is_shown_beside_the_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower(UnfinishedTraining(tmp_path), Run("run1"), torch.device("cpu"), 3, 5)  # type: ignore[arg-type]
    follower.noticed("the discriminator collapsed")
    follower.close()
    assert "train: the discriminator collapsed\n" in capsys.readouterr().out


def test_the_run_gets_the_history_that_it_may_lack_and_all_that_follows(tmp_path: Path) -> None:
    unfinished, run = UnfinishedTraining(tmp_path), Run("run1")
    follower = Follower(unfinished, run, torch.device("cpu"), epochs=3, photos=5)  # type: ignore[arg-type]
    rows = [{"epoch": float(epoch), "generator": 1.0, "val_delta_e76": 9.0} for epoch in (1, 2, 3)]
    follower.started(rows[:1], "float32")
    follower.step_done(2, 5)
    follower.rows_kept(rows[1:])
    follower.picture_made(3, np.zeros((4, 4, 3), np.uint8))
    follower.close()
    assert (run.tags, run.epochs) == ({"precision": "float32"}, [1, 2, 3])
    assert run.pictures == [("epoch-0003.png", 3)]
    assert (unfinished.pictures / "epoch-0003.png").is_file()


def test_a_resumed_run_gets_the_pictures_that_it_may_lack(tmp_path: Path) -> None:
    unfinished, run = UnfinishedTraining(tmp_path), Run("run1")
    unfinished.pictures.mkdir()
    (unfinished.pictures / "epoch-0012.png").touch()
    follower = Follower(unfinished, run, torch.device("cpu"), epochs=30, photos=5)  # type: ignore[arg-type]
    follower.started([{"epoch": float(epoch)} for epoch in range(1, 14)], "float32")
    follower.close()
    assert run.pictures == [("epoch-0012.png", 12)]
