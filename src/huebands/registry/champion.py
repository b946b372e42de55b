"""The alias `champion`: who has it, and how it is moved, by one program at a time (`announcement`)."""

from datetime import UTC, datetime

import mlflow

from huebands.registry.announcement import Change, announced
from huebands.registry.connection import TrackingError, open_client, store_errors
from huebands.registry.models import PACKAGE_TAG, RegisteredPackage, tag_version, tags_of

CHAMPION, CHALLENGER = "champion", "challenger"
SINCE, REPLACED = "champion_since", "replaced"  # tags of a version that was promoted, with the prefix `huebands.`


@store_errors("the search for the champion")
def champion_version(model_name: str) -> RegisteredPackage | None:
    """The version that the alias `champion` points at, if any.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    try:
        version = open_client().get_model_version_by_alias(model_name, CHAMPION)
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
        with announced(version.model_name, version.uri) as change:
            _check_alias(version, judged)
            tag_version(version, {REPLACED: back})
            _set_alias(version, change)
    tag_version(version, {SINCE: datetime.now(UTC).isoformat(timespec="seconds")})


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
