"""A training whose registry goes away, hangs or loses answers: it goes on, and its run has everything once."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from test_training import MODEL, PARAMS

from huebands import params
from huebands.package.read import read_package
from huebands.registry import live_run
from huebands.registry.connection import TrackingError
from huebands.registry.restoration import find_or_restore_run
from huebands.stages import train as stage
from huebands.training.followed_run import Follower
from mlflow_server import Server
from tiny_photos import tiny_photo, write_prepared
from unreliable_proxy import HANG, LOSE, PASS, Proxy

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

EPOCHS = PARAMS.epochs
GOES_ON, IS_BACK = "the training goes on without its registry", "answers again, and has the whole run so far"
REGISTER = "the stage register completes it"
SETTINGS = dataclasses.replace(
    params.load(Path(__file__).parents[2] / "params.yaml"),
    model=MODEL,
    train=dataclasses.replace(PARAMS, checkpoint_every=1, picture_every=2),
)


@pytest.fixture
def server(mlflow_server: Server) -> Iterator[Server]:
    """The server, which a test may stop."""
    yield mlflow_server
    mlflow_server.restart()


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> Path:
    """A folder with a prepared dataset, and the proxy as registry."""
    photos = {"train": [tiny_photo(seed, 24) for seed in range(5)], "val": [tiny_photo(9, 24)]}
    write_prepared(tmp_path / "data/prepared", photos, 24)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, seconds in (("_AGAIN", 0.1), ("_AGAIN_AT_THE_END", 0.1), ("_LAST_ANSWERS", 30.0)):
        monkeypatch.setattr(live_run, name, seconds)
    _artifact_repos_cache.clear()
    return tmp_path


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> params.Params:
    """Settings with an experiment of the test's own."""
    return dataclasses.replace(SETTINGS, register=dataclasses.replace(SETTINGS.register, experiment=request.node.name))


def after_epochs(monkeypatch: pytest.MonkeyPatch, what: dict[int, Callable[[], object]]) -> None:
    """Do something when an epoch is safe, before it is logged."""
    rows_kept = Follower.rows_kept

    def keep(self: Follower, rows: list[dict[str, float]]) -> None:
        what.get(int(rows[-1]["epoch"]), lambda: None)()
        rows_kept(self, rows)

    monkeypatch.setattr(Follower, "rows_kept", keep)


def check_whole(settings: params.Params, server: Server) -> str:
    """Check that the store has one run, with everything once; gives its ID."""
    client = mlflow.MlflowClient(server.address)
    experiment = client.get_experiment_by_name(settings.register.experiment)
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2 and {run.info.status for run in runs} == {"FINISHED"}, "the pipeline and its training"
    (run,) = (run for run in runs if "mlflow.parentRunId" in run.data.tags)
    assert run.data.tags["mlflow.parentRunId"] in {other.info.run_id for other in runs}
    assert run.data.tags["huebands.weights_sha256"] == read_package(stage.TRAINED).weights_sha256
    assert run.data.params["train.epochs"] == str(EPOCHS) and len(run.inputs.dataset_inputs) == 2
    record = json.loads((stage.REPORT / "run.json").read_text())
    started = round(live_run.datetime.fromisoformat(record["started_at"]).timestamp() * 1000)
    assert {run.info.start_time for run in runs} == {started}
    assert {run.data.tags["huebands.precision"] for run in runs} == {record["lineage"]["precision"]}
    for figure in ("seconds", "generator", "val_delta_e76"):
        points = client.get_metric_history(run.info.run_id, figure)
        assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1)), figure
    pictures = Counter(Path(item.path).name.split("+")[2] for item in client.list_artifacts(run.info.run_id, "images"))
    assert pictures == dict.fromkeys(("1", "2", "4", "6"), 2), "each whole and small"
    return str(run.info.run_id)


def check_load(run_id: str, server: Server) -> None:
    """Check that the machine's load was logged, each measurement once."""
    points = mlflow.MlflowClient(server.address).get_metric_history(run_id, "system/cpu_utilization_percentage")
    moments = [point.timestamp for point in points]
    assert moments and len(set(moments)) == len(moments)


def test_a_registry_that_is_killed_and_comes_back_has_the_whole_run(
    server: Server, settings: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    after_epochs(monkeypatch, {2: server.stop, 5: server.start})
    stage.run_training(settings)
    out = capsys.readouterr().out
    assert out.count(GOES_ON) == out.count(IS_BACK) == 1 and REGISTER not in out
    check_load(check_whole(settings, server), server)


@pytest.mark.parametrize("killed_after", [0, 3])
def test_a_registry_that_stays_away_gets_the_run_from_the_report(
    server: Server,
    settings: params.Params,
    killed_after: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 1.0)
    if killed_after:
        after_epochs(monkeypatch, {killed_after: server.stop})
    else:
        server.stop()
    stage.run_training(settings)
    out = capsys.readouterr().out
    assert out.count(GOES_ON) == out.count(REGISTER) == 1 and IS_BACK not in out
    assert not stage.UNFINISHED.exists()
    server.start()
    weights = read_package(stage.TRAINED).weights_sha256
    for _ in range(2):
        run_id, _ = find_or_restore_run(settings.register.experiment, weights, stage.REPORT)
        assert run_id == check_whole(settings, server)


def test_a_training_that_is_killed_while_the_registry_is_away_continues_the_same_run(
    server: Server, settings: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live_run, "_AFTER_FAILURE", 0.5)
    with monkeypatch.context() as patch:
        after_epochs(patch, {2: server.stop, 4: kill})
        with pytest.raises(KeyboardInterrupt):
            stage.run_training(settings)
    assert (stage.UNFINISHED / "mlflow_run").is_file()
    server.start()
    stage.run_training(settings)
    assert "going on after epoch 4" in capsys.readouterr().out
    check_whole(settings, server)


def test_answers_that_are_lost_double_nothing(
    mlflow_server: Server, proxy: Proxy, settings: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    seen = set[tuple[str, str]]()

    def lose_first(method: str, path: str) -> str:
        is_first = (method, path) not in seen
        seen.add((method, path))
        return LOSE if is_first else PASS

    proxy.behaviour = lose_first
    stage.run_training(settings)
    check_load(check_whole(settings, mlflow_server), mlflow_server)
    assert {("POST", "/api/2.0/mlflow/runs/create"), ("POST", "/api/2.0/mlflow/runs/log-batch")} <= seen


def test_no_epoch_waits_for_a_registry_that_hangs(
    mlflow_server: Server, proxy: Proxy, settings: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.5)
    waits = list[float]()
    for name in ("rows_kept", "picture_made", "started"):
        original = getattr(Follower, name)

        def timed(*arguments: object, original: Callable[..., None] = original) -> None:
            began = time.monotonic()
            original(*arguments)
            waits.append(time.monotonic() - began)

        monkeypatch.setattr(Follower, name, timed)
    after_epochs(monkeypatch, {2: lambda: setattr(proxy, "behaviour", lambda method, path: HANG)})
    began = time.monotonic()
    stage.run_training(settings)
    assert max(waits) < 0.5 and time.monotonic() - began < 30
    proxy.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    _artifact_repos_cache.clear()  # a first picture that was quick has MLflow remember the proxy for this run
    find_or_restore_run(settings.register.experiment, read_package(stage.TRAINED).weights_sha256, stage.REPORT)
    check_whole(settings, mlflow_server)


def test_a_registry_that_hangs_from_the_start_is_waited_for_once(
    proxy: Proxy, settings: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_run, "_FIRST_ANSWER", 0.5)
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.5)
    proxy.behaviour = lambda method, path: HANG
    stage.run_training(settings)
    out = capsys.readouterr().out
    assert f"{GOES_ON}, and logs to it later: no answer from {proxy.address} within 0.5 s" in out


def test_a_registry_that_refuses_is_told_before_anything_is_computed(
    mlflow_server: Server, settings: params.Params
) -> None:
    client = mlflow.MlflowClient(mlflow_server.address)
    client.delete_experiment(client.create_experiment(settings.register.experiment))
    with pytest.raises(TrackingError, match="is deleted: `mlflow experiments restore"):
        stage.run_training(settings)
    assert not stage.TRAINED.exists() and not (stage.UNFINISHED / "last.pt").exists()
