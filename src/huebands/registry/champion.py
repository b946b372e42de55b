"""The alias `champion`: who has it, and how it is moved by one program at a time.

MLflow sets an alias in one step, but knows no comparison with what it was. So a program that moves the alias announces
itself by a tag of the registered model, and then looks: a champion other than the one that it has judged, or another
announcement, and it gives up. Of two programs that announce themselves at once at least one sees the other, so never
both go on. An announcement that a killed program left is removed by the next one that has seen it unchanged for longer
than a move can take.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import mlflow

from huebands.registry.connection import TrackingError, open_client, store_errors
from huebands.registry.models import PACKAGE_TAG, RegisteredPackage, tag_version, tags_of
from huebands.registry.time_limits import short_timeouts

CHAMPION, CHALLENGER = "champion", "challenger"
SINCE, REPLACED = "champion_since", "replaced"  # tags of a version that was promoted, with the prefix `huebands.`
_MOVING = "huebands.moving."  # prefix of the announcements
_LONGEST_MOVE, _ABANDONED = 30.0, 75.0  # seconds
_POLL = 1.0  # seconds


@store_errors("the search for the champion")
def champion_version(model_name: str) -> RegisteredPackage | None:
    """The version that the alias `champion` points at, if any.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    try:
        version = open_client(create=False).get_model_version_by_alias(model_name, CHAMPION)
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return RegisteredPackage(model_name, int(version.version), version.tags.get(PACKAGE_TAG))


def move_champion(version: RegisteredPackage, judged: int | None, replaced: str | None = None) -> None:
    """Make a version champion, provided that the champion is the one that it was judged against.

    The alias moves in one step, or not at all. The version's tags say since when it is champion, and which version it
    has replaced; doing it again completes them.

    Args:
        version: the new champion.
        judged: number of the champion that it replaces; None where there was none.
        replaced: the version to go back to from it, where that is not `judged`; "": none.

    Raises:
        TrackingError: when another program moves the alias, the champion is another one by now, or the store fails.
    """
    if judged == version.version and SINCE in tags_of(version):
        return
    if judged != version.version:
        back = ("" if judged is None else str(judged)) if replaced is None else replaced
        tag_version(version, {REPLACED: back})
        with short_timeouts(), _announced(version) as deadline:
            _check_alias(version, judged)
            if time.monotonic() > deadline:
                raise TrackingError(f"{version.uri}: the registry took too long; the champion was not moved, try again")
            _set_alias(version)
    tag_version(version, {SINCE: datetime.now(UTC).isoformat(timespec="seconds")})


@store_errors("the change of the alias champion")
def _set_alias(version: RegisteredPackage) -> None:
    open_client().set_registered_model_alias(version.model_name, CHAMPION, str(version.version))


def _check_alias(version: RegisteredPackage, judged: int | None) -> None:
    champion = champion_version(version.model_name)
    number = None if champion is None else champion.version
    if number != judged:
        raise TrackingError(
            f"{version.uri}: it was judged against {_name(judged)}, but the champion is {_name(number)} by now;"
            " judge it again"
        )


@contextmanager
def _announced(version: RegisteredPackage) -> Iterator[float]:
    """Announce a move; gives the moment (`time.monotonic`) until which it must be done.

    Raises:
        TrackingError: when another program announces one too.
    """
    client, name, own = open_client(), version.model_name, f"{_MOVING}{uuid.uuid4().hex}"
    _wait_for_others(client, name)
    with store_errors("the announcement of a new champion"):
        client.set_registered_model_tag(name, own, str(version.version))
    deadline = time.monotonic() + _LONGEST_MOVE
    try:
        if _announcements(client, name) - {own}:
            raise TrackingError(
                f"{version.uri}: another program moves the champion of {name!r} at this time; try again"
            )
        yield deadline
    finally:
        with suppress(mlflow.MlflowException, OSError):  # the next program removes it
            client.delete_registered_model_tag(name, own)


@store_errors("the wait for another program that moves the champion")
def _wait_for_others(client: mlflow.MlflowClient, name: str) -> None:
    """Wait until no move is announced; what stays longer than a move can take was left by a killed program."""
    seen_first = dict[str, float]()
    while announcements := _announcements(client, name):
        now = time.monotonic()
        seen_first = {key: seen_first.get(key, now) for key in announcements}
        for key, first in seen_first.items():
            if now - first > _ABANDONED:
                client.delete_registered_model_tag(name, key)
        time.sleep(_POLL)


@store_errors("the search for other moves of the champion")
def _announcements(client: mlflow.MlflowClient, model_name: str) -> set[str]:
    return {key for key in client.get_registered_model(model_name).tags if key.startswith(_MOVING)}


def _name(number: int | None) -> str:
    return "no champion" if number is None else f"version {number}"
