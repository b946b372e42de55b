"""A store of another MLflow: an earlier one's is brought to the installed MLflow, and kept as it was beside it."""

import logging
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
import sqlalchemy
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from huebands.registry import local_store, store_schema
from huebands.registry.connection import TrackingError, open_client

# MLflow's own use of SQLAlchemy, and of alembic.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alembic"),
]

MLFLOW_3_10 = "1b5f0d9ad7c1"  # the last migration of the earliest MLflow that pyproject.toml allows
LAST_BUT_ONE = store_schema._migrations().get_revision("head").down_revision


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a store, as the current folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_store(folder: Path, revision: str) -> Path:
    """Make a store with the tables of an earlier MLflow, by its migrations, and an experiment."""
    database = folder / local_store.DATABASE
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", poolclass=sqlalchemy.pool.NullPool)
    InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(f"sqlite:///{database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        row = {"name": "kept", "location": "mlflow-artifacts:/kept"}
        columns = "(name, artifact_location, lifecycle_stage) VALUES (:name, :location, 'active')"
        connection.execute(sqlalchemy.text(f"INSERT INTO experiments {columns}"), row)
    return database


def revision_of(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
    return revision


# MLflow brings the first to its tables by itself, without a copy, and refuses the second.
@pytest.mark.parametrize("revision", [pytest.param(MLFLOW_3_10, marks=pytest.mark.slow), LAST_BUT_ONE])
def test_a_store_of_an_earlier_mlflow_is_upgraded_at_the_first_contact_and_kept(
    checkout: Path, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_store(checkout, revision)
    with caplog.at_level(logging.WARNING, "huebands"):
        assert open_client().get_experiment_by_name("kept").artifact_location == "mlflow-artifacts:/kept"
    backup = checkout / f"mlflow.db.before-mlflow-{mlflow.__version__}"
    assert (revision_of(backup), revision_of(database)) == (revision, store_schema._migrations().get_current_head())
    assert f"{backup.name} holds it as it was" in caplog.text
    content = backup.read_bytes()
    open_client()
    assert backup.read_bytes() == content and len(list(checkout.glob("mlflow.db.*"))) == 1


def test_a_store_of_a_later_mlflow_is_refused_and_left_alone(checkout: Path) -> None:
    database = make_store(checkout, LAST_BUT_ONE)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f00f00f00f00'")
    content = database.read_bytes()
    with pytest.raises(
        TrackingError, match=r"mlflow\.db: its tables \(revision f00f00f00f00\) are unknown .* later MLflow"
    ):
        open_client()
    assert database.read_bytes() == content and not list(checkout.glob("mlflow.db.*"))


def test_an_upgrade_that_fails_says_where_the_store_is_as_it_was(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(arguments, 1, "", "Traceback\nOperationalError: disk is full\n")

    database = make_store(checkout, LAST_BUT_ONE)
    monkeypatch.setattr(store_schema.subprocess, "run", fail)
    with pytest.raises(TrackingError, match=r"failed: OperationalError: disk is full; put mlflow\.db\.before-mlflow-"):
        open_client()
    assert revision_of(checkout / f"{database.name}.before-mlflow-{mlflow.__version__}") == LAST_BUT_ONE


def test_what_is_no_database_is_named(checkout: Path) -> None:
    (checkout / local_store.DATABASE).write_bytes(b"no database, but long enough to be read as the header of one" * 20)
    with pytest.raises(TrackingError, match=r"mlflow\.db: cannot be read: .*file is not a database.* restore it"):
        open_client()
