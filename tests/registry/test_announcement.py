"""One program at a time changes a registered model: announcements, and the limit of the time that a change takes."""

import os
from pathlib import Path

import pytest

from huebands.registry import announcement
from huebands.registry.announcement import announced
from huebands.registry.connection import NoAnswerError, TrackingError
from mlflow_store import client

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

MODEL = "generator"
LIMITS = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")


@pytest.fixture(autouse=True)
def model(checkout: Path) -> None:
    """A registered model without versions."""
    client().create_registered_model(MODEL)


def tags() -> dict[str, str]:
    tags: dict[str, str] = client().get_registered_model(MODEL).tags
    return tags


def test_a_change_is_announced_while_it_lasts() -> None:
    with announced(MODEL, "suite 1") as change:
        assert list(tags().values()) == ["suite 1"]
        with change.step() as store:
            store.set_registered_model_tag(MODEL, "huebands.suite.1", "x")
    assert tags() == {"huebands.suite.1": "x"}
    with pytest.raises(TrackingError, match="refused"), announced(MODEL, "suite 2"):
        raise TrackingError("refused")
    assert tags() == {"huebands.suite.1": "x"}


def test_what_was_asked_without_an_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_ABANDONED", 0.2), ("_POLL", 0.05)):
        monkeypatch.setattr(announcement, name, seconds)
    with pytest.raises(NoAnswerError), announced(MODEL, "suite 1"):
        raise NoAnswerError("the server may still do it")
    assert list(tags().values()) == ["suite 1"]
    with announced(MODEL, "suite 2"):
        assert list(tags().values()) == ["suite 2"], "after the longest time that a change takes"
    assert tags() == {}


def test_of_two_that_announce_themselves_at_once_none_goes_on_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([set[str](), {"huebands.moving.other"}])
    monkeypatch.setattr(announcement, "_announcements", lambda *_: next(looks))
    words = "suite 1: another program changes champion or suite of 'generator' at this time; try again"
    with pytest.raises(TrackingError, match=words), announced(MODEL, "suite 1"):
        raise AssertionError("it goes on")
    assert tags() == {}


def test_a_step_that_comes_too_late_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of a program whose connection takes a minute."""
    opened = announcement.open_client
    moment = 0.0

    def slow_client() -> object:
        nonlocal moment
        moment += 60
        return opened()

    with announced(MODEL, "suite 1") as change:
        monkeypatch.setattr(announcement.time, "monotonic", lambda: change.deadline - 30 + moment)
        monkeypatch.setattr(announcement, "open_client", slow_client)
        words = "suite 1: the registry took too long; nothing was changed, try again"
        with pytest.raises(TrackingError, match=words), change.step():
            raise AssertionError("it is taken")


def test_a_step_ends_before_others_remove_the_announcement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment sets: 10 seconds to connect and 10 for the answer, once."""
    for name in LIMITS:
        monkeypatch.setenv(name, "600")
    with announced(MODEL, "suite 1") as change, change.step():
        seconds, retries = (int(os.environ[name]) for name in LIMITS)
    assert retries == 0 and announcement._LONGEST + 2 * seconds < announcement._ABANDONED
