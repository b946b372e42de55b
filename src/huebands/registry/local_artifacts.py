"""Artifacts of a checkout's store without a server: an artifact repository for MLflow, as its plugins are.

pyproject.toml names it to MLflow, so that programs of MLflow itself read the store where huebands is installed. For
every other store it is MLflow's own repository of the same scheme.
"""

from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from huebands.registry import local_store


def repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """The artifacts at a location of the scheme `mlflow-artifacts`.

    Args:
        artifact_uri: location, such as mlflow-artifacts:/huebands/RUN/artifacts.
        tracking_uri: of the store that names it; None: MLflow's current one.
        registry_uri: of the model registry.
    """
    store = tracking_uri or mlflow.get_tracking_uri()
    folder, location = local_store.folder_of(store), urlsplit(artifact_uri)
    if folder is None or location.netloc:
        return MlflowArtifactsRepository(artifact_uri, tracking_uri, registry_uri)
    path = folder / local_store.ARTIFACTS / unquote(location.path).lstrip("/")
    return LocalArtifactRepository(path.as_uri(), tracking_uri, registry_uri)


def install() -> None:
    """Name the repository to MLflow, which knows it already where this version of huebands is installed."""
    artifact_repository_registry.get_registered_artifact_repositories()[local_store.SCHEME] = repository
