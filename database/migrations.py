"""Brings the tables to the newest migration, one process at a time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, pool, text

from database.engine import sqlite
from database.settings import parse_url

ROOT = Path(__file__).resolve().parent.parent

# Any number will do, as long as every process uses the same: "counterf" in ASCII.
_LOCK = 0x636F756E74657266


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Any number of processes may call this at once."""
    with _connection(url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate back down to `revision`; "base" removes every table."""
    with _connection(url) as connection:
        command.downgrade(_config(connection), revision)


def check(url: str) -> None:
    """Raise alembic's `CommandError` if models and migrations have drifted apart."""
    with _connection(url) as connection:
        command.check(_config(connection))


def _config(connection: Connection) -> Config:
    config = Config(ROOT / "alembic.ini", stdout=io.StringIO())
    # Not through the ini file, whose interpolation breaks on the % of an escaped password.
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """A connection in a transaction that holds the migration lock until it is over."""
    engine = create_engine(parse_url(url), poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        sqlite.configure(engine, busy_seconds=60, foreign_keys=False)
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            _wait_for_turn(connection)
        yield connection
        if connection.dialect.name == "sqlite":
            _refuse_orphans(connection)


def _wait_for_turn(connection: Connection) -> None:
    # A server-wide time-out must not end a long migration, nor the wait for another's.
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _refuse_orphans(connection: Connection) -> None:
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if orphans:
        raise RuntimeError(f"the migration left {len(orphans)} rows that refer to none")
