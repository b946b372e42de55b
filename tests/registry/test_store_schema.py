"""A store of another MLflow: an earlier one's is brought to the installed MLflow, and kept as it was beside it."""

import logging
import shutil
import sqlite3
import subprocess
import sys
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
from mlflow_store import client

# MLflow's own use of SQLAlchemy, and of alembic.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alembic"),
]

MLFLOW_3_10 = "1b5f0d9ad7c1"  # the last migration of the earliest MLflow that pyproject.toml allows
BACKUP = f"mlflow.db.before-mlflow-{mlflow.__version__}"
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
    bring_to(f"sqlite:///{database}", revision)
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = "(name, artifact_location, lifecycle_stage)"
        connection.execute(f"INSERT INTO experiments {columns} VALUES ('kept', 'mlflow-artifacts:/kept', 'active')")
    return database


def bring_to(store: str, revision: str) -> None:
    """Bring a store to a migration; steps that it has taken stay taken."""
    engine = sqlalchemy.create_engine(store, poolclass=sqlalchemy.pool.NullPool)
    config = utils._get_alembic_config(store)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


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
    backup = checkout / BACKUP
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


def test_an_upgrade_that_fails_half_way_leaves_the_store_and_the_next_one_keeps_it_as_it_was(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow commits each step of an upgrade by itself."""

    def fail_half_way(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        bring_to(arguments[-1], LAST_BUT_ONE)
        return subprocess.CompletedProcess(arguments, 1, "", "Traceback\nOperationalError: disk is full\n")

    earlier = store_schema._migrations().get_revision(LAST_BUT_ONE).down_revision
    database = make_store(checkout, earlier)
    content = database.read_bytes()
    with (
        monkeypatch.context() as patch,
        pytest.raises(TrackingError, match=r"failed .*: OperationalError: disk"),
    ):
        patch.setattr(store_schema.subprocess, "run", fail_half_way)
        open_client()
    assert database.read_bytes() == content and not list(checkout.glob("mlflow.db.*"))
    assert open_client().get_experiment_by_name("kept") is not None
    backup = checkout / BACKUP
    assert (revision_of(backup), revision_of(database)) == (earlier, store_schema._migrations().get_current_head())


def test_the_copy_of_an_earlier_upgrade_is_not_replaced(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade_quickly(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        bring_to(arguments[-1], "head")
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(store_schema.subprocess, "run", upgrade_quickly)
    database = make_store(checkout, LAST_BUT_ONE)
    first = database.read_bytes()
    store_schema.upgrade(checkout)
    database.write_bytes(first)  # somebody went back to the earlier MLflow
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE experiments SET name = 'later'")
    second = database.read_bytes()
    for _ in range(2):
        database.write_bytes(second)
        store_schema.upgrade(checkout)
    copies = {path.name: path.read_bytes() for path in checkout.glob("mlflow.db.*")}
    assert copies == {BACKUP: first, f"{BACKUP}-2": second}


def test_what_others_write_during_an_upgrade_is_refused_and_not_lost(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade_watched(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        with closing(sqlite3.connect(database, timeout=0.1)) as other:
            assert other.execute("SELECT name FROM experiments").fetchall() == [("kept",)]
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("UPDATE experiments SET name = 'lost'")
        bring_to(arguments[-1], "head")
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(store_schema.subprocess, "run", upgrade_watched)
    database = make_store(checkout, LAST_BUT_ONE)
    with closing(sqlite3.connect(database)) as open_before:
        store_schema.upgrade(checkout)
        open_before.execute("UPDATE experiments SET name = 'written afterwards'")
        open_before.commit()
    assert client().get_experiment_by_name("written afterwards") is not None


def test_what_is_no_database_is_named(checkout: Path) -> None:
    (checkout / local_store.DATABASE).write_bytes(b"no database, but long enough to be read as the header of one" * 20)
    with pytest.raises(TrackingError, match=r"mlflow\.db: cannot be read: file is not a database; .* or remove it"):
        open_client()


def test_a_database_that_is_only_locked_is_not_to_be_removed(
    checkout: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = checkout / shutil.copy(empty_store, checkout)
    monkeypatch.setattr(store_schema, "_WAIT", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match=r"mlflow\.db: another program has locked it for 0\.1 s; .* try again"):
            open_client()
    assert open_client() is not None


def test_a_store_of_an_earlier_version_that_is_locked_is_told(
    checkout: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = checkout / shutil.copy(empty_store, checkout)
    client().create_experiment("huebands", artifact_location="/gone/mlartifacts/huebands")
    (checkout / "mlartifacts/huebands").mkdir(parents=True)
    monkeypatch.setattr(store_schema, "_WAIT", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # others may read
        with pytest.raises(TrackingError, match=r"mlflow\.db: another program has locked it"):
            open_client()


def test_processes_that_meet_at_a_new_store_make_it_once(checkout: Path) -> None:
    command = [sys.executable, "-m", "huebands.registry.connection"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [path.name for path in checkout.iterdir()] == ["mlflow.db"], "it needed no upgrade"
