"""The follower puts in use what an alias points at, or refuses it with an alarm; with a fake registry and service."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import SimpleNamespace

import pytest

from huebands.serving.following.follower import LONGEST_PAUSE, Follower
from huebands.serving.following.registry import FollowError, Version
from huebands.serving.following.settings import FollowSettings, FollowSettingsError
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.served_model import ServedModel

ADDRESS, EVERY = "models:/bands@champion", 60.0
LOST = FollowError("the connection was lost")
UNSOUND = FollowError("its files are not those that were registered", lasting=True)


def version(number: int) -> Version:
    return Version("bands", number, f"{number}" * 64)


def model(number: int) -> ServedModel:
    return ServedModel(
        folder=f"/{number}", source=ADDRESS, model="bands", version=number, package_sha256=f"{number}" * 64
    )


class Fake:
    """A registry and a service in one.

    Attributes:
        champion: what the alias points at, or why the registry does not answer.
        faults: why a version cannot be fetched or started, by its number.
        log: what was asked of it.
        fetched, warmed_up, drained: called at these times.
    """

    def __init__(self) -> None:
        self.champion: int | Exception = 1
        self.faults: dict[int, Exception] = {}
        self.log: list[str] = []
        self.in_use = model(1)
        self.fetched: Callable[[], None] = lambda: None
        self.warmed_up: Callable[[], None] = lambda: None
        self.drained: Callable[[], None] = lambda: None

    async def find(self) -> Version:
        if isinstance(self.champion, Exception):
            raise self.champion
        return version(self.champion)

    async def fetch(self, version: Version) -> ServedModel:
        self.log.append(f"fetch {version.number}")
        if version.number in self.faults:
            raise self.faults[version.number]
        self.fetched()
        return model(version.number)

    async def put_in_use(self, model: ServedModel, confirm: Callable[[], Awaitable[None]]) -> None:
        await confirm()
        self.log.append(f"warm {model.version} up")
        self.warmed_up()
        await confirm()
        self.log.append(f"put {model.version} in use")
        self.in_use = model

    async def end_replaced(self) -> None:
        self.log.append("end the replaced one")
        self.drained()


class Clock:
    """Gives the seconds that a test has set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(fake: Fake, clock: Clock) -> Follower:
    return Follower(fake, fake, FollowStatus(address=ADDRESS, every_seconds=EVERY), clock)


def look(follower: Follower) -> bool:
    return asyncio.run(follower.check())


def test_the_version_in_use_stays_while_the_alias_does(follower: Follower, fake: Fake) -> None:
    assert not look(follower)
    assert fake.log == []
    described = follower.status.describe()
    assert datetime.fromisoformat(described.pop("last_checked"))
    assert described == {
        "address": ADDRESS,
        "every_seconds": EVERY,
        "state": "watching",
        "last_error": None,
        "alarm": None,
    }


def test_a_new_version_is_put_in_use_and_then_the_old_one_ends(follower: Follower, fake: Fake) -> None:
    fake.champion = 2
    assert look(follower)
    assert fake.log == ["fetch 2", "warm 2 up", "put 2 in use", "end the replaced one"]
    assert (follower.status.replacements, follower.status.refused, follower.status.state) == (1, None, "watching")
    assert not look(follower)
    assert len(fake.log) == 4


def test_a_rollback_is_followed_like_any_version(follower: Follower, fake: Fake) -> None:
    for fake.champion in (2, 1):
        assert look(follower)
    assert fake.in_use.version == 1
    assert follower.status.replacements == 2


@pytest.mark.parametrize("during", ["fetched", "warmed_up"])
def test_a_version_that_is_withdrawn_meanwhile_is_not_put_in_use(follower: Follower, fake: Fake, during: str) -> None:
    def roll_back() -> None:
        fake.champion = 1

    fake.champion = 2
    setattr(fake, during, roll_back)
    assert look(follower), "whatever the alias points at now does not wait for the next look"
    assert fake.log == ["fetch 2"] if during == "fetched" else ["fetch 2", "warm 2 up"]
    assert not look(follower)
    assert fake.in_use.version == 1
    assert (follower.status.refused, follower.status.refusals, follower.status.state) == (None, 0, "watching")


def test_a_version_that_cannot_be_confirmed_is_tried_again(follower: Follower, fake: Fake, clock: Clock) -> None:
    def end_registry() -> None:
        fake.champion = FollowError("the registry is down")

    fake.champion, fake.warmed_up = 2, end_registry
    assert not look(follower)
    assert fake.in_use.version == 1
    assert follower.status.refused is not None and follower.status.refused.reason == "the registry is down"
    fake.champion, fake.warmed_up, clock.now = 2, lambda: None, 2 * EVERY
    assert look(follower)
    assert fake.in_use.version == 2


def test_an_unsound_version_is_refused_with_an_alarm_and_tried_again_every_hour(
    follower: Follower, fake: Fake, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fake.champion, fake.faults = 3, {3: UNSOUND}
    assert not look(follower)
    assert fake.in_use.version == 1
    refused = follower.status.describe()["alarm"]
    pause = datetime.fromisoformat(refused.pop("next_try")) - datetime.fromisoformat(refused.pop("since"))
    assert abs(pause.total_seconds() - LONGEST_PAUSE) < 5
    assert refused == {"version": 3, "reason": str(UNSOUND)}
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, f"version 3 of {ADDRESS} is refused, version 1 stays in use: {UNSOUND}")
    ]
    for clock.now in (LONGEST_PAUSE - 1, LONGEST_PAUSE, 2 * LONGEST_PAUSE - 1):
        assert not look(follower)
    assert fake.log == ["fetch 3"] * 2
    assert follower.status.describe()["alarm"] is not None
    clock.now, fake.faults = 2 * LONGEST_PAUSE, {}
    assert look(follower), "its files were restored"
    assert follower.status.describe()["alarm"] is None


def test_a_refused_version_is_tried_again_after_the_alias_has_moved(follower: Follower, fake: Fake) -> None:
    fake.faults = {3: UNSOUND}
    for fake.champion in (3, 2, 3):
        look(follower)
    assert [entry for entry in fake.log if "fetch" in entry] == ["fetch 3", "fetch 2", "fetch 3"]
    fake.champion = 2
    assert not look(follower)
    assert follower.status.describe()["alarm"] is None, "the alias points at the version in use"
    fake.champion, fake.faults = 3, {}
    assert look(follower)


def test_another_version_after_a_refused_one_ends_the_alarm(follower: Follower, fake: Fake) -> None:
    fake.faults = {3: UNSOUND}
    for fake.champion in (3, 4):
        look(follower)
    assert fake.in_use.version == 4
    assert follower.status.refused is None


def test_after_a_failure_that_may_pass_the_pause_doubles_up_to_an_hour(
    follower: Follower, fake: Fake, clock: Clock
) -> None:
    fake.champion, fake.faults = 2, {2: LOST}
    look(follower)
    since = follower.status.refused.since if follower.status.refused else None
    pauses, before = [], clock.now
    while len(pauses) < 8:
        clock.now += EVERY / 2
        tries = len(fake.log)
        look(follower)
        if len(fake.log) > tries:
            pauses.append(clock.now - before)
            before = clock.now
    assert pauses == [120, 240, 480, 960, 1920, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    refused = follower.status.refused
    assert refused is not None and refused.since == since and refused.next_try is not None
    assert datetime.fromisoformat(refused.next_try) > datetime.fromisoformat(refused.since)
    fake.faults, clock.now = {}, clock.now + LONGEST_PAUSE
    assert look(follower)
    assert follower.status.refused is None


def test_a_registry_that_is_down_changes_nothing_but_what_is_told(follower: Follower, fake: Fake) -> None:
    look(follower)
    answered = follower.status.last_checked
    fake.champion = FollowError("no answer from http://me:secret@host:5000: it is down")
    assert not look(follower)
    described = follower.status.describe()
    assert described["last_error"]["reason"] == "no answer from http://host:5000: it is down"
    assert datetime.fromisoformat(described["last_error"]["at"]) and not described["last_error"]["answered"]
    assert (described["last_checked"], described["alarm"], fake.log) == (answered, None, [])
    fake.champion = 1
    look(follower)
    assert follower.status.describe()["last_error"] is None
    assert (follower.status.checks_answered, follower.status.checks_failed) == (2, 1)


def test_an_alias_that_the_registry_does_not_have_raises_the_alarm(
    follower: Follower, fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    """As after `mlflow` has deleted the alias or the model: the registry answers, and someone must act."""
    gone = FollowError("it holds version 1", answered=True)
    alarms = []
    for fake.champion in (gone, FollowError("down"), gone):
        assert not look(follower)
        alarms.append(follower.status.describe()["alarm"])
    assert datetime.fromisoformat(alarms[0].pop("since"))
    assert alarms[0] == {"version": None, "reason": "it holds version 1", "next_try": None}
    assert alarms[1] == alarms[2], "it stays while the registry is down, and keeps its time"
    assert follower.status.describe()["last_error"]["answered"]
    assert (follower.status.checks_answered, follower.status.checks_failed, fake.log) == (2, 1, [])
    message = f"the version behind {ADDRESS} cannot be found: it holds version 1"
    assert caplog.record_tuples[0] == ("huebands.serving", logging.ERROR, message)
    fake.champion = 1
    look(follower)
    assert (follower.status.alarm, follower.status.last_error) == (None, None)


def test_the_alarm_about_a_refused_version_comes_back_after_the_alias_was_missing(
    follower: Follower, fake: Fake
) -> None:
    fake.faults = {3: UNSOUND}
    versions = []
    for fake.champion in (3, FollowError("no such alias", answered=True), 3):
        look(follower)
        versions.append(follower.status.alarm.version if follower.status.alarm else "none")
    assert versions == [3, None, 3]
    assert fake.log == ["fetch 3"]


def test_an_alarm_stays_while_the_registry_is_down(follower: Follower, fake: Fake) -> None:
    fake.champion, fake.faults = 3, {3: UNSOUND}
    look(follower)
    fake.champion = FollowError("down")
    look(follower)
    assert follower.status.refused is not None
    fake.champion = 3
    look(follower)
    assert fake.log == ["fetch 3"], "what was refused is remembered"


@pytest.mark.parametrize("at", ["find", "fetch"])
def test_an_error_of_any_kind_is_told_without_its_secrets(
    follower: Follower, fake: Fake, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = LookupError("http://me:se@cret@host/\nis odd")
    fake.champion, fake.faults = (error, {}) if at == "find" else (2, {2: error})
    assert not look(follower)
    described = follower.status.describe()
    told = described["last_error"] if at == "find" else described["alarm"]
    assert told["reason"] == "LookupError: http://host/ is odd"
    assert all("cret" not in record.message for record in caplog.records)


def test_an_old_version_that_does_not_end_cleanly_is_no_refusal_of_the_new_one(
    follower: Follower, fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("no luck")

    fake.champion, fake.drained = 2, fail
    assert look(follower)
    assert follower.status.refused is None
    assert "could not be ended cleanly" in caplog.text


def test_a_version_that_comes_during_a_rollout_does_not_wait_for_the_next_look(
    follower: Follower, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def promote() -> None:
        fake.champion = 3

    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append((seconds, fake.in_use.version))
        if len(pauses) == 2:
            raise asyncio.CancelledError

    fake.champion, fake.drained = 2, promote
    monkeypatch.setattr("huebands.serving.following.follower.asyncio", SimpleNamespace(sleep=sleep))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follower.run())
    assert pauses == [(EVERY, 1), (EVERY, 3)]


def settings(**variables: str) -> FollowSettings | None:
    return FollowSettings.from_environment(variables)


def test_the_settings_are_read_from_the_environment() -> None:
    assert settings(HUEBANDS_MODEL=ADDRESS) is settings(HUEBANDS_MODEL=ADDRESS, HUEBANDS_FOLLOW="") is None
    followed = settings(HUEBANDS_MODEL=ADDRESS, HUEBANDS_FOLLOW="0.5")
    assert followed == FollowSettings(address=ADDRESS, every_seconds=0.5)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", "60 s", " "])
def test_a_period_that_is_no_positive_number_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(FollowSettingsError, match=r"must be a positive number: .* leave it out") as error:
        settings(HUEBANDS_MODEL=ADDRESS, HUEBANDS_FOLLOW=text)
    assert f"HUEBANDS_FOLLOW (={text!r})" in str(error.value)


@pytest.mark.parametrize("address", ["", "models/generator", "models:/bands", "models:/bands/3", "models:/a/b@c"])
def test_a_model_that_is_no_alias_cannot_be_followed(address: str) -> None:
    with pytest.raises(FollowSettingsError, match="must be models:/NAME@ALIAS") as error:
        settings(HUEBANDS_MODEL=address, HUEBANDS_FOLLOW="60")
    assert f"HUEBANDS_MODEL (={address!r})" in str(error.value)
