"""A model takes over between two requests: each answer is wholly of one model, and says of which."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from huebands.colorize.colorizer import Colorizer
from huebands.photos.write import encode_png
from huebands.serving.app import replace_model
from huebands.serving.live_model import LiveModel
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.served_model import ServedModel
from in_process import build_in_process, live_in_process
from tiny_package import write_tiny_package

WITHIN = 300  # seconds that a test may take; it takes a few
PHOTO = encode_png(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def other_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of other weights."""
    folder = tmp_path_factory.mktemp("packages") / "other"
    write_tiny_package(folder, seed=1)
    return folder


@pytest.fixture
def status() -> FollowStatus:
    return FollowStatus(address="models:/bands@champion", every_seconds=60)


@pytest.fixture
def app(tiny_package: Path, status: FollowStatus) -> Starlette:
    return build_in_process(tiny_package, status)


@pytest.fixture
def new(other_package: Path) -> LiveModel:
    model = ServedModel(folder=str(other_package), source="models:/bands@champion", model="bands", version=2)
    return live_in_process(model, Colorizer.load(other_package))


def hold_jobs(app: Starlette) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the pool of the model in use wait; gives events: a job has arrived, and the jobs may run."""
    pool: Any = app.state.models.current.workers.pool
    arrived, free, submit = asyncio.Event(), asyncio.Event(), pool.submit

    async def hold(job: Any) -> Any:
        arrived.set()
        await free.wait()
        return await submit(job)

    pool.submit = hold
    return arrived, free


def run(test: Callable[[httpx.AsyncClient], Awaitable[None]], app: Starlette) -> None:
    """Run a test with a client of the application."""

    async def limited() -> None:
        transport = httpx.ASGITransport(app)
        async with asyncio.timeout(WITHIN), httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            await test(client)

    asyncio.run(limited())


def post(client: httpx.AsyncClient, content: Any = PHOTO) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(client.post("/bands", files={"image": ("a.png", content)}))


def version_of(answer: httpx.Response) -> str:
    """The version of the model in the answer's header, which must be that of its report and its picture."""
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    version = answer.headers["huebands-version"]
    assert json.loads(archive.read("report.json"))["model"]["package_sha256"].startswith(version)
    return version


def test_a_photo_that_is_in_work_is_answered_by_its_model_and_the_next_one_by_the_new(
    app: Starlette, new: LiveModel
) -> None:
    old = app.state.models.current

    async def ask(client: httpx.AsyncClient) -> None:
        arrived, free = hold_jobs(app)
        first = post(client)
        await arrived.wait()
        replace_model(app, new)
        assert version_of(await post(client)) == new.version
        assert (await client.get("/model")).headers["huebands-version"] == new.version
        assert not first.done()
        free.set()
        assert version_of(await first) == old.version
        assert (old.monitor.drift.alarm.count, new.monitor.drift.alarm.count) == (1, 1)

    run(ask, app)
    assert old.version != new.version


def test_an_upload_that_ends_after_the_replacement_is_answered_by_the_new_model(app: Starlette, new: LiveModel) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        form = httpx.Request("POST", "http://inside/bands", files={"image": ("a.png", PHOTO)})
        body, half_sent, rest = form.read(), asyncio.Event(), asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield body[:300]
            half_sent.set()
            await rest.wait()
            yield body[300:]

        headers = {"Content-Type": form.headers["Content-Type"]}
        answer = asyncio.create_task(client.post("/bands", content=pieces(), headers=headers))
        await half_sent.wait()
        replace_model(app, new)
        rest.set()
        assert version_of(await answer) == new.version

    run(ask, app)


def test_the_replaced_model_ends_after_its_last_photo(app: Starlette, new: LiveModel) -> None:
    models = app.state.models
    old, closed = models.current, []

    async def close() -> None:
        closed.append(old.version)

    old.workers.close = close

    async def ask(client: httpx.AsyncClient) -> None:
        arrived, free = hold_jobs(app)
        photo = post(client)
        await arrived.wait()
        replace_model(app, new)
        ending = asyncio.create_task(models.end_replaced())
        await asyncio.sleep(0.05)
        assert closed == [] and models.pools == [new.workers.pool, old.workers.pool]
        free.set()
        assert version_of(await photo) == old.version
        await ending
        assert closed == [old.version] and models.pools == [new.workers.pool]

    run(ask, app)


def test_a_client_that_hangs_up_or_sends_a_wrong_form_does_not_keep_the_replaced_model(
    app: Starlette, new: LiveModel
) -> None:
    models = app.state.models

    async def close() -> None:
        pass

    models.current.workers.close = close

    async def ask(client: httpx.AsyncClient) -> None:
        answer = await client.post("/bands", files={"image": ("a.png", PHOTO)}, data={"alpha": "2"})
        assert answer.status_code == 422
        arrived, _ = hold_jobs(app)
        photo = post(client)
        await arrived.wait()
        photo.cancel()
        replace_model(app, new)
        await models.end_replaced()
        assert models.replaced is None

    run(ask, app)


def test_what_is_told_of_the_model_is_of_the_new_one(app: Starlette, new: LiveModel, other_package: Path) -> None:
    old = app.state.models.current
    app.state.admission.pool.counts["restarts"] = 3

    async def ask(client: httpx.AsyncClient) -> None:
        assert version_of(await post(client)) == old.version
        before = (await client.get("/model")).json()
        replace_model(app, new)
        after = (await client.get("/model")).json()
        assert (before["version"], after["version"]) == (old.version, new.version)
        assert (before["monitoring"]["drift"]["photos"], after["monitoring"]["drift"]["photos"]) == (1, 0)
        assert after["registry"] == {"model": "bands", "version": 2, "alias": None}
        assert (await client.get("/certificate")).content == (other_package / "certificate.html").read_bytes()
        metrics = (await client.get("/metrics")).text
        assert f'huebands_model_info{{name="tiny",version="{new.version}"}} 1.0' in metrics
        assert f'huebands_model_info{{name="tiny",version="{old.version}"}}' not in metrics
        assert "huebands_drift_photos 0.0" in metrics
        assert 'huebands_photos_total{route="/bands"} 1.0' in metrics, "of the service, whatever the model"
        assert 'huebands_troubles_total{cause="restarts"} 3.0' in metrics
        assert f'huebands_band_width_levels_count{{version="{old.version}"}} 1.0' in metrics
        assert version_of(await post(client)) == new.version
        metrics = (await client.get("/metrics")).text
        assert f'huebands_band_width_levels_count{{version="{new.version}"}} 1.0' in metrics

    run(ask, app)


def test_following_is_told_in_the_model_and_in_the_metrics(app: Starlette, status: FollowStatus) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/model")).json()["following"] == status.describe()
        metrics = (await client.get("/metrics")).text
        assert "huebands_follow_alarm 0.0" in metrics
        assert "huebands_follow_last_answer_seconds" not in metrics
        status.record_answer()
        status.record_failure("down", answered=False)
        status.record_refusal(3, "unsound", "2026-11-27T22:09:12+00:00")
        status.replacements = 2
        assert (await client.get("/model")).json()["following"]["alarm"]["reason"] == "unsound"
        metrics = (await client.get("/metrics")).text
        for line in (
            "huebands_follow_alarm 1.0",
            "huebands_follow_refusals_total 1.0",
            "huebands_follow_replacements_total 2.0",
            'huebands_follow_checks_total{outcome="answered"} 1.0',
            'huebands_follow_checks_total{outcome="failed"} 1.0',
        ):
            assert line in metrics
        assert "huebands_follow_last_answer_seconds 1." in metrics

    run(ask, app)


def test_a_service_that_follows_nothing_tells_so(tiny_package: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/model")).json()["following"] is None
        assert "huebands_follow" not in (await client.get("/metrics")).text

    run(ask, build_in_process(tiny_package))
