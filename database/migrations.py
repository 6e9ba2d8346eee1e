"""Brings the tables to the newest migration, one process at a time."""

import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from database import revisions, version_table
from database.engine import engines
from database.settings import parse_url

ROOT = Path(__file__).resolve().parent.parent

# Any number will do, as long as every process uses the same: "counterf" in ASCII.
_LOCK = 0x636F756E74657266
# While a migration waits for a table, every other query of that table waits behind it.
_LOCK_MILLISECONDS = 500
_PAUSE_SECONDS = 2.0
_TURN_SECONDS = 0.05

log = logging.getLogger("counterfoil.migrations")

T = TypeVar("T")


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Any number of processes may call this at once.

    On PostgreSQL each migration is a transaction of its own, so that no table stays locked while
    another one is altered. A new database, which nobody uses yet, is set up in one.
    """
    while in_turn(url, partial(_upgrade, revision=revision)):
        pass


def _upgrade(connection: Connection, revision: str) -> bool:
    """Returns whether there is more to do."""
    config = _prepared(connection)
    applied = version_table.read(connection)
    newest_first = ScriptDirectory.from_config(config).iterate_revisions(revision, "base")
    ahead = list(
        takewhile(lambda name: name not in applied, (one.revision for one in newest_first))
    )
    is_in_use = connection.dialect.name == "postgresql" and applied
    command.upgrade(config, ahead[-1] if is_in_use and ahead else revision)
    return bool(is_in_use) and len(ahead) > 1


def downgrade(url: str, revision: str) -> None:
    """Migrate back down to `revision`; "base" removes every table."""
    in_turn(url, lambda connection: command.downgrade(_prepared(connection), revision))


def check(url: str) -> None:
    """Raise alembic's `CommandError` if models and migrations have drifted apart."""
    in_turn(url, lambda connection: command.check(_prepared(connection)))


def _prepared(connection: Connection) -> Config:
    """Alembic's configuration, once our version table is there. Raises UnsuitableDatabase."""
    version_table.prepare(connection, revisions.known())
    config = Config(ROOT / "alembic.ini", stdout=io.StringIO())
    # Not through the ini file, whose interpolation breaks on the % of an escaped password.
    config.attributes["connection"] = connection
    return config


def in_turn(url: str, work: Callable[[Connection], T]) -> T:
    """Call `work` in one transaction that holds the migration lock.

    Rolls back and starts over as long as another transaction uses a table that `work` must lock.
    """
    while True:
        try:
            with connection(url) as opened:
                return work(opened)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            log.warning("a table is in use; trying again in %.0f s", _PAUSE_SECONDS)
            time.sleep(_PAUSE_SECONDS)


@contextmanager
def connection(url: str) -> Iterator[Connection]:
    """A connection in a transaction that holds the migration lock until it is over."""
    engine = engines.create_single(parse_url(url), foreign_keys=False)
    with engine.connect() as opened:
        while True:
            with opened.begin():
                engines.begin(opened)
                engines.reject_unsuitable(opened)
                if _takes_turn(opened):
                    yield opened
                    if opened.dialect.name == "sqlite":
                        _refuse_orphans(opened)
                    return
            time.sleep(_TURN_SECONDS)


def _takes_turn(connection: Connection) -> bool:
    """Whether the transaction holds the migration lock. On SQLite, beginning has waited for it.

    If it does not, it must end before the lock is asked for again: an index that the holder of the
    lock builds concurrently waits for each transaction that was in a statement at one moment, and
    would wait for ever for one that waits for the lock.
    """
    if connection.dialect.name == "sqlite":
        return True
    # A server-wide time-out must not end a long migration.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
        return False
    # Every later query of a table would queue behind our wait for it.
    connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}"))
    return True


def _refuse_orphans(connection: Connection) -> None:
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if orphans:
        raise RuntimeError(f"the migration left {len(orphans)} rows that refer to none")
