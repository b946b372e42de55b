"""`huebands promote` and `huebands rollback`: one rule, one step, never a state between two."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from huebands.cli import main
from huebands.data import shards
from huebands.package.read import read_package
from huebands.promotion import promote as promote_module
from huebands.promotion.decision import Decision, record
from huebands.promotion.promote import promote
from huebands.promotion.stored_suite import new_suite, open_suite
from huebands.promotion.suite import SuiteError
from huebands.registry import announcement
from huebands.registry import champion as champion_module
from huebands.registry.champion import champion_version, move_champion
from huebands.registry.connection import TrackingError
from huebands.registry.models import find_package, register_package, set_alias, tags_of
from huebands.registry.training_run import TrainingRun
from huebands.stages import register
from mlflow_server import Server
from pipeline_checkout import MODEL, SETTINGS, Scorer, alias, client, make_checkout, prepare, runs, train
from tiny_package import calibrate_tiny, write_uncalibrated

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


BIASES = (0.0, 0.01, 0.02)  # of the weights of the first three versions
HOLIDAY, RECALIBRATED = 4, 5  # the versions of another dataset, and of the first one's weights


def register_first() -> None:
    """Register three versions; none is champion."""
    for bias in BIASES:
        train(bias=bias)
        register.register(SETTINGS)
    open_suite(MODEL, SETTINGS)


def register_others() -> None:
    """Register the other two."""
    train(bias=0.05, data="holiday")
    register.register(SETTINGS)
    train(bias=BIASES[0])
    trained = read_package(register.TRAINED)
    calibrate_tiny(register.STAGES.calibration, trained, register.STAGES.density, photos=29, alphas=(0.1, 0.2))
    register.register(SETTINGS)


@contextmanager
def made(folder: Path, empty_store: Path, address: str | None = None) -> Iterator[None]:
    """Work in a new checkout, with its own registry or the one at the address."""
    scorer = Scorer()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(register, "ColourScorer", lambda: scorer)
        if address:
            patch.setenv("MLFLOW_TRACKING_URI", address)
        make_checkout(folder, empty_store)
        yield


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A checkout with five versions in its registry, to be copied."""
    folder = tmp_path_factory.mktemp("registered")
    with made(folder, empty_store):
        register_first()
        register_others()
    return folder


@pytest.fixture
def store(registered: Path, tmp_path: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that checkout, as the current folder."""
    folder = tmp_path / "checkout"
    shutil.copytree(registered, folder)
    _artifact_repos_cache.clear()  # MLflow remembers where a run's files are, and the copies have the same runs
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    """A server with three versions, whose clients work in a checkout beside it."""
    folder = tmp_path_factory.mktemp("server")
    server = Server(folder)
    (folder / "checkout").mkdir()
    with made(folder / "checkout", empty_store, server.address):
        register_first()
    yield server
    server.stop()


@pytest.fixture
def server(running: Server, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """That server, on which no version was judged, and its files as they were."""
    monkeypatch.chdir(running.folder / "checkout")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    kept = running.folder / "kept"
    shutil.copytree(running.folder / "artifacts", kept)
    yield running
    shutil.rmtree(running.folder / "artifacts")
    kept.rename(running.folder / "artifacts")
    if "champion" in client().get_registered_model(MODEL).aliases:
        client().delete_registered_model_alias(MODEL, "champion")
    for version in client().search_model_versions(f"name = '{MODEL}'"):
        for key in version.tags:
            if key.startswith(("huebands.verdict.", "huebands.champion", "huebands.replaced", "huebands.rolled_back")):
                client().delete_model_version_tag(MODEL, version.version, key)


def package_of(server: Server, number: int) -> Path:
    """The folder of a version's package in the server's artifacts."""
    model_id = client().get_model_version(MODEL, str(number)).source.removeprefix("models:/")
    (folder,) = (server.folder / "artifacts").rglob(f"{model_id}/artifacts/artifacts/package")
    return folder


def judge(levels: dict[str, float], number: int, **options: Any) -> Decision:
    scorer = Scorer()
    scorer.levels = levels
    return promote(find_package(f"models:/{MODEL}/{number}"), SETTINGS, scorer, **options)


def tags(number: int) -> dict[str, str]:
    return tags_of(find_package(f"models:/{MODEL}/{number}"))


def page_of(number: int, folder: Path) -> str:
    """The page of a version's verdict."""
    folder.mkdir(exist_ok=True)
    run_id = client().get_model_version(MODEL, str(number)).run_id
    return Path(client().download_artifacts(run_id, f"promotion/version-{number}.html", str(folder))).read_text()


def content(store: Path) -> tuple[Any, ...]:
    """All that the registry holds: the model, its versions, the runs, and the files with their bytes."""
    model = client().get_registered_model(MODEL)
    versions = client().search_model_versions(f"name = '{MODEL}'")
    files = {path: path.read_bytes() for path in (store / "mlartifacts").rglob("*") if path.is_file()}
    return (
        (model.tags, model.aliases, model.last_updated_timestamp),
        {version.version: (version.tags, version.last_updated_timestamp) for version in versions},
        {run.info.run_id: (run.info.status, run.data.tags, run.data.metrics, run.data.params) for run in runs()},
        files,
    )


def written_after(patch: pytest.MonkeyPatch, step: str) -> list[str]:
    """The names of the writing methods of MLflow's client that are called after this one."""
    written, is_done = list[str](), list[bool]()

    def watched(name: str) -> Any:
        whole = getattr(mlflow.MlflowClient, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if is_done:
                written.append(name)
            result = whole(*arguments, **options)
            if name == step:
                is_done.append(True)
            return result

        return call

    for name in dir(mlflow.MlflowClient):
        if name.startswith(("set_", "delete_", "create_", "log_")):
            patch.setattr(mlflow.MlflowClient, name, watched(name))
    return written


def test_only_a_better_version_becomes_champion(store: Path, levels: dict[str, float]) -> None:
    assert judge(levels, 1).promoted and alias("champion") == 1
    levels["champion"] = 8.0
    assert not judge(levels, 2).promoted and alias("champion") == 1
    levels["champion"] = 9.5
    assert judge(levels, 2).promoted and alias("champion") == 2
    assert tags(2)["replaced"] == "1" and "champion_since" in tags(2)
    assert tags(2)["verdict.outcome"] == "promoted"


def test_the_champion_keeps_the_verdict_that_made_it_champion(
    store: Path, levels: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(levels, 1)
    levels["champion"] = 9.5
    judge(levels, 2)
    before, page = tags(2), page_of(2, tmp_path / "before")
    assert main(["promote", "--version", "2"]) == 0
    assert capsys.readouterr().out.endswith(f"models:/{MODEL}/2 is champion: it was champion before\n")
    levels["challenger"] = 10.0
    assert main(["promote", "--version", "2", "--reason", "I like it"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith(
        f"models:/{MODEL}/2 is champion: it was champion before, but would be refused now: not better than grey: no"
        " clear difference"
    )
    assert any(line.startswith("  lpips 9.99") and line.endswith("no clear difference") for line in said)
    assert alias("champion") == 2 and tags(2) == before and page_of(2, tmp_path / "after") == page
    assert before["verdict.against"] == "1" and "Against the champion" in page


def test_a_champion_set_by_hand_is_not_said_to_be_better(store: Path, levels: dict[str, float]) -> None:
    levels["challenger"] = 10.0
    judge(levels, 3)
    set_alias(MODEL, "champion", 3)  # as in the page of MLflow
    before = tags(3)
    assert before["verdict.outcome"] == "refused"
    assert "would be refused now: not better than grey" in judge(levels, 3).in_words()
    set_alias(MODEL, "champion", 2)
    assert judge(levels, 2).promoted
    assert tags(3) == before and "verdict.outcome" not in tags(2) and "champion_since" not in tags(2)


def test_the_command_judges_the_challenger(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    set_alias(MODEL, "challenger", 3)
    assert main(["promote", "--dry-run"]) == 0
    assert f"models:/{MODEL}/3 would be champion: there was no champion; better than grey" in capsys.readouterr().out
    assert champion_version(MODEL) is None
    assert main(["promote"]) == 0 and alias("champion") == 3
    assert f"models:/{MODEL}/3 is champion: there was no champion; better than grey" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    client().delete_registered_model_tag(MODEL, "huebands.suite.1")  # the first judgement makes a suite
    before = content(store)
    assert main(["promote", "--version", "2", "--dry-run"]) == 0
    assert "On 12 photos of suite 1" in capsys.readouterr().out
    assert content(store) == before
    judge(levels, 1)
    levels["champion"] = 9.5
    before = content(store)
    for number, reason in (("1", ""), ("2", ""), ("3", "I like it")):
        assert main(["promote", "--version", number, "--reason", reason, "--dry-run"]) == 0
    levels["challenger"] = 10.0
    assert main(["promote", "--version", "2", "--dry-run"]) == 3
    assert content(store) == before


def test_a_model_that_is_not_better_than_grey_is_never_champion(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    levels["challenger"] = 10.0
    assert judge(levels, 1).reason == "not better than grey: no clear difference by any criterion"
    assert main(["promote", "--version", "1", "--reason", "I like it"]) == 3
    assert "is not champion: not better than grey" in capsys.readouterr().out
    assert champion_version(MODEL) is None
    levels["challenger"] = 9.0
    judge(levels, 2)
    assert main(["rollback", "--to", "1", "--reason", "I like it"]) == 2
    error = capsys.readouterr().err
    assert f"models:/{MODEL}/1: was never champion" in error and "use `huebands promote --version 1`" in error
    assert alias("champion") == 2 and "rolled_back" not in tags(2)


def test_a_model_no_better_than_the_mean_colour_by_lightness_is_told(store: Path, levels: dict[str, float]) -> None:
    levels["mean colour by lightness"] = 8.0
    decision = judge(levels, 1)
    assert decision.promoted, "that decides nothing"
    assert decision.lines[0].startswith("On 12 photos of suite 1 (test photos of 'paintings'")
    line = next(line for line in decision.lines if "lpips" in line and "mean colour by lightness" in line)
    assert line.startswith("  lpips 8.9984") and line.endswith("clearly higher")
    assert "Against mean colour by lightness" in decision.page


def test_the_verdict_is_kept_as_tags_and_as_a_page(store: Path, levels: dict[str, float], tmp_path: Path) -> None:
    judge(levels, 1)
    levels["champion"] = 8.0
    decision = judge(levels, 2)
    kept = tags(2)
    assert kept["verdict.outcome"] == "refused" and kept["verdict.against"] == "1"
    assert kept["verdict.why"] == decision.reason
    assert decision.reason.startswith("not better than the one in use: clearly higher by ciede2000, lpips")
    assert kept["verdict.grey_lpips"] == decision.figures["grey lpips"]
    assert kept["verdict.suite"].startswith("1 ")
    for name, prefix in (("challenger", ""), ("champion", "champion_")):
        assert f"{name}: {float(kept[f'verdict.{prefix}seconds']):.2f} s" in "".join(decision.costs)
        for figure in ("coverage", "p", "width"):
            for mode in ("joint", "per_channel"):
                assert float(kept[f"verdict.{prefix}{figure}_{mode}"]) >= 0
    page = page_of(2, tmp_path)
    assert f"<h1>models:/{MODEL}/2 may not become champion: not better than the one in use" in page
    parts = ("Against grey", "Against the champion", "per_channel coverage", "s a photo of the suite", "0.9 promised")
    for words in (*parts, "width 1", "of 255 levels"):
        assert words in page, words


def test_a_verdict_takes_the_place_of_the_one_before(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    levels["challenger"] = 10.0
    refused = judge(levels, 2, reason="it is new")
    assert tags(2)["verdict.reason"] == "it is new" and tags(2)["verdict.in_use_lpips"]
    client().delete_registered_model_alias(MODEL, "champion")
    levels["challenger"] = 9.0
    decision = judge(levels, 2)
    kept = {key.removeprefix("verdict."): value for key, value in tags(2).items() if key.startswith("verdict.")}
    assert kept == {**decision.tags, "outcome": "promoted"}
    assert kept["reason"] == kept["against"] == "" and "in_use_lpips" in refused.tags.keys() - kept.keys()


def test_a_champion_that_was_never_calibrated_stays_until_somebody_says_why(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = write_uncalibrated(store / "earlier")
    assert earlier.calibration is None
    run = TrainingRun.start("earlier", "huebands", {}, {})
    run.finish(earlier.weights_sha256)
    register_package(earlier.folder, earlier.package_sha256, MODEL, run.run_id, {}, {})
    set_alias(MODEL, "champion", 6)
    assert main(["promote", "--version", "2"]) == 3
    out = capsys.readouterr().out
    assert "is not champion: the champion, version 6, cannot be compared: " in out and "has no calibration" in out
    assert main(["promote", "--version", "2", "--reason", "it is old"]) == 0 and alias("champion") == 2


def test_a_champion_that_cannot_be_read_stays_until_somebody_says_why(
    server: Server, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    judge(levels, 1)
    shutil.rmtree(package_of(server, 1))
    assert main(["promote", "--version", "2"]) == 3
    out = capsys.readouterr().out
    assert "is not champion: the champion, version 1, cannot be compared: " in out and "not its files" in out
    assert '--reason "WHY" promotes it all the same' in out
    assert alias("champion") == 1
    assert main(["promote", "--version", "2", "--reason", "it is lost"]) == 0
    assert alias("champion") == 2 and tags(2)["verdict.reason"] == "it is lost"
    assert "version 1 gives way: it is lost" in capsys.readouterr().out


def test_a_package_whose_bytes_differ_is_never_champion(
    server: Server, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    weights = package_of(server, 1) / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert main(["promote", "--version", "1", "--reason", "never mind"]) == 2
    error = capsys.readouterr().err
    assert "are not those that were registered: their sha256" in error and len(error.splitlines()) == 1
    assert champion_version(MODEL) is None and "verdict.outcome" not in tags(1)


def test_a_champion_of_another_dataset_gives_way_only_for_a_reason(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    levels["champion"] = 9.9
    decision = judge(levels, HOLIDAY)
    assert not decision.promoted
    assert "is of another dataset (='paintings') than this version (='holiday'); --reason" in decision.reason
    levels["champion"] = 8.0
    reason = judge(levels, HOLIDAY, dry_run=True).reason
    assert "(='holiday'); not better than the one in use: clearly higher by ciede2000" in reason
    assert judge(levels, HOLIDAY, reason="we restore holiday photos").promoted
    assert alias("champion") == HOLIDAY


def test_what_a_person_has_set_stays_until_a_better_challenger_comes(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    levels["champion"] = 9.5
    judge(levels, 2)
    set_alias(MODEL, "champion", 1)  # as in the page of MLflow
    register.register(SETTINGS)
    assert alias("champion") == 1, "registering again moves nothing"
    decision = judge(levels, 2)
    assert not decision.promoted and "it was champion before, and another version was put" in decision.reason
    assert judge(levels, 3).promoted and alias("champion") == 3


def test_what_a_person_has_set_and_taken_away_needs_a_reason(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    judge(levels, 1)
    set_alias(MODEL, "champion", 3)
    assert main(["rollback", "--to", "1", "--reason", "green faces"]) == 0 and alias("champion") == 1
    levels["champion"] = 9.5
    assert main(["promote", "--version", "3"]) == 3
    assert "it was champion before, and another version was put in its place" in capsys.readouterr().out
    assert main(["promote", "--version", "3", "--reason", "the faces are fine"]) == 0 and alias("champion") == 3


def test_a_rollback_goes_back_to_what_a_person_had_set(store: Path, levels: dict[str, float]) -> None:
    set_alias(MODEL, "champion", 3)
    levels["champion"] = 9.5
    judge(levels, 1)
    judge(levels, 2)
    assert not judge(levels, 3, dry_run=True).promoted, "somebody has taken it away"
    assert main(["rollback", "--to", "3"]) == 0 and alias("champion") == 3


@pytest.mark.parametrize("method", ["set_model_version_tag", "set_registered_model_alias"])
def test_a_rollback_that_fails_half_way_can_be_done_again(
    store: Path, levels: dict[str, float], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels["champion"] = 9.5
    for number in (1, 2, 3):
        judge(levels, number)
    whole, calls = getattr(mlflow.MlflowClient, method), []

    def fails_once(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2 or method == "set_registered_model_alias":
            raise mlflow.MlflowException("a full disk")
        whole(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, method, fails_once)
        assert main(["rollback", "--reason", "green faces"]) == 2
    assert alias("champion") == 3 and tags(3)["rolled_back"] == "green faces"
    with monkeypatch.context() as patch:
        written = written_after(patch, "set_registered_model_alias")
        assert main(["rollback", "--reason", "green faces"]) == 0
    assert written == ["delete_registered_model_tag"], "what fails after the step would have it done twice"
    assert alias("champion") == 2 and tags(2)["replaced"] == "1"


def test_a_rollback_goes_back_and_a_reason_brings_forth(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    levels["champion"] = 9.5
    for number in (1, 2, 3):
        assert judge(levels, number).promoted
    assert main(["rollback", "--dry-run"]) == 0 and alias("champion") == 3
    assert main(["rollback", "--reason", "green faces"]) == 0
    assert alias("champion") == 2 and tags(3)["rolled_back"] == "green faces"
    assert main(["rollback"]) == 0 and alias("champion") == 1
    assert main(["rollback"]) == 2 and "no champion before it is known; name the version" in capsys.readouterr().err
    assert main(["promote", "--version", "3"]) == 3 and alias("champion") == 1
    assert main(["promote", "--version", "3", "--reason", "the faces are fine"]) == 0 and alias("champion") == 3
    assert main(["rollback", "--to", "7"]) == 2 and "not in the registry" in capsys.readouterr().err
    assert main(["rollback", "--to", "2"]) == 0 and alias("champion") == 2


def test_a_rollback_to_a_version_that_is_lost_is_refused(
    server: Server, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    judge(levels, 1)
    levels["champion"] = 9.5
    judge(levels, 2)
    shutil.rmtree(package_of(server, 1))
    assert main(["rollback"]) == 2
    assert "cannot be champion again: " in capsys.readouterr().err
    assert alias("champion") == 2


def test_a_recalibration_of_the_champion_is_decided_by_its_bands(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    decision = judge(levels, RECALIBRATED)
    assert len([line for line in decision.lines if "bands in use" in line]) == 4, "miscoverage and width, in both modes"
    assert decision.reason.startswith("colours alike, and no better bands: ") and alias("champion") == 1
    trained = read_package(register.TRAINED)
    calibrate_tiny(
        register.STAGES.calibration, trained, register.STAGES.density, alphas=(0.1, 0.2), joint_offsets=(0, 48, 0)
    )
    register.register(SETTINGS)
    decision = judge(levels, 6)
    assert decision.promoted and alias("champion") == 6
    assert decision.reason == "colours alike, and better bands: clearly lower by joint width"
    assert tags(6)["verdict.bands_in_use_joint_width"] == decision.figures["bands in use joint width"]


def test_limits_of_time_and_size_refuse(store: Path, levels: dict[str, float]) -> None:
    version = find_package(f"models:/{MODEL}/1")
    for name, words in (("max_seconds", "s a photo, more than promote"), ("max_megabytes", "MB, more than promote")):
        limited = replace(SETTINGS, promote=replace(SETTINGS.promote, **{name: 1e-9}))
        decision = promote(version, limited, Scorer(), "I do not mind")
        assert not decision.promoted and words in decision.reason


def test_photos_of_the_suite_that_a_version_has_seen_are_left_out(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    suite, _ = open_suite(MODEL, SETTINGS)
    prepare(seed=1, seen=suite.photos[:3])
    train(bias=0.03)
    register.register(SETTINGS)
    levels["champion"] = 9.5
    decision = judge(levels, 6, dry_run=True)
    assert decision.promoted
    assert any("On 9 photos of suite 1" in line and "without 3 that one of" in line for line in decision.lines)
    assert "On its own 12 test photos, which decide nothing:" in decision.lines
    client().delete_model_version_tag(MODEL, "6", "huebands.photos_sha256")  # as of a version without a list
    decision = judge(levels, 6, dry_run=True)
    assert not decision.promoted
    assert "the challenger has learned from: it keeps no list of its photos; --reason" in decision.reason
    assert judge(levels, 6, dry_run=True, reason="they are new").promoted


def test_a_lost_list_of_photos_needs_a_reason(store: Path, levels: dict[str, float]) -> None:
    judge(levels, 1)
    prepare(seed=1)
    train(bias=0.03)
    register.register(SETTINGS)
    (photos,) = store.glob(f"mlartifacts/**/photos/{shards.data_sha256(register.PREPARED)[:16]}.parquet")
    photos.unlink()
    levels["champion"] = 9.5
    decision = judge(levels, 6)
    assert not decision.promoted
    assert "it is not known which photos of the suite ('paintings') the challenger has learned" in decision.reason
    assert f"models:/{MODEL}/6: the list of its photos, photos/" in decision.reason and "missing" in decision.reason
    assert judge(levels, 6, reason="they are new").promoted


def test_a_suite_that_both_versions_know_judges_nothing(store: Path, levels: dict[str, float]) -> None:
    suite, _ = open_suite(MODEL, SETTINGS)
    prepare(seed=1, seen=suite.photos[:6])
    train(bias=0.03)
    register.register(SETTINGS)
    with pytest.raises(SuiteError, match=r"only 6 of its 12 photos were seen by neither version, and 8 are needed"):
        judge(levels, 6, reason="whatever")


def test_the_suite_stays_when_the_data_change(store: Path, levels: dict[str, float]) -> None:
    first = open_suite(MODEL, SETTINGS)
    prepare(seed=1)
    again = open_suite(MODEL, SETTINGS)
    assert first[0].sha256 == again[0].sha256 and first[1] == again[1] == 1
    assert main(["registry", "suite", "--new"]) == 0
    newer, number = open_suite(MODEL, SETTINGS)
    assert number == 2 and newer.data_sha256 == shards.data_sha256(register.PREPARED) != first[0].data_sha256


def test_two_promotions_at_once_make_one_champion(
    server: Server, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(levels, 1)
    monkeypatch.setattr(announcement, "_POLL", 0.05)
    meet, outcomes, moves = threading.Barrier(2), dict[int, str](), 0

    def move(number: int, delay: float) -> None:
        version = find_package(f"models:/{MODEL}/{number}")
        meet.wait()
        time.sleep(delay)
        try:
            move_champion(version, judged=1)
            outcomes[number] = "moved"
        except TrackingError as error:
            outcomes[number] = str(error)

    for later in range(10):  # where none is ahead, both may give up
        threads = [threading.Thread(target=move, args=(2, 0.0)), threading.Thread(target=move, args=(3, 0.05 * later))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        moved = [number for number, outcome in outcomes.items() if outcome == "moved"]
        moves += len(moved)
        assert len(moved) <= 1, outcomes
        assert alias("champion") == (moved or [1])[0]
        for outcome in outcomes.values():
            assert outcome == "moved" or "another program changes champion" in outcome or "judge it again" in outcome
        left = [key for key in client().get_registered_model(MODEL).tags if key.startswith("huebands.moving")]
        assert not left
        set_alias(MODEL, "champion", 1)
    assert moves, "some round has a winner"


def test_a_promotion_that_comes_too_late_leaves_no_trace_of_one(
    server: Server, levels: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(levels, 1)
    levels["champion"] = 9.5
    with monkeypatch.context() as patch, pytest.raises(TrackingError, match="the champion is version 3 by now; judge"):
        patch.setattr(promote_module, "record", lambda decision: (record(decision), set_alias(MODEL, "champion", 3)))
        judge(levels, 2)
    assert alias("champion") == 3
    kept = tags(2)
    assert kept["verdict.outcome"] == "better" and not {"champion_since", "replaced"} & kept.keys()
    assert f"<h1>models:/{MODEL}/2 may become champion: better than the one in use" in page_of(2, tmp_path)


def test_the_environment_does_not_prolong_the_step(
    store: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    whole, limits = mlflow.MlflowClient.set_registered_model_alias, []

    def step(*arguments: Any) -> None:
        limits.append([os.environ[name] for name in names])
        whole(*arguments)

    for name in names:
        monkeypatch.setenv(name, "600")
    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", step)
    assert judge(levels, 1).promoted
    assert limits == [["10", "0"]]


def meanwhile(patch: pytest.MonkeyPatch, other: Callable[[], Any]) -> None:
    """Run another program while the first files are logged."""
    whole = mlflow.MlflowClient.log_artifacts

    def log_artifacts(*arguments: Any) -> None:
        patch.setattr(mlflow.MlflowClient, "log_artifacts", whole)
        other()
        whole(*arguments)

    patch.setattr(mlflow.MlflowClient, "log_artifacts", log_artifacts)


def test_two_first_promotions_at_once_judge_on_one_suite(
    store: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = open_suite(MODEL, SETTINGS)[0]
    client().delete_registered_model_tag(MODEL, "huebands.suite.1")
    others = []

    def other_program() -> None:
        prepare(seed=1)
        others.append(open_suite(MODEL, SETTINGS)[0].sha256)

    meanwhile(monkeypatch, other_program)
    suite, number = open_suite(MODEL, SETTINGS)
    assert number == 1 and [suite.sha256] == others and suite.sha256 != earlier.sha256


def test_of_two_new_suites_at_once_one_is_refused(
    store: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_program() -> None:
        prepare(seed=1)
        assert new_suite(MODEL, SETTINGS).number == 2

    meanwhile(monkeypatch, other_program)
    with pytest.raises(TrackingError, match=rf"another program has given '{MODEL}' suite 2 meanwhile; try again"):
        new_suite(MODEL, SETTINGS)
    assert open_suite(MODEL, SETTINGS)[1] == 2


def test_what_a_killed_promotion_has_announced_stops_nobody_for_long(
    store: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    client().set_registered_model_tag(MODEL, "huebands.moving.dead", "1")
    monkeypatch.setattr(announcement, "_ABANDONED", 0.2)
    monkeypatch.setattr(announcement, "_POLL", 0.05)
    assert judge(levels, 1).promoted and alias("champion") == 1
    assert "huebands.moving.dead" not in client().get_registered_model(MODEL).tags


@pytest.mark.parametrize(
    "method", ["log_artifacts", "set_model_version_tag", "set_registered_model_tag", "set_registered_model_alias"]
)
def test_a_registry_that_goes_away_leaves_the_old_champion_or_the_new_one(
    server: Server, levels: dict[str, float], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(levels, 1)
    levels["champion"] = 9.5
    whole = getattr(mlflow.MlflowClient, method)

    def gone(*arguments: Any, **options: Any) -> None:
        server.stop()
        whole(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, method, gone)
        with pytest.raises(TrackingError):
            judge(levels, 2)
    server.start()
    assert alias("champion") == 1 and "champion_since" not in tags(2)
    monkeypatch.setattr(announcement, "_ABANDONED", 0.2)
    monkeypatch.setattr(announcement, "_POLL", 0.05)
    assert judge(levels, 2).promoted and alias("champion") == 2
    assert tags(2)["replaced"] == "1" and "champion_since" in tags(2)


def test_a_promotion_that_was_cut_off_after_its_step_is_completed(
    store: Path, levels: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = champion_module._set_alias

    def killed(*arguments: Any) -> None:
        whole(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(champion_module, "_set_alias", killed)
        judge(levels, 1)
    assert alias("champion") == 1 and "champion_since" not in tags(1)
    before = tags(1)
    assert before["verdict.outcome"] == "better"
    assert judge(levels, 1).promoted
    completed = tags(1)
    assert completed.pop("champion_since") and completed == before | {"verdict.outcome": "promoted"}


def test_the_versions_are_listed_shown_and_compared(
    store: Path, levels: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    judge(levels, 1)
    assert main(["registry", "list"]) == 0
    heading, newest, *_, first = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["version", "registered", "data"]
    assert newest.startswith(f"{RECALIBRATED} ") and newest.endswith("challenger") and " - " in newest
    assert first.startswith("1 ") and first.endswith("champion") and " promoted " in first
    assert newest.split()[3] == first.split()[3] == "paintings"
    assert main(["registry", "show", "1"]) == 0
    shown = capsys.readouterr().out
    assert "verdict.why" in shown and "test.psnr" in shown and "package_sha256" in shown
    assert main(["registry", "diff", "1", "2"]) == 0
    differences = {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]}
    assert {"aliases", "package_sha256"} <= differences and "test.psnr" not in differences
    assert main(["registry", "show", "9"]) == 2
    assert "version 9 is not in the registry; it holds 1, 2, 3, 4, 5" in capsys.readouterr().err


def test_a_checkout_without_a_registered_model_says_what_to_do(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["promote"], ["rollback"], ["registry", "list"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1 and ("dvc repro" in error or "huebands promote" in error), error
