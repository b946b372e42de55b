"""The alias `champion`: who has it, who had it, and how it is moved, by one program at a time (`announcement`)."""

from datetime import UTC, datetime

import mlflow

from huebands.registry.announcement import Change, announced
from huebands.registry.connection import TrackingError, open_client, store_errors
from huebands.registry.models import OUTCOME, PACKAGE_TAG, RegisteredPackage, tag_version, tags_of

CHAMPION, CHALLENGER = "champion", "challenger"
# Tags of a version that is or was champion, with the prefix `huebands.`: since when it is; which version it has
# replaced; why it was taken away.
SINCE, REPLACED, ROLLED_BACK = "champion_since", "replaced", "rolled_back"
# Outcomes of a verdict; "better" becomes "promoted" once the alias has moved.
BETTER, PROMOTED, REFUSED = "better", "promoted", "refused"


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


@store_errors("the search for earlier champions")
def was_champion(version: RegisteredPackage) -> bool:
    """Whether a version is known to have been champion: promoted, taken away, or replaced by another one.

    Raises:
        TrackingError: like `champion_version`.
    """
    if tags_of(version).keys() & {SINCE, ROLLED_BACK}:
        return True
    query = f"name = '{version.model_name}' AND tags.`huebands.{REPLACED}` = '{version.version}'"
    return bool(open_client().search_model_versions(query))


def move_champion(version: RegisteredPackage, judged: int | None) -> None:
    """Make a version champion that was found better, provided that the champion is the one that it was judged against.

    The alias moves in one step, or not at all. What is written after it, `complete_promotion` writes too.

    Args:
        version: the new champion.
        judged: number of the champion that it replaces; None where there was none.

    Raises:
        TrackingError: when another program moves the alias, the champion is another one by now, or the store fails.
    """
    with announced(version.model_name, version.uri) as change:
        _check_alias(version, judged)
        tag_version(version, {REPLACED: "" if judged is None else str(judged)})
        _set_alias(version, change)
    complete_promotion(version)


def complete_promotion(version: RegisteredPackage) -> None:
    """Write what a promotion writes last, to a champion that was found better; any other keeps its tags.

    Raises:
        TrackingError: like `champion_version`.
    """
    if tags_of(version).get(OUTCOME) == BETTER:
        tag_version(version, {SINCE: _now(), OUTCOME: PROMOTED})


def bring_back(version: RegisteredPackage, champion: RegisteredPackage, reason: str) -> None:
    """Make a version champion again that was champion before; it keeps the version that it had replaced.

    All tags are written before the alias moves, so nothing is left to be done after it.

    Args:
        version: champion before.
        champion: the one that gives way.
        reason: why; "" where nobody said.

    Raises:
        TrackingError: like `move_champion`.
    """
    with announced(version.model_name, version.uri) as change:
        _check_alias(version, champion.version)
        tag_version(champion, {ROLLED_BACK: reason or "yes"})
        tag_version(version, {SINCE: _now()})
        _set_alias(version, change)


@store_errors("the change of the alias champion")
def _set_alias(version: RegisteredPackage, change: Change) -> None:
    with change.step() as client:
        client.set_registered_model_alias(version.model_name, CHAMPION, str(version.version))


def _check_alias(version: RegisteredPackage, judged: int | None) -> None:
    champion = champion_version(version.model_name)
    number = None if champion is None else champion.version
    if number != judged:
        raise TrackingError(
            f"{version.uri}: it was judged against {_name(judged)}, but the champion is {_name(number)} by now;"
            " judge it again"
        )


def _name(number: int | None) -> str:
    return "no champion" if number is None else f"version {number}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
