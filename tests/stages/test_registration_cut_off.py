"""A registry that goes away, hangs or loses answers while a package is registered, judged or promoted."""

import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from huebands.cli import main
from huebands.package.read import read_package
from huebands.params import Params
from huebands.registry import announcement
from huebands.registry.connection import NoAnswerError
from huebands.registry.models import RegisteredPackage, download_package
from huebands.registry.training_photos import read_photos
from huebands.stages import register
from mlflow_server import Server
from pipeline_checkout import SETTINGS, make_checkout, train
from unreliable_proxy import BREAK, HANG, LOSE, PASS, Behaviour, Proxy, passes

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

REGISTER, PROMOTE = "`dvc repro` completes the registration", "run it again, which completes it"


@pytest.fixture
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The settings of every command: experiment and model are named like the test."""
    name = request.node.name.replace("[", "-").rstrip("]")
    settings = replace(SETTINGS, register=replace(SETTINGS.register, experiment=name, model_name=name))
    monkeypatch.setattr(register.params, "load", lambda: settings)
    return settings


@pytest.fixture(autouse=True)
def checkout(
    tmp_path: Path, empty_store: Path, levels: dict[str, float], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A checkout where all stages before register have run, and the proxy as registry."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    make_checkout(folder, empty_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, seconds in (("_ABANDONED", 0.2), ("_POLL", 0.05)):
        monkeypatch.setattr(announcement, name, seconds)
    _artifact_repos_cache.clear()
    return folder


def once(todo: str, method: str, part: str) -> Behaviour:
    """From the first request of this method whose path has this part on, do that; with LOSE, to that request alone."""
    found = list[str]()

    def behave(asked: str, path: str) -> str:
        if not found and (asked, part in path) == (method, True):
            found.append(path)
            return todo
        return todo if found and todo != LOSE else PASS

    return behave


def check_whole(server: Server, name: str) -> None:
    """Check that the registry has one version with everything, once, and no other run."""
    client = mlflow.MlflowClient(server.address)
    (version,) = client.search_model_versions(f"name = '{name}'")
    experiment = client.get_experiment_by_name(name).experiment_id
    runs = [run for run in client.search_runs([experiment]) if "huebands.suite_sha256" not in run.data.tags]
    stages = ("train", "ingest", "prepare", "validate", "fit-density", "evaluate", "calibrate")
    assert Counter(run.info.run_name for run in runs) == Counter(["noise", *(f"{stage} (noise)" for stage in stages)])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(client.search_logged_models([experiment])) == 1
    points = client.get_metric_history(version.run_id, "huber")
    assert sorted(point.step for point in points) == [1, 2, 3]
    assert len(client.get_metric_history(version.run_id, "test.psnr")) == 1
    downloaded = download_package(f"models:/{name}@challenger")
    for file in register.GENERATOR.iterdir():
        assert (downloaded / file.name).read_bytes() == file.read_bytes(), file.name
    found = register.find_or_restore_run(name, read_package(register.TRAINED).weights_sha256, Path())
    assert found[0] == version.run_id
    assert read_photos(RegisteredPackage(name, 1, None)) is not None


@pytest.mark.parametrize("todo", [BREAK, LOSE])
def test_a_registration_is_completed_whenever_the_registry_went_away(
    mlflow_server: Server, proxy: Proxy, settings: Params, todo: str
) -> None:
    cuts = (
        ("POST", "runs/create"), ("POST", "runs/log-batch"), ("PUT", "mlflow-artifacts"),
        ("POST", "registered-models/create"), ("POST", "logged-models"), ("PUT", "package"),
        ("POST", "model-versions/create"), ("POST", "model-versions/set-tag"),
        ("POST", "runs/outputs"), ("POST", "runs/log-inputs"), ("POST", "runs/update"),
        ("POST", "registered-models/alias"),
    )  # fmt: skip
    failures = 0
    for method, part in cuts:
        proxy.behaviour = once(todo, method, part)
        try:
            register.register(settings)
        except NoAnswerError as error:
            failures += 1
            assert proxy.address in str(error) and str(error).endswith(REGISTER), error
    assert failures >= 8, "the others concern what is there by then"
    proxy.behaviour = passes
    register.register(settings)
    check_whole(mlflow_server, settings.register.model_name)


def test_requests_that_the_client_sends_again_double_nothing(
    mlflow_server: Server, proxy: Proxy, settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    seen = set[tuple[str, str]]()

    def lose_first_of_each_kind(method: str, path: str) -> str:
        kind = (method, re.sub(r"/(artifacts|logged-models)/.*", r"/\1/", path))
        is_first = kind not in seen
        seen.add(kind)
        return LOSE if is_first else PASS

    proxy.behaviour, failures = lose_first_of_each_kind, 0
    while "registered-models/alias" not in str(seen):
        try:
            register.register(settings)
        except NoAnswerError:
            failures += 1  # what would create something twice is asked once
    assert failures == 4, "a run, a logged model, the link of the run to it, a version"
    check_whole(mlflow_server, settings.register.model_name)


def test_a_registry_that_is_killed_ends_the_stage_with_one_line_and_the_next_run_completes_it(
    mlflow_server: Server, proxy: Proxy, settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(method: str, path: str) -> str:
        if "model-versions/create" in path:
            mlflow_server.stop()
        return PASS

    proxy.behaviour = kill
    with pytest.raises(SystemExit, match=rf"^register: the registration of the package failed .*; {REGISTER}$"):
        register.main()
    assert not register.REPORT.exists(), "DVC must not take the stage for done"
    mlflow_server.start()
    proxy.behaviour = passes
    register.main()
    check_whole(mlflow_server, settings.register.model_name)


def test_a_registry_that_hangs_is_given_up(proxy: Proxy, settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    proxy.behaviour = once(HANG, "POST", "runs/create")
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=REGISTER):
        register.register(settings)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("todo", [BREAK, LOSE])
def test_a_promotion_is_completed_whenever_the_registry_went_away(
    mlflow_server: Server,
    proxy: Proxy,
    settings: Params,
    todo: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = settings.register.model_name
    register.register(settings)
    client = mlflow.MlflowClient(mlflow_server.address)
    cuts = (
        ("GET", "registered-models/alias"), ("POST", "runs/create"), ("PUT", "suite"),
        ("POST", "registered-models/set-tag"), ("GET", "package"), ("GET", "suite"), ("PUT", "promotion"),
        ("POST", "model-versions/set-tag"), ("POST", "registered-models/set-tag"), ("POST", "registered-models/alias"),
    )  # fmt: skip
    for method, part in cuts:
        proxy.behaviour = once(todo, method, part)
        assert main(["promote"]) == 2, part
        told = capsys.readouterr().err.strip()
        assert told.endswith(PROMOTE) or (todo, method) == (LOSE, "GET"), told
        is_moved = (todo, method, part) == (LOSE, "POST", "registered-models/alias")
        assert ("champion" in client.get_registered_model(name).aliases) == is_moved, part
    proxy.behaviour = passes
    assert main(["promote"]) == 0
    model = client.get_registered_model(name)
    assert model.aliases == {"challenger": "1", "champion": "1"}
    assert [key for key in model.tags if key.startswith("huebands.suite.")] == ["huebands.suite.1"]
    experiment = client.get_experiment_by_name(name).experiment_id
    assert len(client.search_runs([experiment], "tags.huebands.suite_sha256 LIKE '%'")) == 1
    tags = client.get_model_version(name, "1").tags
    assert tags["huebands.verdict.outcome"] == "promoted" and "huebands.champion_since" in tags
    check_whole(mlflow_server, settings.register.model_name)


def test_a_champion_that_the_registry_does_not_send_is_not_taken_for_a_broken_one(
    proxy: Proxy, settings: Params, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    register.register(settings)
    assert main(["promote"]) == 0
    train(bias=0.01)
    register.register(settings)
    levels["champion"] = 9.5
    packages, probes = list[str](), list[str]()

    def second_package_breaks(method: str, path: str) -> str:
        if method == "GET" and path.endswith("generator.safetensors"):
            packages.append(path)
        if len(packages) < 2 or probes:
            return PASS
        if path.endswith("experiments/search"):
            probes.append(path)  # it was looked whether the registry answers; from here on it does
        return BREAK

    proxy.behaviour = second_package_breaks
    assert main(["promote", "--reason", "I like it"]) == 2
    assert capsys.readouterr().err.strip().endswith(PROMOTE)
    proxy.behaviour = passes
    assert main(["promote"]) == 0
