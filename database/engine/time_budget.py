"""Runs optional queries with a time limit: one that is too slow is skipped.

The transaction continues without it.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg2.errorcodes import QUERY_CANCELED
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from database.engine import deadlines

# The share of the remaining time that optional queries may use. The rest is for what follows.
_SHARE = 0.75
# SQLite checks the limit after so many of its instructions, several times a millisecond.
_STEPS = 10_000

T = TypeVar("T")


class TimeBudget:
    """The time that a number of queries share. What one does not use is left to the others.

    Only for reading: what they write is rolled back.
    """

    def __init__(self, db: Session, queries: int, *, seconds: float | None = None) -> None:
        """Without `seconds`, most of the time until the deadline; without that, no limit."""
        left = deadlines.remaining_seconds()
        if seconds is None and left is not None:
            seconds = _SHARE * left
        self._end = None if seconds is None else time.monotonic() + seconds
        self._db = db
        self._queries_left = queries

    def run(self, work: Callable[[Session], T]) -> T | None:
        """Returns the result of `work`, or None if one of its statements took too long."""
        connection = self._db.connection()
        try:
            with _limited(connection, self._next_seconds()):
                return work(self._db)
        except DBAPIError as error:
            if not _is_cancelled(error):
                raise
            return None

    def _next_seconds(self) -> float | None:
        left = self._queries_left
        self._queries_left -= 1
        return None if self._end is None else max(0.0, self._end - time.monotonic()) / left


@contextmanager
def _limited(connection: Connection, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
    elif connection.dialect.name == "sqlite":
        with _interrupted(connection, time.monotonic() + seconds):
            yield
    else:
        # The rollback makes the transaction usable again, and restores its own limit.
        savepoint = connection.begin_nested()
        try:
            milliseconds = str(max(1, int(1000 * seconds)))
            connection.execute(select(func.set_config("statement_timeout", milliseconds, True)))
            yield
        finally:
            savepoint.rollback()


@contextmanager
def _interrupted(connection: Connection, end: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def _is_cancelled(error: DBAPIError) -> bool:
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlite_errorcode", None)
    return code in {QUERY_CANCELED, sqlite3.SQLITE_INTERRUPT}
