"""The run of a training that does not wait for MLflow: it is logged beside the training, and caught up later.

A thread logs what the training hands over. Where the store does not answer, the training goes on, and the thread tries
again until the store has everything. What a store lacks when the training ends, the stage register logs: it completes
the run from the training's report.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from mlflow.entities import Metric
from PIL import Image

from huebands.fetch.secrets import without_secrets
from huebands.registry.connection import NoAnswerError, TrackingError, store_uri
from huebands.registry.machine_load import MachineLoad
from huebands.registry.time_limits import short_timeouts
from huebands.registry.training_run import TrainingRun

Row = Mapping[str, Any]
Key = TypeVar("Key")
Value = TypeVar("Value")
_FIRST_ANSWER = 45.0  # seconds that a training waits for the store before its first epoch
_LAST_ANSWERS = 60.0  # seconds that it waits after its last one
_AFTER_FAILURE = 10.0  # the same after an error or an interruption
_AGAIN, _AGAIN_AT_THE_END = 15.0, 1.0  # seconds between two tries to reach a store that does not answer


@dataclass
class _Pending:
    """What the store does not have yet."""

    tags: dict[str, str] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    pictures: dict[int, Path] = field(default_factory=dict)
    points: list[Metric] = field(default_factory=list)
    end: Callable[[TrainingRun], None] | None = None

    def __bool__(self) -> bool:
        return bool(self.tags or self.rows or self.pictures or self.points or self.end)

    def copy(self) -> "_Pending":
        """What is pending now."""
        return _Pending(dict(self.tags), dict(self.rows), dict(self.pictures), list(self.points), self.end)

    def remove(self, logged: "_Pending") -> None:
        """Forget what was logged; what has come meanwhile stays."""
        self.tags, self.rows = _rest(self.tags, logged.tags), _rest(self.rows, logged.rows)
        self.pictures, self.points = _rest(self.pictures, logged.pictures), self.points[len(logged.points) :]
        if logged.end is not None:
            self.end = None


def _rest(pending: Mapping[Key, Value], logged: Mapping[Key, Value]) -> dict[Key, Value]:
    return {key: value for key, value in pending.items() if value is not logged.get(key)}


class LiveRun:
    """The run of a training, logged by a thread. Nothing but `start`, `finish` and `fail` waits for the store."""

    def __init__(
        self,
        start_run: Callable[[], TrainingRun],
        started_at: str,
        say: Callable[[str], None],
        keep_id: Callable[[str], None],
    ) -> None:
        self.started_at = started_at
        self._start_run, self._tell, self._keep_id = start_run, say, keep_id
        self._run: TrainingRun | None = None
        self._pending, self._changed = _Pending(), threading.Condition()
        self._refused: TrackingError | None = None
        self._lost, self._ending, self._closed = False, False, False
        self._refusal_told = False
        self._limits = ExitStack()
        self._load: MachineLoad | None = None
        self._thread = threading.Thread(target=self._work, name="MLflow", daemon=True)

    @classmethod
    def start(
        cls,
        start_run: Callable[[], TrainingRun],
        started_at: str,
        say: Callable[[str], None],
        keep_id: Callable[[str], None],
    ) -> Self:
        """Start the run of a training, or resume it; where the store does not answer, that is done later.

        Args:
            start_run: starts the run, or finds it; is called again until it succeeds.
            started_at: ISO time of the training's start.
            say: gets a line for the user, when the store is lost and when it is back.
            keep_id: gets the ID of the run, once it is known.

        Raises:
            TrackingError: when the store answers and refuses the run.
        """
        live = cls(start_run, started_at, say, keep_id)
        live._limits.enter_context(short_timeouts())
        live._thread.start()
        with live._changed:
            live._changed.wait_for(lambda: live._run or live._lost or live._refused, _FIRST_ANSWER)
            silent = not (live._run or live._lost or live._refused)
        if live._refused is not None:
            live._close()
            raise live._refused
        if silent:
            live._now_lost(NoAnswerError(f"no answer from {store_uri()} within {_FIRST_ANSWER:g} s"))
        return live

    def watch_system(self) -> None:
        """Log the load of the machine until the run ends."""
        started = round(datetime.fromisoformat(self.started_at).timestamp() * 1000)
        self._load = MachineLoad(started, lambda points: self._add(lambda pending: pending.points.extend(points)))

    def log_tag(self, name: str, value: str) -> None:
        """Set the tag `huebands.NAME`."""
        self._add(lambda pending: pending.tags.update({name: value}))

    def log_history(self, rows: Iterable[Row]) -> None:
        """Log rows of `epoch`, `seconds` and figures; those that the store has are skipped."""
        kept = {int(row["epoch"]): dict(row) for row in rows}
        self._add(lambda pending: pending.rows.update(kept))

    def log_picture(self, path: Path, epoch: int) -> None:
        """Log the file of a sample grid, which must stay where it is until the run has ended."""
        self._add(lambda pending: pending.pictures.update({epoch: path}))

    def finish(self, weights_sha256: str) -> None:
        """Mark the run as finished with these weights; says what to do where the store does not answer."""
        ended = time.time()
        started = datetime.fromisoformat(self.started_at).timestamp()
        if not self._end(lambda run: run.finish(weights_sha256, seconds=ended - started), _LAST_ANSWERS):
            self._say(
                f"{store_uri()} still lacks a part of the run; the stage register completes it from the training's"
                " report: `dvc repro`"
            )

    def fail(self) -> None:
        """Mark the run as failed, if the store answers soon."""
        self._end(lambda run: run.fail(), _AFTER_FAILURE)

    def _end(self, end: Callable[[TrainingRun], None], patience: float) -> bool:
        """Whether the store has everything now."""
        if self._load is not None:
            self._load.stop()
        with self._changed:
            self._pending.end, self._ending = end, True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._pending, patience)
        self._close()
        return done

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=1.0)
        self._limits.close()

    def _add(self, change: Callable[[_Pending], None]) -> None:
        with self._changed:
            change(self._pending)
            self._changed.notify_all()

    def _work(self) -> None:
        """Log until everything is there, whenever there is something; after a failure, wait a while."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._pending or self._run is None)
                if self._closed:
                    return
            try:
                self._catch_up()
            except TrackingError as error:
                if self._run is None and not self._lost and not isinstance(error, NoAnswerError):
                    with self._changed:
                        self._refused = error
                        self._changed.notify_all()
                    return
                self._now_lost(error)
            except Exception as error:  # of any library: the training shall not die of it
                self._now_lost(error)
            else:
                self._now_back()
                continue
            self._wait()

    def _wait(self) -> None:
        """Wait before the next try; the end of the training makes the waiting shorter."""
        with self._changed:
            ending = self._ending
            seconds = _AGAIN_AT_THE_END if ending else _AGAIN
            self._changed.wait_for(lambda: self._closed or self._ending != ending, seconds)

    def _catch_up(self) -> None:
        """Log what the store lacks; each part is forgotten when the store has it."""
        if self._run is None:
            run = self._start_run()
            self._keep_id(run.run_id)
            with self._changed:
                self._run = run
                self._changed.notify_all()
        run = self._run
        with self._changed:
            logged = self._pending.copy()
        for name, value in logged.tags.items():
            run.log_tag(name, value)
        run.log_history([logged.rows[epoch] for epoch in sorted(logged.rows)])
        run.log_points(logged.points)
        for epoch, path in sorted(logged.pictures.items()):
            with Image.open(path) as picture:
                run.log_picture(np.asarray(picture), epoch)
        if logged.end is not None:
            logged.end(run)
        with self._changed:
            self._pending.remove(logged)
            self._changed.notify_all()

    def _now_lost(self, error: Exception) -> None:
        """Say once that the store is lost, and once what else is wrong when it answers, but does not take the run."""
        reason = str(error) if isinstance(error, TrackingError) else f"{type(error).__name__}: {error}"
        refused = not isinstance(error, NoAnswerError)
        with self._changed:
            first, first_refusal = not self._lost, refused and not self._refusal_told
            self._lost, self._refusal_told = True, refused or self._refusal_told
            closed = self._closed
            self._changed.notify_all()
        if first and not closed:
            self._say(f"the training goes on without its registry, and logs to it later: {reason}")
        elif first_refusal and not closed:
            self._say(f"the registry answers, but does not take the run: {reason}")

    def _now_back(self) -> None:
        with self._changed:
            first, self._lost, self._refusal_told = self._lost, False, False
        if first:
            self._say(f"{store_uri()} answers again, and has the whole run so far")

    def _say(self, line: str) -> None:
        """Tell the user; the address of a store, and what a library says of it, can have a password."""
        self._tell(without_secrets(line))


def now() -> str:
    """The time, ISO, UTC, to the millisecond: that is how MLflow keeps a start."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
