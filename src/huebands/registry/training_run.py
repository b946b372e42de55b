"""The MLflow run of a training: live, resumed after a kill, or restored."""

import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import mlflow
import numpy as np
from mlflow.entities import Metric, Run
from mlflow.tracking.multimedia import compress_image_size
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from numpy.typing import NDArray
from PIL import Image

from huebands.package.lineage import Dataset
from huebands.registry.connection import experiment_id_of, kind_of, open_client, prefixed, store_errors
from huebands.registry.runs import (
    PARENT_TAG,
    STAGE_TAG,
    child_name,
    create_run,
    describe_run,
    log_epochs,
    log_points,
    short_name,
)

WEIGHTS_TAG, RESTORES_TAG = "huebands.weights_sha256", "huebands.restores"
STAGE = "train"
_PICTURES = "images"  # of a run's artifacts
_DESCRIPTION = "mlflow.note.content"  # the tag that MLflow's page of a run shows as its description


class TrainingRun:
    """The MLflow run of a training, new or resumed, and its parent, the run of the pipeline.

    The time of a metric is the start of the run plus the row's `seconds`, so that a run restored from its history has
    the same points in time as the live one. Whatever failed can be done again: a store that had done it all the same
    then has it once.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        run = client.get_run(run_id)
        self._parent_id: str | None = run.data.tags.get(PARENT_TAG)  # None: logged before runs had parents
        self._started: int = run.info.start_time  # milliseconds
        self._logged = _logged_epochs(client, run_id)
        self._logged_pictures: set[int] | None = None

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
        """Start the run of a training and its parent, or resume one; a start that was cut off is completed.

        Args:
            name: describes the pipeline's run; see `short_name` for what is shown.
            experiment: name of the MLflow experiment, created if need be.
            params: by dotted name.
            tags: their names get the prefix `huebands.`.
            datasets: datasets that the training uses.
            run_id: ID of the run to resume. Where the store does not have it, a warning is logged and a new run starts:
                then pass the whole history to `log_history`.
            started_at: ISO time, by which an unfinished run of this start is found again; now if left out.

        Raises:
            TrackingError: when the store does not answer, or refuses something.
        """
        client = open_client()
        if run_id is not None and _has_run(client, run_id):
            return cls(client, run_id)._resumed()
        all_tags = prefixed(tags)
        if run_id is not None:
            logging.getLogger(__name__).warning("run %s is not in this store: a new run takes its place", run_id)
            all_tags["huebands.resumed_from"] = run_id
        started = None if started_at is None else _milliseconds(started_at)
        experiment_id, short = experiment_id_of(client, experiment), short_name(name)
        earlier = [] if started is None else _unfinished(client, experiment_id, started, name, all_tags)
        all_tags[_DESCRIPTION] = name
        for run in earlier:
            if PARENT_TAG in run.data.tags:
                resumed = cls(client, run.info.run_id)._resumed()
                resumed.describe(params, datasets)
                return resumed
        if earlier:
            parent_id = earlier[0].info.run_id
            describe_run(client, parent_id, params, datasets)
        else:
            parent_id = create_run(client, experiment_id, short, params, all_tags, datasets, started_at=started)
        child = child_name(STAGE, short)
        all_tags[STAGE_TAG] = STAGE
        return cls(client, create_run(client, experiment_id, child, params, all_tags, datasets, parent_id, started))

    def _resumed(self) -> Self:
        for run_id in self._run_ids:
            self._client.update_run(run_id, status="RUNNING")
        return self

    @property
    def _run_ids(self) -> list[str]:
        return [self.run_id] if self._parent_id is None else [self.run_id, self._parent_id]

    def describe(
        self, params: Mapping[str, Any], datasets: Sequence[Dataset], tags: Mapping[str, Any] | None = None
    ) -> None:
        """Log parameters, datasets and tags (see `start`) again: a run that was cut off may lack some."""
        with self._logging():
            for run_id in self._run_ids:
                describe_run(self._client, run_id, params, datasets, prefixed(tags or {}))

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
        with self._logging():
            log_epochs(self._client, self.run_id, new_rows, self._started)
        self._logged |= {int(row["epoch"]) for row in new_rows}

    def log_points(self, points: Sequence[Metric]) -> None:
        """Log points of metrics."""
        with self._logging():
            log_points(self._client, self.run_id, points)

    def log_picture(self, grid: NDArray[np.uint8], epoch: int) -> None:
        """Log a sample grid, uint8 (H, W, 3), as step `epoch` of the run's `samples`, unless it is there already.

        Its name is as `MlflowClient.log_image` would choose it, but the same each time, so that no picture is there
        twice. The time in it is no more than an order: the run's start, and the epoch in milliseconds.
        """
        with self._logging():
            if self._logged_pictures is None:
                self._logged_pictures = self._find_pictures()
            if epoch in self._logged_pictures:
                return
            identity = uuid.uuid5(uuid.UUID(self.run_id), f"samples {epoch}")
            stem = f"{_PICTURES}/samples+step+{epoch}+timestamp+{self._started + epoch}+{identity}"
            small = compress_image_size(Image.fromarray(grid))
            self._client.log_image(self.run_id, grid, artifact_file=f"{stem}.png")
            self._client.log_image(self.run_id, small, artifact_file=f"{stem}+compressed.webp")
            self._client.set_tag(self.run_id, MLFLOW_LOGGED_IMAGES, True)
            self._logged_pictures.add(epoch)

    def _find_pictures(self) -> set[int]:
        """The epochs whose picture is there whole: as it is, and small for the page."""
        steps = dict[str, set[int]]()
        for item in self._client.list_artifacts(self.run_id, _PICTURES):
            if found := re.match(r"samples\+step\+(\d+)\+", Path(item.path).name):
                steps.setdefault(Path(item.path).suffix, set()).add(int(found[1]))
        return steps.get(".png", set()) & steps.get(".webp", set())

    def finish(self, weights_sha256: str, seconds: float | None = None) -> None:
        """Mark the run as finished with these weights, `seconds` after its start, now if left out."""
        end_time = None if seconds is None else self._started + round(seconds * 1000)
        with self._logging():
            self._client.set_tag(self.run_id, WEIGHTS_TAG, weights_sha256)
            self._end("FINISHED", end_time)
            self._remove_doubles()

    def fail(self) -> None:
        """Mark the run as failed."""
        with self._logging():
            self._end("FAILED")

    def _remove_doubles(self) -> None:
        """Delete runs of the same start that the store has created after it was no longer waited for."""
        run = self._client.get_run(self.run_id)
        name = run.data.tags.get(_DESCRIPTION)
        if name is not None:
            for other in _unfinished(self._client, run.info.experiment_id, self._started, name, run.data.tags):
                if other.info.run_id not in self._run_ids and not other.data.metrics:
                    self._client.delete_run(other.info.run_id)

    def _end(self, status: str, end_time: int | None = None) -> None:
        # The parent first: a run that is cut off between the two is still unfinished.
        for run_id in reversed(self._run_ids):
            self._client.set_terminated(run_id, status, end_time=end_time)

    @contextmanager
    def _logging(self) -> Iterator[None]:
        try:
            yield
        except (mlflow.MlflowException, OSError) as error:
            raise kind_of(error)(
                f"run {self.run_id} cannot be logged to {self._client.tracking_uri}: {error}"
            ) from error


def _has_run(client: mlflow.MlflowClient, run_id: str) -> bool:
    """Whether the store has a run that is not deleted."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _unfinished(
    client: mlflow.MlflowClient, experiment_id: str, started: int, name: str, tags: Mapping[str, str]
) -> list[Run]:
    """The runs of a training, and of its pipeline, that were started at this moment and have not finished.

    Args:
        client: client of the store.
        experiment_id: of the experiment.
        started: in milliseconds.
        name: that describes the pipeline's run.
        tags: of the run; a restored one names the weights of its training.
    """
    query = f"attributes.start_time = {started} AND attributes.status != 'FINISHED'"
    runs = client.search_runs([experiment_id], query, order_by=["attributes.start_time ASC"])
    restored = {None, tags.get(RESTORES_TAG)}
    same = [run for run in runs if run.data.tags.get(_DESCRIPTION) == name]
    return [run for run in same if run.data.tags.get(RESTORES_TAG) in restored]


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _logged_epochs(client: mlflow.MlflowClient, run_id: str) -> set[int]:
    return {metric.step for metric in client.get_metric_history(run_id, "seconds")}
