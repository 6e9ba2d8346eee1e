"""Reads points in time that a database can store and Python's datetime cannot represent.

PostgreSQL has 'infinity', the year 20000 and years BC; SQLite stores any value. Such a value is
read as the first or the last datetime, whichever is on the same side of now for the database.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

# timestamptz, as the table pg_type of every PostgreSQL numbers it.
_OID = 1184


def in_utc(moment: datetime) -> datetime:
    """Convert to UTC. A naive value is in UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == FIRST.year else LAST


def later(moment: datetime, by: timedelta) -> datetime:
    """The moment plus a duration, limited to the range of datetime."""
    try:
        return moment + by
    except OverflowError:
        return LAST if by > timedelta(0) else FIRST


def install(connection: extensions.connection) -> None:
    """Make this connection of psycopg2 read timestamps that datetime cannot represent."""
    extensions.register_type(_TIMESTAMPTZ, connection)


def _from_postgresql(text: str | bytes | None, cursor: extensions.cursor) -> datetime | None:
    try:
        moment: datetime | None = extensions.PYDATETIMETZ(text, cursor)
    except ValueError:
        return FIRST if str(text).endswith("BC") else LAST
    return moment


_TIMESTAMPTZ = extensions.new_type((_OID,), "MOMENT", _from_postgresql)


class SQLiteMoment(sqlite.DATETIME):
    """Stored as SQLAlchemy stores it; any value can be read."""

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None]:
        return _from_sqlite


def _from_sqlite(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        # In SQLite every number is less than any text, and every blob is greater.
        now = datetime.now(UTC).isoformat(" ")
        is_later = value > now if isinstance(value, str) else isinstance(value, bytes)
        return LAST if is_later else FIRST
