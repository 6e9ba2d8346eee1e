"""Reads moments that a database may hold and Python's calendar does not have.

PostgreSQL knows 'infinity', the year 20000 and years before Christ; SQLite stores any value. Each
is read as the last or the first moment that Python knows, whichever is on its side of now.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

# timestamptz, as the table pg_type of every PostgreSQL numbers it.
_OID = 1184


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC. One without a zone is in UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == FIRST.year else LAST


def install(connection: extensions.connection) -> None:
    """Have this connection of psycopg2 read moments that are beyond Python's."""
    extensions.register_type(_TIMESTAMPTZ, connection)


def _from_postgresql(text: str | bytes | None, cursor: extensions.cursor) -> datetime | None:
    try:
        moment: datetime | None = extensions.PYDATETIMETZ(text, cursor)
    except ValueError:
        return FIRST if str(text).endswith("BC") else LAST
    return moment


_TIMESTAMPTZ = extensions.new_type((_OID,), "MOMENT", _from_postgresql)


class SQLiteMoment(sqlite.DATETIME):
    """The text that SQLAlchemy stores; on reading, whatever is there."""

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
        # SQLite compares text with text, and holds every number for less and every blob for more.
        now = datetime.now(UTC).isoformat(" ")
        is_later = value > now if isinstance(value, str) else isinstance(value, bytes)
        return LAST if is_later else FIRST
