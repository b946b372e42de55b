"""A rollout puts a version in use or leaves nothing of it, whatever ends meanwhile; with fake worker processes."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from fake_workers import fake_process, job
from huebands.colorize.colorizer import Colorizer
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.limits import Limits
from huebands.serving.app import build_app, serve_model
from huebands.serving.following import rollout
from huebands.serving.following.follower import WithdrawnError
from huebands.serving.following.in_use_record import InUseRecord
from huebands.serving.following.registry import FollowError
from huebands.serving.following.rollout import Rollout
from huebands.serving.live_model import LiveModel, LiveModels, Workers
from huebands.serving.served_model import ServedModel
from huebands.serving.workers.jobs import UnservedError
from huebands.serving.workers.pool import WorkerPool
from tiny_package import write_tiny_package

WITHIN = 300  # seconds that a test may take; it takes a few
LIMITS = Limits.from_environment({"HUEBANDS_PROCESSES": "1"})


class FakeWorkers:
    """A worker process that follows the content of a job, see `fake_workers`.

    Attributes:
        how: how the process starts.
        made: all that a test has made.
    """

    how = "succeed"
    made: list["FakeWorkers"]

    def __init__(self, folder: Path, package_sha256: str, limits: Limits) -> None:
        self.pool = WorkerPool(lambda: fake_process(self.how), processes=1, queue=4, timeout=WITHIN)
        self.closed = False
        self.made.append(self)

    def start(self) -> None:
        self.pool.start()

    async def close(self) -> None:
        self.closed = True
        await self.pool.close()


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorkers]:
    """The worker processes that were made, those of the first model first."""
    monkeypatch.setattr(FakeWorkers, "made", [], raising=False)
    monkeypatch.setattr(rollout, "Workers", FakeWorkers)
    return FakeWorkers.made


@pytest.fixture(scope="module")
def other_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of other weights."""
    folder = tmp_path_factory.mktemp("packages") / "other"
    write_tiny_package(folder, seed=1)
    return folder


def fetch(package: Path, folder: Path, version: int) -> ServedModel:
    folder.mkdir()
    for file in package.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    sha256 = Colorizer.load(folder).package.package_sha256
    return ServedModel(folder=str(folder), source="models:/b@c", model="b", version=version, package_sha256=sha256)


@pytest.fixture
def first(tiny_package: Path, tmp_path: Path) -> ServedModel:
    return fetch(tiny_package, tmp_path / "package", 1)


@pytest.fixture
def second(other_package: Path, tmp_path: Path) -> ServedModel:
    return fetch(other_package, tmp_path / "version-2", 2)


@pytest.fixture
def app(first: ServedModel) -> Starlette:
    app, workers = build_app(), cast(Workers, FakeWorkers(Path(first.folder), str(first.package_sha256), LIMITS))
    models = LiveModels(LiveModel(first, first.load(), workers))
    serve_model(app, models, AdmissionControl(workers.pool, max_bytes=2**30, max_requests=100))
    return app


@pytest.fixture
def models(app: Starlette) -> LiveModels:
    """The models of a service; the first one is in use."""
    return cast(LiveModels, app.state.models)


@pytest.fixture
def rolling(app: Starlette, first: ServedModel) -> Rollout:
    return Rollout(app, LIMITS, InUseRecord(first))


def run(test: Callable[[], Awaitable[None]], models: LiveModels) -> None:
    """Run a test; all worker processes are ended afterwards. That of the first model does not run before `start`."""

    async def limited() -> None:
        async with asyncio.timeout(WITHIN):
            try:
                await test()
            finally:
                await models.close()

    asyncio.run(limited())


async def start(models: LiveModels) -> LiveModel:
    """Start the worker process of the model in use; gives the model."""
    models.current.workers.start()
    await models.current.workers.pool.wait_until_warm()
    return models.current


async def confirm() -> None:
    """The alias still points at the version."""


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)


def submit(live: LiveModel, content: bytes) -> "asyncio.Task[Any]":
    """Send a job to a model, and count it as a request."""

    async def send() -> Any:
        with live.in_use():
            return await live.workers.pool.submit(job(content))

    return asyncio.create_task(send())


async def refusal(outcome: Awaitable[Any]) -> str:
    with pytest.raises(UnservedError) as error:
        await outcome
    return error.value.cause


def folders(model: ServedModel) -> list[str]:
    """The names of the folders beside a model's."""
    return sorted(path.name for path in Path(model.folder).parent.iterdir() if path.is_dir())


def test_a_version_is_put_in_use_with_its_time_and_the_files_of_the_one_before_are_removed(
    app: Starlette, models: LiveModels, rolling: Rollout, first: ServedModel, second: ServedModel, tiny_package: Path
) -> None:
    async def roll_out() -> None:
        for model, before in ((second, first), (None, second)):
            model = model or fetch(tiny_package, Path(second.folder).with_name("version-3"), 3)
            await rolling.put_in_use(model, confirm)
            assert Path(before.folder).exists(), "the worker processes of the version before may start again"
            await rolling.end_replaced()
            assert (rolling.in_use.version, rolling.in_use.in_use_since is None) == (model.version, False)
            assert app.state.admission.pool is models.current.workers.pool
            assert models.current.workers.pool.ready
            assert InUseRecord(first).read() == rolling.in_use
            assert not Path(before.folder).exists()

    run(roll_out, models)
    assert folders(first) == ["version-3"]


@pytest.mark.parametrize(("how", "reason"), [("fail", "the package is not sound"), ("end", "has ended")])
def test_a_version_whose_processes_do_not_start_is_refused_and_leaves_nothing(
    models: LiveModels,
    rolling: Rollout,
    second: ServedModel,
    made: list[FakeWorkers],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    reason: str,
) -> None:
    async def try_it() -> None:
        monkeypatch.setattr(FakeWorkers, "how", how)
        with pytest.raises(FollowError, match=f"it did not start: .*{reason}") as error:
            await rolling.put_in_use(second, confirm)
        assert not error.value.lasting
        check_dropped(models, made, second)

    run(try_it, models)


def check_dropped(models: LiveModels, made: list[FakeWorkers], model: ServedModel) -> None:
    """Check that the first model is in use, and that nothing is left of another one."""
    assert models.current.workers is made[0] and models.replaced is None and not made[0].closed
    assert all(workers.closed for workers in made[1:])
    assert folders(model) == ["package"] and not Path(models.current.model.folder).with_name("in-use.json").exists()


def test_a_package_that_cannot_be_loaded_here_is_refused_and_its_processes_end(
    models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers]
) -> None:
    (Path(second.folder) / "MODEL_CARD.md").write_text("# Another\n")

    async def try_it() -> None:
        with pytest.raises(FollowError, match=r"it did not start: .*MODEL_CARD"):
            await rolling.put_in_use(second, confirm)
        check_dropped(models, made, second)

    run(try_it, models)


@pytest.mark.parametrize("confirmed", [0, 1])
def test_a_version_that_is_withdrawn_before_its_swap_is_dropped(
    models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers], confirmed: int
) -> None:
    """It is confirmed before the warm-up, and after it."""
    asked = []

    async def withdraw() -> None:
        asked.append(len(made))
        if len(asked) > confirmed:
            raise WithdrawnError

    async def try_it() -> None:
        with pytest.raises(WithdrawnError):
            await rolling.put_in_use(second, withdraw)
        check_dropped(models, made, second)

    run(try_it, models)
    assert asked == [1, 2][: confirmed + 1]


def test_a_version_whose_process_ends_between_warm_up_and_swap_is_refused(
    models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers]
) -> None:
    async def kill() -> None:
        for workers in made[1:]:
            os.kill(workers.pool.pids[0], signal.SIGKILL)
            await until(lambda: not made[1].pool.pids)

    async def try_it() -> None:
        with pytest.raises(FollowError, match=r"it did not start: .*has ended"):
            await rolling.put_in_use(second, kill)
        check_dropped(models, made, second)

    run(try_it, models)


def test_a_photo_of_the_replaced_version_is_answered_though_its_process_dies_after_the_swap(
    app: Starlette, models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers]
) -> None:
    async def kill() -> None:
        old = await start(models)
        await rolling.put_in_use(second, confirm)
        photo = submit(old, b"sleep 0.5")
        await until(lambda: old.workers.pool.working)
        ending = asyncio.create_task(rolling.end_replaced())
        (killed,) = old.workers.pool.pids
        os.kill(killed, signal.SIGKILL)
        content, pid = await photo
        assert (content, pid != killed) == (b"sleep 0.5", True)
        await ending
        assert made[0].closed and models.replaced is None
        assert app.state.admission.pool.counts["retries"] == 1, "the service goes on counting"

    run(kill, models)


def test_a_stop_during_the_warm_up_drops_the_version_and_finishes_accepted_photos(
    models: LiveModels,
    rolling: Rollout,
    second: ServedModel,
    made: list[FakeWorkers],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stop() -> None:
        photo = submit(await start(models), b"sleep 0.5")
        monkeypatch.setattr(FakeWorkers, "how", "hang")
        following = asyncio.create_task(rolling.put_in_use(second, confirm))
        await until(lambda: made[1:])
        following.cancel()  # as the service does after SIGTERM
        models.refuse_more()
        with pytest.raises(asyncio.CancelledError):
            await following
        check_dropped(models, made, second)
        assert await refusal(submit(models.current, b"echo")) == "stopping"
        assert (await photo)[0] == b"sleep 0.5"

    run(stop, models)


def test_a_stop_while_the_replaced_version_drains_finishes_the_photos_of_both(
    models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers]
) -> None:
    async def stop() -> None:
        old, content = await start(models), b"sleep 1"
        await rolling.put_in_use(second, confirm)
        photos = [submit(live, content) for live in (old, models.current)]
        following = asyncio.create_task(rolling.end_replaced())
        await until(lambda: all(workers.pool.working for workers in made))
        following.cancel()
        models.refuse_more()
        for live in (old, models.current):
            assert await refusal(submit(live, b"echo")) == "stopping"
        assert [answer[0] for answer in await asyncio.gather(*photos)] == [content, content]
        assert models.replaced is old
        await models.close()
        assert all(workers.closed and not workers.pool.pids for workers in made)

    run(stop, models)


def test_the_end_of_the_service_ends_both_versions_and_refuses_their_photos(
    models: LiveModels, rolling: Rollout, second: ServedModel, made: list[FakeWorkers]
) -> None:
    async def end() -> None:
        old = await start(models)
        await rolling.put_in_use(second, confirm)
        photos = [submit(live, b"sleep 60") for live in (old, models.current)]
        await until(lambda: all(workers.pool.working for workers in made))
        await models.close()
        assert [await refusal(photo) for photo in photos] == ["stopping", "stopping"]
        assert all(workers.closed and not workers.pool.pids for workers in made)

    run(end, models)


def test_a_version_that_cannot_be_recorded_is_told_and_the_files_of_the_recorded_one_are_kept(
    models: LiveModels,
    rolling: Rollout,
    first: ServedModel,
    second: ServedModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(model: ServedModel) -> None:
        raise OSError("no space")

    async def roll_out() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(rolling.record, "write", fail)
            await rolling.put_in_use(second, confirm)
            await rolling.end_replaced()
        message = "version 2 is in use, but not recorded; an HTTP process that starts anew serves version 1: no space"
        assert message in caplog.messages
        assert InUseRecord(first).read() is first and folders(second) == ["package", "version-2"]
        await rolling.end_replaced()
        assert InUseRecord(first).read() == rolling.in_use and folders(second) == ["version-2"]

    run(roll_out, models)


def test_a_record_that_a_cleaner_has_removed_is_written_again(
    models: LiveModels, rolling: Rollout, second: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "CHECK_INTERVAL", 0.01)
    path = Path(second.folder).with_name("in-use.json")

    async def clean() -> None:
        await rolling.put_in_use(second, confirm)
        path.unlink()
        regularly = asyncio.create_task(rolling.remember_regularly())
        await until(path.exists)
        regularly.cancel()
        await asyncio.gather(regularly, return_exceptions=True)

    run(clean, models)
