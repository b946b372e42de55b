"""One program at a time changes what belongs to a registered model: its champion, and its suite of photos.

MLflow sets an alias or a tag in one step, but cannot compare it with what it was. So a program announces its change by
a tag of the registered model, and then looks for other announcements. If there is one, it gives up. Of two programs
that announce themselves at once at least one sees the other, so never both go on. Then the program looks whether what
it found before still holds. It takes its step if the time for it is not over. A program that is killed leaves its
announcement. The next program removes it, once it has seen it unchanged for longer than a change can take.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import mlflow

from huebands.registry.connection import NoAnswerError, TrackingError, open_client, store_errors
from huebands.registry.time_limits import answered_soon, short_timeouts

_PREFIX = "huebands.moving."  # of the tags
# Seconds until a change must begin its step, and after which it is over: the step itself takes at most 20, by the
# limits of `answered_soon`, 10 to connect and 10 for the answer.
_LONGEST, _ABANDONED = 30.0, 75.0
_POLL = 1.0  # seconds


@dataclass(frozen=True)
class Change:
    """A change that was announced.

    Attributes:
        subject: what is changed, for errors.
        deadline: the moment (`time.monotonic`) until which its step must begin.
    """

    subject: str
    deadline: float

    @contextmanager
    def step(self) -> Iterator[mlflow.MlflowClient]:
        """Give the client for one request, which is sent once.

        Raises:
            TrackingError: when it is too late for it.
        """
        client = open_client()
        with answered_soon():
            if time.monotonic() > self.deadline:
                raise TrackingError(f"{self.subject}: the registry took too long; nothing was changed, try again")
            yield client


@contextmanager
def announced(model_name: str, subject: str) -> Iterator[Change]:
    """Announce a change of a registered model, and withdraw the announcement afterwards.

    Where the registry gives no answer, the announcement stays: what the server was asked it may still do, so the next
    program waits for it.

    Args:
        model_name: of the registered model, which exists.
        subject: what is changed, for errors.

    Raises:
        TrackingError: when another program announces one too, or the store does not answer, or refuses something.
    """
    own, is_over = f"{_PREFIX}{uuid.uuid4().hex}", True
    with short_timeouts():
        client = open_client()
        _wait_for_others(client, model_name)
        change = Change(subject, time.monotonic() + _LONGEST)
        with store_errors("the announcement of a change"):
            client.set_registered_model_tag(model_name, own, subject)
        try:
            if _announcements(client, model_name) - {own}:
                raise TrackingError(
                    f"{subject}: another program changes champion or suite of {model_name!r} at this time; try again"
                )
            yield change
        except NoAnswerError:
            is_over = False
            raise
        finally:
            if is_over:
                with suppress(mlflow.MlflowException, OSError):  # the next program removes it
                    client.delete_registered_model_tag(model_name, own)


@store_errors("the wait for another program that changes the model")
def _wait_for_others(client: mlflow.MlflowClient, model_name: str) -> None:
    """Wait until no change is announced; what stays longer than a change can take was left by a killed program."""
    seen_first = dict[str, float]()
    while announcements := _announcements(client, model_name):
        now = time.monotonic()
        seen_first = {key: seen_first.get(key, now) for key in announcements}
        for key, first in seen_first.items():
            if now - first > _ABANDONED:
                client.delete_registered_model_tag(model_name, key)
        time.sleep(_POLL)


@store_errors("the search for other changes of the model")
def _announcements(client: mlflow.MlflowClient, model_name: str) -> set[str]:
    return {key for key in client.get_registered_model(model_name).tags if key.startswith(_PREFIX)}
