"""Brings the store of a checkout to the tables of the installed MLflow, after a copy of it was kept.

MLflow itself does so at the first contact where tables are missing, without a copy, and refuses to work otherwise. It
commits each step of an upgrade by itself, so a copy is upgraded, and the store changes in one step or not at all.
"""

import logging
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import mlflow
import sqlalchemy
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from mlflow.store import db_migrations

from huebands.files import atomic
from huebands.registry import local_store

_WAIT = 20.0  # seconds that a lock of another program is waited for, as MLflow does


class SchemaError(RuntimeError):
    """The database of a store cannot be used by the installed MLflow; the message has the remedy."""


def upgrade(folder: Path) -> Path | None:
    """Upgrade the store in a folder where its tables are those of an earlier MLflow.

    Args:
        folder: folder of the store, whose lock is held; it may have none.

    Returns:
        The copy of the database as it was before, None where nothing was to do.

    Raises:
        SchemaError: when a later MLflow has made the tables, or the upgrade fails; the database is what it was.
        sqlite3.Error, SQLAlchemyError: when the database cannot be read or changed, see `database_errors`.
        OSError: when there is no room for the copy.
    """
    database = folder / local_store.DATABASE
    revision = _revision(database) if database.is_file() else None
    if revision in (None, _migrations().get_current_head()):
        return None
    _check_known(database, revision)
    with connected(database) as store, tempfile.TemporaryDirectory(prefix="huebands-") as scratch:
        # Nobody else writes from here on until the connection is closed.
        store.execute("PRAGMA locking_mode = EXCLUSIVE")
        store.execute("BEGIN IMMEDIATE")
        content, upgraded = store.serialize(), Path(scratch) / database.name
        atomic.write_bytes(upgraded, content)
        _migrate(database, upgraded)
        backup = keep_copy(database, content, f"mlflow-{mlflow.__version__}")
        store.execute("COMMIT")
        with connected(upgraded) as source:
            source.backup(store)
    logging.getLogger(__name__).warning(
        "%s: brought to the tables of MLflow %s; %s holds it as it was", database, mlflow.__version__, backup.name
    )
    return backup


def keep_copy(database: Path, content: bytes, event: str) -> Path:
    """Write the content of a database beside it, as `mlflow.db.before-EVENT`; no other copy is replaced.

    Raises:
        OSError: when there is no room for it.
    """
    name, number = f"{database.name}.before-{event}", 1
    backup = database.with_name(name)
    while backup.exists() and backup.read_bytes() != content:
        number += 1
        backup = database.with_name(f"{name}-{number}")
    if not backup.exists():
        atomic.write_bytes(backup, content)
    return backup


@contextmanager
def connected(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection without transactions of its own."""
    with closing(sqlite3.connect(database, timeout=_WAIT, isolation_level=None)) as connection:
        yield connection


@contextmanager
def database_errors(database: Path) -> Iterator[None]:
    """Say what is wrong with a database, and what helps.

    Raises:
        SchemaError: instead of the errors of SQLite and of the libraries around it.
    """
    try:
        yield
    except CommandError as error:
        raise SchemaError(f"{database}: its tables cannot be made or changed: {error}; try again") from error
    except (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        kind = getattr(cause, "sqlite_errorname", "")
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            problem = f"another program has locked it for {_WAIT:g} s; end that program, or try again when it is done"
        elif kind == "SQLITE_NOTADB":
            problem = f"cannot be read: {cause}; restore it from its backup, or remove it"
        else:
            problem = f"cannot be used: {cause}; give access to it and room beside it, or restore it from its backup"
        raise SchemaError(f"{database}: {problem}") from error


def _migrate(database: Path, upgraded: Path) -> None:
    """Upgrade the copy of a database."""
    store = local_store.store_uri(upgraded.parent)
    done = subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", store], capture_output=True, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
        raise SchemaError(
            f"{database}: `mlflow db upgrade` failed on a copy of it: {reason[0]}; it is as it was: install the MLflow"
            " that it was used with"
        )


@cache
def _migrations() -> ScriptDirectory:
    """The migrations that the installed MLflow knows."""
    return ScriptDirectory(db_migrations.__path__[0])


def _revision(database: Path) -> str | None:
    """The migration that a database was brought to last; None where it is empty."""
    engine = sqlalchemy.create_engine(
        f"sqlite:///{database}", poolclass=sqlalchemy.pool.NullPool, connect_args={"timeout": _WAIT}
    )
    with engine.connect() as connection:
        revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision


def _check_known(database: Path, revision: str) -> None:
    if revision not in {script.revision for script in _migrations().walk_revisions()}:
        raise SchemaError(
            f"{database}: its tables (revision {revision}) are unknown to the installed MLflow {mlflow.__version__}: a"
            " later MLflow has made them; install that one, or put the copy that was kept before its upgrade in place"
        )
