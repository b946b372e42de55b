"""What the registry holds of a registered model, for people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow

from huebands.registry.connection import TrackingError, open_client, store_errors, store_uri

_PREFIX = "huebands."


@dataclass(frozen=True)
class ListedVersion:
    """A version and its training.

    Attributes:
        number: of the version.
        aliases: that name it.
        registered: when, UTC.
        tags: that huebands has set on it, without their prefix.
        params: of its training's run.
        metrics: of that run, the last of each.
    """

    number: int
    aliases: tuple[str, ...]
    registered: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    def values(self) -> Iterator[tuple[str, str]]:
        """All that is known of it: names and values in words, in their order."""
        yield "aliases", ", ".join(self.aliases)
        yield "registered", f"{self.registered:%Y-%m-%d %H:%M} UTC"
        yield from sorted(self.tags.items())
        yield from sorted(self.params.items())
        yield from ((name, f"{value:.6g}") for name, value in sorted(self.metrics.items()))


@store_errors("the list of the versions")
def list_versions(model_name: str) -> list[ListedVersion]:
    """All versions of a registered model, the newest first.

    Raises:
        TrackingError: when the store does not answer, refuses something, or has no such model.
    """
    client = open_client(create=False)
    try:
        aliases = client.get_registered_model(model_name).aliases
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise TrackingError(f"{store_uri()} has no model {model_name!r}; register one with `dvc repro`") from error
        raise
    versions = client.search_model_versions(f"name = '{model_name}'")
    return [
        _listed(client, version, aliases)
        for version in sorted(versions, key=lambda version: int(version.version), reverse=True)
    ]


def find_version(versions: list[ListedVersion], number: int) -> ListedVersion:
    """One of the versions.

    Raises:
        TrackingError: when there is no such version, naming those that there are.
    """
    for version in versions:
        if version.number == number:
            return version
    numbers = ", ".join(str(version.number) for version in reversed(versions)) or "none"
    raise TrackingError(f"version {number} is not in the registry; it holds {numbers}")


def _listed(
    client: mlflow.MlflowClient, version: "mlflow.entities.model_registry.ModelVersion", aliases: Mapping[str, str]
) -> ListedVersion:
    try:
        run = client.get_run(version.run_id).data if version.run_id else None
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        run = None  # it was deleted, and the version stays
    return ListedVersion(
        number=int(version.version),
        aliases=tuple(sorted(name for name, number in aliases.items() if int(number) == int(version.version))),
        registered=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        tags={key.removeprefix(_PREFIX): value for key, value in version.tags.items() if key.startswith(_PREFIX)},
        params={} if run is None else run.params,
        metrics={} if run is None else run.metrics,
    )
