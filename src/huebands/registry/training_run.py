"""The MLflow run of a training: live, resumed after a kill, or restored."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import mlflow
import numpy as np
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from numpy.typing import NDArray

from huebands.package.lineage import Dataset
from huebands.registry.connection import TrackingError, experiment_id_of, open_client, prefixed, store_errors
from huebands.registry.runs import PARENT_TAG, STAGE_TAG, child_name, create_run, describe_run, log_epochs, short_name

WEIGHTS_TAG = "huebands.weights_sha256"
STAGE = "train"
_DESCRIPTION = "mlflow.note.content"  # the tag that MLflow's page of a run shows as its description


class TrainingRun:
    """The MLflow run of a training, new or resumed, and its parent, the run of the pipeline.

    The time of a metric is the start of the run plus the row's `seconds`, so that a run restored from its history has
    the same points in time as the live one.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        run = client.get_run(run_id)
        self._parent_id: str | None = run.data.tags.get(PARENT_TAG)  # None: logged before runs had parents
        self._started: int = run.info.start_time  # milliseconds
        self._logged = _logged_epochs(client, run_id)
        self._monitor: SystemMetricsMonitor | None = None

    @classmethod
    @store_errors("the start of the training's run")
    def start(
        cls,
        name: str,
        experiment: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        datasets: Sequence[Dataset] = (),
        run_id: str | None = None,
        started_at: str | None = None,
    ) -> Self:
        """Start the run of a training and its parent, or resume one.

        Args:
            name: describes the pipeline's run; see `short_name` for what is shown.
            experiment: name of the MLflow experiment, created if need be.
            params: by dotted name.
            tags: their names get the prefix `huebands.`.
            datasets: datasets that the training uses.
            run_id: ID of the run to resume. Where the store does not have it, a warning is logged and a new run starts:
                then pass the whole history to `log_history`.
            started_at: ISO time; now if left out.

        Raises:
            TrackingError: when the store does not answer, or refuses something.
        """
        client = open_client()
        if run_id is not None and _has_run(client, run_id):
            run = cls(client, run_id)
            for resumed_id in run._run_ids:
                client.update_run(resumed_id, status="RUNNING")
            return run
        all_tags = prefixed(tags)
        if run_id is not None:
            logging.getLogger(__name__).warning("run %s is not in this store: a new run takes its place", run_id)
            all_tags["huebands.resumed_from"] = run_id
        started = None if started_at is None else round(datetime.fromisoformat(started_at).timestamp() * 1000)
        experiment_id, short = experiment_id_of(client, experiment), short_name(name)
        all_tags[_DESCRIPTION] = name
        parent_id = create_run(client, experiment_id, short, params, all_tags, datasets, started_at=started)
        child = child_name(STAGE, short)
        all_tags[STAGE_TAG] = STAGE
        return cls(client, create_run(client, experiment_id, child, params, all_tags, datasets, parent_id, started))

    @property
    def _run_ids(self) -> list[str]:
        return [self.run_id] if self._parent_id is None else [self.run_id, self._parent_id]

    def describe(self, params: Mapping[str, Any], datasets: Sequence[Dataset]) -> None:
        """Log parameters and datasets again: a run that was cut off may lack some."""
        with self._logging():
            for run_id in self._run_ids:
                describe_run(self._client, run_id, params, datasets)

    def watch_system(self) -> None:
        """Log the use of processor, memory, disk, network and GPU every ten seconds until the run ends."""
        monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self._client.tracking_uri)
        monitor.start()
        self._monitor = monitor

    @property
    def started_at(self) -> str:
        """ISO time of the run's start, UTC."""
        return datetime.fromtimestamp(self._started / 1000, UTC).isoformat(timespec="milliseconds")

    def log_tag(self, name: str, value: str) -> None:
        """Set the tag `huebands.NAME` on the run and its parent."""
        with self._logging():
            for run_id in self._run_ids:
                self._client.set_tag(run_id, f"huebands.{name}", value)

    def log_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Log rows of `epoch`, `seconds` and figures; epochs logged before and empty values are skipped."""
        new_rows = [row for row in rows if int(row["epoch"]) not in self._logged]
        self._logged |= {int(row["epoch"]) for row in new_rows}
        with self._logging():
            log_epochs(self._client, self.run_id, new_rows, self._started)

    def log_picture(self, grid: NDArray[np.uint8], epoch: int) -> None:
        """Log a sample grid, uint8 (H, W, 3), as step `epoch` of the run's `samples`, unless it is there already."""
        with self._logging():
            logged = {Path(item.path).name for item in self._client.list_artifacts(self.run_id, "images")}
            if not any(name.startswith(f"samples+step+{epoch}+") for name in logged):
                self._client.log_image(self.run_id, grid, key="samples", step=epoch)

    def finish(self, weights_sha256: str, seconds: float | None = None) -> None:
        """Mark the run as finished with these weights, `seconds` after its start, now if left out."""
        end_time = None if seconds is None else self._started + round(seconds * 1000)
        with self._logging():
            self._client.set_tag(self.run_id, WEIGHTS_TAG, weights_sha256)
            self._end("FINISHED", end_time)

    def fail(self) -> None:
        """Mark the run as failed; an error of the store is a warning, so that the cause stays visible."""
        try:
            with self._logging():
                self._end("FAILED")
        except TrackingError as error:
            logging.getLogger(__name__).warning("%s", error)

    def _end(self, status: str, end_time: int | None = None) -> None:
        if self._monitor is not None:
            self._monitor.finish()
        # The parent first: a run that is cut off between the two is still unfinished.
        for run_id in reversed(self._run_ids):
            self._client.set_terminated(run_id, status, end_time=end_time)

    @contextmanager
    def _logging(self) -> Iterator[None]:
        try:
            yield
        except (mlflow.MlflowException, OSError) as error:
            raise TrackingError(
                f"run {self.run_id} cannot be logged to {self._client.tracking_uri}: {error};"
                " start it again when the store answers, and it goes on"
            ) from error


def _has_run(client: mlflow.MlflowClient, run_id: str) -> bool:
    """Whether the store has a run that is not deleted."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _logged_epochs(client: mlflow.MlflowClient, run_id: str) -> set[int]:
    return {metric.step for metric in client.get_metric_history(run_id, "seconds")}
