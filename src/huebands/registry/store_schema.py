"""Brings the store of a checkout to the tables of the installed MLflow, after a copy of it was kept.

MLflow itself does so at the first contact where tables are missing, without a copy, and refuses to work otherwise.
"""

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import mlflow
import sqlalchemy
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store import db_migrations

from huebands.files import atomic
from huebands.registry import local_store


class SchemaError(RuntimeError):
    """The tables of a store cannot be brought to the installed MLflow; the message has the remedy."""


def upgrade(folder: Path) -> Path | None:
    """Upgrade the store in a folder where its tables are those of an earlier MLflow.

    Args:
        folder: folder of the store; it may have none.

    Returns:
        The copy of the database as it was before, None where nothing was to do.

    Raises:
        SchemaError: when a later MLflow has made the tables, or the upgrade fails.
        OSError: when there is no room for the copy.
    """
    database = folder / local_store.DATABASE
    if not database.is_file() or _revision(database) in (None, _migrations().get_current_head()):
        return None
    with atomic.locked(folder):  # against another process that opens the store
        revision = _revision(database)
        if revision in (None, _migrations().get_current_head()):
            return None
        _check_known(database, revision)
        backup = database.with_name(f"{database.name}.before-mlflow-{mlflow.__version__}")
        with closing(sqlite3.connect(database)) as connection:
            atomic.write_bytes(backup, connection.serialize())
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", local_store.store_uri(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
            raise SchemaError(
                f"{database}: `mlflow db upgrade {command[-1]}` failed: {reason[0]}; put {backup.name} in its place,"
                " and install the MLflow that it was used with"
            )
    logging.getLogger(__name__).warning(
        "%s: brought to the tables of MLflow %s; %s holds it as it was", database, mlflow.__version__, backup.name
    )
    return backup


@cache
def _migrations() -> ScriptDirectory:
    """The migrations that the installed MLflow knows."""
    return ScriptDirectory(db_migrations.__path__[0])


def _revision(database: Path) -> str | None:
    """The migration that a database was brought to last; None where it is empty."""
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.connect() as connection:
            revision: str | None = MigrationContext.configure(connection).get_current_revision()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise SchemaError(f"{database}: cannot be read: {error}; restore it from its backup, or remove it") from error
    return revision


def _check_known(database: Path, revision: str) -> None:
    if revision not in {script.revision for script in _migrations().walk_revisions()}:
        raise SchemaError(
            f"{database}: its tables (revision {revision}) are unknown to the installed MLflow {mlflow.__version__}: a"
            " later MLflow has made them; install that one, or put the copy that was kept before its upgrade in place"
        )
