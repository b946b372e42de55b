"""How long an answer of MLflow's server is waited for."""

import os

import pytest

from huebands.registry.time_limits import a_minute, asked_once, long_answers, short_timeouts

NAMES = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")


def limits() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in NAMES)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without limits."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_inner_limits_hold_inside_and_outer_ones_afterwards() -> None:
    with short_timeouts():
        assert limits() == ("2", "10")
        with long_answers():
            assert limits() == ("1", "120")
            with asked_once(), long_answers():
                assert limits() == ("0", "120")
            assert limits() == ("1", "120")
        with a_minute():
            assert limits() == ("5", "10")
        assert limits() == ("2", "10")
    assert limits() == (None, None)
    with long_answers():
        assert limits() == ("1", "120")


def test_what_the_environment_sets_stays_apart_from_requests_that_create_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(NAMES, ("7", "77"), strict=True):
        monkeypatch.setenv(name, value)
    for limit in (short_timeouts, a_minute, long_answers):
        with limit():
            assert limits() == ("7", "77")
    with asked_once():
        assert limits() == ("0", "77")
        with short_timeouts():
            assert limits()[1] == "77"
    assert limits() == ("7", "77")
